//! The names in a client certificate.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::CertificateName;

/// Most names of one certificate that are looked at; one with more has none.
const MAX_NAMES: usize = 64;

/// The URIs and DNS names of a leaf; none of one that cannot be read.
pub(crate) fn names_in(leaf: &CertificateDer<'_>) -> Vec<CertificateName> {
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return Vec::new() };
    let uris = leaf.valid_uri_names().map(|name| CertificateName::Uri(name.to_owned()));
    let hosts = leaf.valid_dns_names().map(|name| CertificateName::Dns(name.to_owned()));
    let names: Vec<_> = uris.chain(hosts).take(MAX_NAMES.saturating_add(1)).collect();
    if names.len() > MAX_NAMES { Vec::new() } else { names }
}
