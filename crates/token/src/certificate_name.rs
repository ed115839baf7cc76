//! The names in a client's certificate.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Most names of one certificate that are looked at; one with more has none.
const MAX_NAMES: usize = 64;

/// A subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// A URI, such as a SPIFFE id.
    Uri(String),
    /// A DNS name, as it stands in the certificate.
    Dns(String),
}

impl CertificateName {
    /// The URIs and DNS names of a leaf; none of one that cannot be read, or that has more than 64. Whether an authority
    /// vouches for them is the caller's to know.
    #[must_use]
    pub fn all_in(leaf: &CertificateDer<'_>) -> Vec<Self> {
        let Ok(leaf) = EndEntityCert::try_from(leaf) else { return Vec::new() };
        let uris = leaf.valid_uri_names().map(|name| Self::Uri(name.to_owned()));
        let hosts = leaf.valid_dns_names().map(|name| Self::Dns(name.to_owned()));
        let names: Vec<_> = uris.chain(hosts).take(MAX_NAMES.saturating_add(1)).collect();
        if names.len() > MAX_NAMES { Vec::new() } else { names }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let (Self::Uri(name) | Self::Dns(name)) = self;
        name
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_those_of_the_certificate() {
        let der = |names: Vec<SanType>| {
            let mut params = CertificateParams::default();
            params.subject_alt_names = names;
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let found =
            CertificateName::all_in(&der(vec![uri("spiffe://a/b"), dns("a.example"), uri("https://c")]));
        let expected = [
            CertificateName::Uri("spiffe://a/b".to_owned()),
            CertificateName::Uri("https://c".to_owned()),
            CertificateName::Dns("a.example".to_owned()),
        ];
        assert_eq!(found, expected);
        let many = (0..65).map(|n| dns(&format!("h{n}.example"))).collect();
        assert_eq!(CertificateName::all_in(&der(many)), []);
        assert_eq!(CertificateName::all_in(&der(Vec::new())), []);
        assert_eq!(CertificateName::all_in(&CertificateDer::from(vec![0x30, 0x00])), []);
    }
}
