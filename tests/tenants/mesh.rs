//! The layout in which the client's certificate says the tenant: by one issuer that signs for all, and one authority.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exequatur_tests::agent::Agent;
use exequatur_tests::jwt::{base64url, merged};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::TENANTS;
use crate::site::{API, Certificate, NOW, Site};
use crate::tokens::{Binding, Token};

/// An authority for clients.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, self.0.pem()).unwrap();
    }

    /// A client's certificate with these URIs.
    fn client(&self, uris: &[&str]) -> Certificate {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        let signed = params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap();
        of_der(signed.der())
    }
}

fn of_der(der: &[u8]) -> Certificate {
    let base64 = STANDARD.encode(der).replace('+', "%2B").replace('=', "%3D").replace('/', "%2F");
    Certificate {
        encoded: format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A"),
        thumbprint: base64url(&Sha256::digest(der)),
    }
}

/// What a token of this layout differs in.
struct Kind {
    name: &'static str,
    shown: Certificate,
    /// `cnf`, if it is not the one of the certificate that is shown.
    confirmation: Option<Value>,
    claims: Value,
    tenant: Option<&'static str>,
    refused: Option<&'static str>,
}

/// Every kind of them, for each tenant.
pub(crate) fn tokens(site: &Site) -> Vec<Token> {
    let each = TENANTS.into_iter().enumerate();
    each.flat_map(|(sender, own)| kinds(site, own, TENANTS[(sender + 1) % 3]).map(move |kind| (sender, kind)))
        .enumerate()
        .map(|(number, (sender, kind))| signed(site, sender, kind, number))
        .collect()
}

fn kinds(site: &Site, own: &'static str, other: &'static str) -> impl Iterator<Item = Kind> {
    let uri = |tenant: &str| format!("spiffe://mesh.example.com/{tenant}/bot");
    let (ours, theirs) = (uri(own), uri(other));
    let by_us = |uris: &[&str]| site.authority.client(uris);
    let by_others = |uris: &[&str]| Authority::new().client(uris);
    let good = |name| Kind {
        name,
        shown: by_us(&[&ours]),
        confirmation: None,
        claims: json!({}),
        tenant: Some(own),
        refused: None,
    };
    let bad = |name, refused, shown| Kind { shown, tenant: None, refused: Some(refused), ..good(name) };
    let untrusted = "mtls_cert_untrusted";
    vec![
        good("certificate"),
        Kind { claims: json!({ "tenant": own }), ..good("certificate, and the token says so") },
        Kind {
            claims: json!({ "tenant": other }),
            ..bad("certificate, and the token says another", "token_claim_invalid", by_us(&[&ours]))
        },
        bad("certificate of one's own making", untrusted, by_others(&[&theirs])),
        bad("certificate of one's own making, own tenant", untrusted, by_others(&[&ours])),
        bad("certificate of two tenants", untrusted, by_us(&[&ours, &theirs])),
        bad("certificate of none", untrusted, by_us(&[])),
        bad("certificate of elsewhere", untrusted, by_us(&[&theirs.replace("mesh.", "mash.")])),
        bad("certificate of a tenant that is not listed", "token_claim_invalid", by_us(&[&uri("hooli")])),
        bad("certificate, spelled otherwise", "token_claim_invalid", by_us(&[&uri(&own.to_uppercase())])),
        Kind {
            confirmation: Some(json!({ "x5t#S256": by_us(&[&theirs]).thumbprint })),
            ..bad("another's certificate", "mtls_cert_mismatch", by_us(&[&ours]))
        },
        Kind {
            confirmation: Some(Value::Null),
            claims: json!({ "tenant": own }),
            ..bad("a certificate that it is not bound to", "token_binding_required", by_us(&[&ours]))
        },
        Kind {
            confirmation: Some(Agent::new().confirmation()),
            ..bad("bound to a key alone", "token_binding_required", by_us(&[&ours]))
        },
    ]
    .into_iter()
}

fn signed(site: &Site, sender: usize, kind: Kind, number: usize) -> Token {
    let bound = json!({ "x5t#S256": kind.shown.thumbprint });
    let usual = json!({
        "iss": site.issuer("mesh"), "sub": "alice", "aud": API, "scope": "documents:read", "jti": format!("m-{number}"),
        "client_id": format!("{}-bot", kind.tenant.unwrap_or("nobody")), "iat": NOW - 10, "exp": NOW + 600,
    });
    let mut claims = merged(usual, &kind.claims);
    match kind.confirmation.unwrap_or(bound) {
        Value::Null => {}
        confirmation => claims["cnf"] = confirmation,
    }
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
    Token {
        name: format!("{} of {}", kind.name, TENANTS[sender]),
        sender,
        raw: site.key("mesh").sign(&header, &claims),
        binding: Binding::Certificate(kind.shown),
        issuer: "mesh".to_owned(),
        tenant: kind.tenant,
        refused: kind.refused,
    }
}
