use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{at, issuer_key, issuer_keys, profile, token_claims, token_header, with};
use crate::{
    BindingError, CertifiedTenantError, Claim, CurrentToken, IssuerProfile, PresentedSender, Scheme,
    TenantScope, TokenError, UnverifiedToken, VerifiedToken, bind,
};

const URI: &str = "spiffe://example.com/{tenant}/**";
const ACME: &str = "spiffe://example.com/acme/crm-bot";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "clients");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    params.subject_alt_names = uris.collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn signed(params: &CertificateParams, by: &Authority) -> ClientCertificate {
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), by).unwrap();
    ClientCertificate::from_der(certificate.der()).unwrap()
}

fn tenants(by: &[&Authority], uri: &str) -> CertifiedTenants {
    let pem: String = by.iter().map(|authority| authority.pem()).collect();
    CertifiedTenants {
        authorities: ClientAuthorities::from_pem("ca.pem".into(), pem.as_bytes()).unwrap(),
        uri: uri.parse().unwrap(),
    }
}

/// The tenant that a certificate of ours says at the time of the tests.
fn said(params: &CertificateParams) -> Option<String> {
    let authority = authority();
    let certificate = signed(params, &authority);
    tenants(&[&authority], URI).tenant(&certificate, at(0)).ok().map(|said| said.tenant)
}

/// C-14: another authority counts from the next look on, wherever they are shared, and the one before no more.
#[test]
fn authorities_are_replaced_where_they_are_shared() {
    let (before, after) = (authority(), authority());
    let by = |authority: &Authority| signed(&params(&[ACME]), authority);
    let (old, new) = (by(&before), by(&after));
    let running = tenants(&[&before], URI);
    let shared = running.clone();
    let says = |certificate| shared.tenant(certificate, at(0)).is_ok();
    assert_eq!((says(&old), says(&new)), (true, false));
    let again = tenants(&[&before], URI);
    assert!(!running.authorities.renew(&again.authorities), "the same again");
    // First both, as while clients get their new certificates.
    let both = tenants(&[&before, &after], URI);
    assert!(running.authorities.renew(&both.authorities));
    assert_eq!((says(&old), says(&new)), (true, true));
    assert!(running.authorities.renew(&tenants(&[&after], URI).authorities));
    assert_eq!((says(&old), says(&new)), (false, true));
    assert_ne!(shared.authorities.digest(), both.authorities.digest());
    assert_eq!(format!("{:?}", shared.authorities), "ClientAuthorities { file: \"ca.pem\", .. }");
}

#[test]
fn an_authority_says_the_tenant() {
    assert_eq!(said(&params(&[ACME])).as_deref(), Some("acme"));
    let mut of_either_use = params(&[ACME]);
    of_either_use.extended_key_usages = Vec::new();
    assert_eq!(said(&of_either_use).as_deref(), Some("acme"));
    let mut other_names = params(&[ACME]);
    other_names.subject_alt_names.push(SanType::DnsName("globex.example.com".try_into().unwrap()));
    assert_eq!(said(&other_names).as_deref(), Some("acme"));
}

/// W01: exactly one URI; M06: nothing else in a certificate is a name.
#[test]
fn w01_one_uri_and_no_other_name() {
    assert_eq!(said(&params(&[])), None);
    assert_eq!(said(&params(&[ACME, "spiffe://example.com/globex/crm-bot"])), None);
    assert_eq!(said(&params(&[ACME, ACME])), None);
    assert_eq!(said(&params(&[ACME, "https://elsewhere.example"])), None);
    let mut by_subject = params(&[]);
    by_subject.distinguished_name.push(DnType::CommonName, ACME);
    by_subject.subject_alt_names.push(SanType::DnsName("example.com".try_into().unwrap()));
    assert_eq!(said(&by_subject), None);
}

/// W01: no authority's own certificate, and none that was issued for something else.
#[test]
fn w01_a_leaf_for_clients() {
    let mut for_servers = params(&[ACME]);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(said(&for_servers), None);
    let mut an_authority = params(&[ACME]);
    an_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(said(&an_authority), None);
}

/// only by an authority that is named.
#[test]
fn a19_not_by_others() {
    let [own, second, foreign] = [authority(), authority(), authority()];
    let outcome = |params: &CertificateParams, by: &Authority, of: &[&Authority]| {
        tenants(of, URI).tenant(&signed(params, by), at(0)).map(|said| said.tenant)
    };
    let leaf = params(&[ACME]);
    assert_eq!(outcome(&leaf, &own, &[&own]), Ok("acme".to_owned()));
    assert_eq!(outcome(&leaf, &second, &[&own, &second]), Ok("acme".to_owned()));
    assert_eq!(outcome(&leaf, &foreign, &[&own, &second]), Err(CertificateUntrusted), "of the same name");
    let itself = leaf.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let itself = ClientCertificate::from_der(itself.der()).unwrap();
    assert_eq!(tenants(&[&own], URI).tenant(&itself, at(0)), Err(CertificateUntrusted));
    let no_certificate = ClientCertificate::from_der(&[0x30, 0]).unwrap();
    assert_eq!(tenants(&[&own], URI).tenant(&no_certificate, at(0)), Err(CertificateUntrusted));
}

/// A certificate counts from its first instant to its last; a look lasts for a minute, and not beyond.
#[test]
fn a_certificate_has_its_time() {
    let authority = authority();
    let mut of_a_day = params(&[ACME]);
    of_a_day.not_before = date_time_ymd(2027, 1, 15);
    of_a_day.not_after = date_time_ymd(2027, 1, 16);
    let certificate = signed(&of_a_day, &authority);
    let tenants = tenants(&[&authority], URI);
    let look =
        |at: &str| tenants.tenant(&certificate, at.parse().unwrap()).map(|said| said.until.to_string());
    assert_eq!(look("2027-01-14T23:59:59Z"), Err(CertificateUntrusted));
    assert_eq!(look("2027-01-15T00:00:00Z").as_deref(), Ok("2027-01-15T00:01:00Z"));
    assert_eq!(look("2027-01-15T23:59:00Z").as_deref(), Ok("2027-01-16T00:00:00Z"));
    assert_eq!(look("2027-01-15T23:59:30Z").as_deref(), Ok("2027-01-15T23:59:30Z"), "no longer than now");
    assert_eq!(look("2027-01-16T00:00:01Z"), Err(CertificateUntrusted));
}

#[test]
fn where_the_tenant_stands() {
    let tenant =
        |pattern: &str, uri: &str| pattern.parse::<TenantUri>().unwrap().tenant(uri).map(ToOwned::to_owned);
    let acme = Some("acme".to_owned());
    for (pattern, uri) in [
        (URI, "spiffe://example.com/acme/crm-bot"),
        (URI, "spiffe://example.com/acme/a/b"),
        ("spiffe://example.com/{tenant}", "spiffe://example.com/acme"),
        ("spiffe://example.com/t/{tenant}/agents/**", "spiffe://example.com/t/acme/agents/crm-bot"),
        ("spiffe://example.com/{tenant}/agents", "spiffe://example.com/acme/agents"),
        ("spiffe://{tenant}.example.com/**", "spiffe://acme.example.com/crm-bot"),
        ("spiffe://{tenant}/**", "spiffe://acme/crm-bot"),
        ("https://{tenant}.example.com/agents/**", "https://acme.example.com/agents/7"),
    ] {
        assert_eq!(tenant(pattern, uri), acme, "{pattern} {uri}");
    }
    for (pattern, uri) in [
        (URI, "spiffe://example.com/acme"),
        (URI, "spiffe://example.com/acme/"),
        (URI, "spiffe://example.com/acme//x"),
        (URI, "spiffe://example.com/acme/../globex"),
        (URI, "spiffe://example.com/acme/x?y"),
        (URI, "spiffe://example.com//crm-bot"),
        (URI, "spiffe://example.com/../crm-bot"),
        (URI, "spiffe://example.com/%61cme/crm-bot"),
        (URI, "spiffe://example.com/acme\u{e9}/crm-bot"),
        (URI, "spiffe://example.com.evil.example/acme/crm-bot"),
        (URI, "spiffe://EXAMPLE.com/acme/crm-bot"),
        (URI, "https://example.com/acme/crm-bot"),
        (URI, " spiffe://example.com/acme/crm-bot"),
        ("spiffe://example.com/{tenant}", "spiffe://example.com/acme/crm-bot"),
        ("spiffe://example.com/{tenant}/agents", "spiffe://example.com/acme/agents/x"),
        ("spiffe://example.com/{tenant}/agents", "spiffe://example.com/acme/agents2"),
        ("spiffe://{tenant}.example.com/**", "spiffe://acme.globex.example.com/crm-bot"),
        ("spiffe://{tenant}.example.com/**", "spiffe://acme.example.com.evil.example/crm-bot"),
        ("spiffe://{tenant}.example.com/**", "spiffe://.example.com/crm-bot"),
        ("spiffe://{tenant}.example.com/**", "spiffe://evil.example/acme.example.com/crm-bot"),
        ("spiffe://{tenant}/**", "spiffe://acme.evil.example/crm-bot"),
        ("spiffe://{tenant}/**", "spiffe://acme@evil/crm-bot"),
    ] {
        assert_eq!(tenant(pattern, uri), None, "{pattern} {uri}");
    }
}

#[test]
fn a_pattern_has_one_meaning() {
    let problem = |text: &str| text.parse::<TenantUri>().map(|pattern| pattern.to_string());
    for text in [URI, "spiffe://{tenant}.example.com/**", "spiffe://example.com/t/{tenant}"] {
        assert_eq!(problem(text).as_deref(), Ok(text));
    }
    for (text, expected) in [
        ("", PatternProblem::NoPlace),
        ("spiffe://example.com/acme/**", PatternProblem::NoPlace),
        ("{tenant}", PatternProblem::Place),
        ("spiffe:{tenant}", PatternProblem::Place),
        ("spiffe://example.com/a-{tenant}/**", PatternProblem::Place),
        ("spiffe://example.com/{tenant}-a/**", PatternProblem::Place),
        ("spiffe://example.{tenant}/**", PatternProblem::Place),
        ("spiffe://example.com/{tenant}/", PatternProblem::Place),
        ("spiffe:///{tenant}/**", PatternProblem::Place),
        ("://example.com/{tenant}", PatternProblem::Characters),
        ("Spiffe://example.com/{tenant}", PatternProblem::Characters),
        ("spiffe://example.com/{tenant}/{tenant}", PatternProblem::Characters),
        ("spiffe://example.com/*/{tenant}", PatternProblem::Characters),
        ("spiffe://example.com/{tenant}/*", PatternProblem::Characters),
        ("spiffe://example.com/{tenant}/**/x", PatternProblem::Characters),
        ("spiffe://example.com/{tenant}?x", PatternProblem::Characters),
    ] {
        assert_eq!(problem(text), Err(expected), "{text}");
    }
}

#[test]
fn a_file_of_authorities() {
    let authority = authority();
    let read = |pem: &str| {
        ClientAuthorities::from_pem("ca.pem".into(), pem.as_bytes())
            .map(|read| read.held.load().anchors.len())
    };
    assert_eq!(read(&authority.pem()), Ok(1));
    assert_eq!(read(&authority.pem().repeat(16)), Ok(16));
    assert_eq!(read(&authority.pem().repeat(17)), Err(AuthoritiesProblem::TooMany));
    assert_eq!(read(""), Err(AuthoritiesProblem::None));
    assert_eq!(read(&authority.key().serialize_pem()), Err(AuthoritiesProblem::None));
    assert_eq!(
        read("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
        Err(AuthoritiesProblem::Certificate)
    );
    assert_eq!(
        read("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        Err(AuthoritiesProblem::Pem)
    );
}

struct World {
    authority: Authority,
    profile: IssuerProfile,
}

impl World {
    fn new() -> Self {
        let authority = authority();
        let by = tenants(&[&authority], URI);
        let mut profile = IssuerProfile { tenants: TenantScope::Certified { by, only: None }, ..profile() };
        profile.claims.tenant = None;
        Self { authority, profile }
    }

    fn token(&self, claims: &Json) -> Arc<VerifiedToken> {
        let raw = issuer_key().sign(&token_header(), claims);
        let token = UnverifiedToken::parse(&raw).unwrap();
        Arc::new(token.verify(&self.profile, &issuer_keys(), at(0)).unwrap())
    }

    fn current(&self, token: &Arc<VerifiedToken>) -> CurrentToken {
        token.current(at(0), "https://api.example.com", &self.profile).unwrap()
    }

    fn tenant(
        &self,
        claims: &Json,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Option<String>, CertifiedTenantError> {
        let token = self.token(claims).certified(&self.profile, certificate, at(0))?;
        let sent = PresentedSender { scheme: Scheme::Bearer, proof: None, certificate };
        let bound = bind(self.current(&token), sent)?;
        Ok(bound.token().token().tenant().map(ToOwned::to_owned))
    }
}

fn bound_to(certificate: &ClientCertificate) -> Json {
    with(&token_claims(), "cnf", json!({"x5t#S256": certificate.thumbprint().to_string()}))
}

#[test]
fn a_token_is_of_the_tenant_of_its_certificate() {
    let world = World::new();
    let certificate = signed(&params(&[ACME]), &world.authority);
    let claims = bound_to(&certificate);
    assert_eq!(world.tenant(&claims, Some(&certificate)), Ok(Some("acme".to_owned())));
    let token = world.token(&claims);
    let certified = Arc::clone(&token).certified(&world.profile, Some(&certificate), at(0)).unwrap();
    assert_eq!((certified.certified_until(), token.certified_until()), (Some(at(60)), None));
    assert_eq!((certified.key_set(), certified.source()), (token.key_set(), token.source()));
    assert_eq!((certified.jti(), certified.user()), (token.jti(), token.user()));
}

/// without its certificate the token is of no tenant, and nobody's to use.
#[test]
fn a19_an_uncertified_token_is_nobodys() {
    let world = World::new();
    let certificate = signed(&params(&[ACME]), &world.authority);
    let other = signed(&params(&[ACME]), &world.authority);
    let claims = bound_to(&certificate);
    let missing = BindingError::CertificateMissing.into();
    assert_eq!(world.tenant(&claims, None), Err(missing));
    assert_eq!(world.tenant(&claims, Some(&other)), Err(BindingError::CertificateMismatch.into()));
    assert_eq!(world.tenant(&token_claims(), Some(&certificate)), Err(CertifiedTenantError::Unbound));
    let foreign = signed(&params(&[ACME]), &authority());
    let untrusted = Err(BindingError::CertificateUntrusted.into());
    assert_eq!(world.tenant(&bound_to(&foreign), Some(&foreign)), untrusted);
    let nameless = signed(&params(&["spiffe://example.com/acme"]), &world.authority);
    assert_eq!(world.tenant(&bound_to(&nameless), Some(&nameless)), untrusted);
    // What is kept of a token is never what somebody else's certificate says, even if he cannot use the token.
    let globex = signed(&params(&["spiffe://example.com/globex/bot"]), &world.authority);
    let stolen = world.token(&claims).certified(&world.profile, Some(&globex), at(0));
    assert_eq!(stolen.unwrap_err(), BindingError::CertificateMismatch.into());
    // Whoever forgets to look gets nothing.
    let token = world.token(&claims);
    assert_eq!(token.tenant(), None);
    let sent = PresentedSender { scheme: Scheme::Bearer, proof: None, certificate: Some(&certificate) };
    assert_eq!(bind(world.current(&token), sent).unwrap_err(), BindingError::CertificateUntrusted);
}

/// neither the certificate nor the token says a tenant that is not the issuer's, or another than the other.
#[test]
fn a19_token_certificate_and_configuration_agree() {
    let mut world = World::new();
    let certificate = signed(&params(&[ACME]), &world.authority);
    let claims = bound_to(&certificate);
    let TenantScope::Certified { by, .. } = world.profile.tenants.clone() else { panic!() };
    let only = |tenants: &[&str]| TenantScope::Certified {
        by: by.clone(),
        only: Some(tenants.iter().map(|&tenant| tenant.to_owned()).collect()),
    };
    world.profile.tenants = only(&["globex", "acme"]);
    assert_eq!(world.tenant(&claims, Some(&certificate)), Ok(Some("acme".to_owned())));
    assert!(world.profile.speaks_for("acme") && !world.profile.speaks_for("initech"));
    world.profile.tenants = only(&["globex"]);
    assert_eq!(world.tenant(&claims, Some(&certificate)), Err(CertifiedTenantError::Foreign));
    world.profile.tenants = only(&["globex", "acme"]);
    world.profile.claims.tenant = Some("tenant".to_owned());
    assert_eq!(world.tenant(&claims, Some(&certificate)), Ok(Some("acme".to_owned())));
    let another = with(&claims, "tenant", json!("globex"));
    assert_eq!(world.tenant(&another, Some(&certificate)), Err(CertifiedTenantError::Foreign));
    let raw = issuer_key().sign(&token_header(), &with(&claims, "tenant", json!(7)));
    let outcome = UnverifiedToken::parse(&raw).unwrap().verify(&world.profile, &issuer_keys(), at(0));
    assert_eq!(outcome.unwrap_err(), TokenError::ClaimInvalid(Claim::Tenant));
}
