//! One request that is permitted, and for each check one that differs from it in one thing.

use exequatur_decide::{Denial, Fault, Malformed, PathRefusal, Refusal, ReplayFact, SenderFact};
use exequatur_issuers::KeysUnavailable;
use exequatur_policy::{PolicyFault, PrincipalKind};
use exequatur_store::{Bound, ReplayLimits};
use exequatur_token::{BindingError, ProofError, TokenError, TokenSize};
use serde_json::json;

use crate::ask::{API, Ask, NOW, Proof, READ, Token, ask_for};
use crate::key::{Key, digest};
use crate::world::{Setting, World, at};

/// The shortest that passes for a certificate: `SEQUENCE { INTEGER 0 }`.
pub(crate) const DER: &[u8] = b"\x30\x03\x02\x01\x00";
pub(crate) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----%0AMAMCAQA=%0A-----END CERTIFICATE-----%0A";
const OTHER_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----%0AMAMCAQE=%0A-----END CERTIFICATE-----%0A";

#[tokio::test]
async fn a_valid_request_is_permitted() {
    let world = World::new().await;
    let (result, facts) = world.check_at(&Ask::valid(), at(0)).await;
    let settled = result.unwrap();
    let grant = settled.grant().unwrap();
    assert_eq!(grant.agent, "corp:crm-bot");
    assert_eq!(grant.user.as_deref(), Some("corp:alice"));
    assert_eq!(grant.tenant.as_deref(), Some("acme"));
    assert_eq!(grant.scopes, ["documents:read"]);
    assert_eq!(settled.next_nonce(), None);
    assert_eq!(facts.policies, ["crm-bot-reads"]);
    assert_eq!(facts.sender, Some(SenderFact::Dpop));
    assert_eq!(facts.replay, Some(ReplayFact::Fresh));
    assert_eq!(facts.token_cached, Some(false));
}

async fn expect(cases: Vec<(&str, Ask, Refusal)>) {
    let world = World::new().await;
    for (name, ask, refusal) in cases {
        assert_eq!(world.refusal(&ask).await, refusal, "{name}");
        assert_eq!(world.live_proofs().await, 0, "{name}: a refused proof is not claimed (G10)");
    }
    world.check(&Ask::valid()).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_is_read_in_one_way() {
    let broken = |kind| Denial::Malformed(kind).into();
    expect(vec![
        ("method", Ask::valid().method("GE T"), broken(Malformed::Method)),
        ("host", Ask::valid().at("api.example.com,files.example.com"), broken(Malformed::Host)),
        ("certificate", Ask::valid().certificate("%zz"), broken(Malformed::Certificate)),
        // B-07: what would be removed under its own name
        ("override", Ask::valid().header("x_http_method_override", "PUT"), broken(Malformed::Override)),
        ("upgrade", Ask::valid().header("upgrade", "websocket"), Denial::RouteUnmatched.into()),
        (
            "path",
            Ask::valid().to("/tenants/acme/../acme"),
            Denial::PathRefused(PathRefusal::DotSegment).into(),
        ),
        ("host unknown", Ask::valid().at("other.example.com"), Denial::HostUnknown.into()),
        ("route", Ask::valid().to("/nowhere"), Denial::RouteUnmatched.into()),
        ("method of the route", Ask::valid().method("DELETE"), Denial::RouteUnmatched.into()),
    ])
    .await;
}

/// D22, D23, D28, E04
#[tokio::test]
async fn credentials_are_needed_once_and_under_a_known_scheme() {
    let token = Token::bound().sign();
    let second = Ask::valid().header("authorization", "Bearer x");
    expect(vec![
        ("none", Ask::valid().without("authorization"), Denial::CredentialsMissing.into()),
        ("scheme", Ask::anonymous().header("authorization", "Basic YTpi"), Denial::SchemeUnsupported.into()),
        ("two", second, Denial::MultipleCredentials.into()),
        ("query", Ask::anonymous().to(&format!("{READ}?access_token=x")), Denial::TokenInQuery.into()),
        ("no proof", Ask::valid().without("dpop"), Denial::Proof(ProofError::Missing).into()),
        ("two proofs", Ask::valid().header("dpop", "x"), Denial::Proof(ProofError::Multiple).into()),
        ("downgrade", Ask::bearer(&token), Denial::Binding(BindingError::DpopBoundAsBearer).into()),
        (
            "downgrade with proof",
            Ask::bearer(&token).header("dpop", &Proof::new().sign(&token)),
            Denial::Binding(BindingError::DpopBoundAsBearer).into(),
        ),
    ])
    .await;
}

/// J01, J02, J04, J16; A-16
#[tokio::test]
async fn the_token_must_hold() {
    let ask = |token: Token| Ask::signed(&token, &Proof::new());
    let denied = |error| Denial::Token(error).into();
    let mut unknown_kid = Token::bound();
    unknown_kid.header["kid"] = json!("k9");
    let mut other_type = Token::bound();
    other_type.header["typ"] = json!("JWT");
    let mut other_algorithm = Token::bound();
    other_algorithm.header["alg"] = json!("HS256");
    let not_for_long = Token::bound().with("exp", json!(NOW - 5)).with("iat", json!(NOW - 60));
    let not_yet = Token::bound().with("nbf", json!(NOW + 6));
    expect(vec![
        ("signature", ask(Token::bound().signed_by(Key::stranger())), denied(TokenError::SignatureInvalid)),
        ("expiry", ask(not_for_long), denied(TokenError::Expired)),
        ("nbf", ask(not_yet), denied(TokenError::NotYetValid)),
        (
            "audience",
            ask(Token::bound().with("aud", json!("https://files.example.com"))),
            denied(TokenError::AudienceMismatch),
        ),
        (
            "issuer",
            ask(Token::bound().with("iss", json!("https://evil.example.com"))),
            denied(TokenError::IssuerUnknown),
        ),
        ("kid", ask(unknown_kid), denied(TokenError::KeyUnknown)),
        ("typ", ask(other_type), denied(TokenError::TypeInvalid)),
        ("alg", ask(other_algorithm), denied(TokenError::AlgNotAllowed)),
        ("empty cnf", ask(Token::bound().with("cnf", json!({}))), denied(TokenError::BindingUnsupported)),
    ])
    .await;
}

/// D06, D10 to D17, D21
#[tokio::test]
async fn the_proof_must_hold_and_be_the_tokens() {
    let ask = |proof: Proof| Ask::signed(&Token::bound(), &proof);
    let denied = |error| Denial::Proof(error).into();
    let mut forged = Proof::new();
    forged.signer = Key::stranger();
    expect(vec![
        ("signature", ask(forged), denied(ProofError::SignatureInvalid)),
        ("htm", ask(Proof::new().with("htm", "get")), denied(ProofError::HtmMismatch)),
        ("htm of another method", Ask::valid().method("POST"), denied(ProofError::HtmMismatch)),
        ("htu", ask(Proof::new().with("htu", format!("{API}{READ}/"))), denied(ProofError::HtuMismatch)),
        (
            "htu of another origin",
            ask(Proof::new().with("htu", format!("http://api.example.com{READ}"))),
            denied(ProofError::HtuMismatch),
        ),
        ("old", ask(Proof::new().with("iat", NOW - 66)), denied(ProofError::IatOutOfWindow)),
        ("new", ask(Proof::new().with("iat", NOW + 11)), denied(ProofError::IatOutOfWindow)),
        ("ath", ask(Proof::new().with("ath", digest(b"another token"))), denied(ProofError::AthMismatch)),
        ("key", ask(Proof::by(Key::stranger())), Denial::Binding(BindingError::KeyMismatch).into()),
        (
            "unbound token",
            Ask::signed(&Token::unbound(), &Proof::new()),
            Denial::Binding(BindingError::NotDpopBound).into(),
        ),
    ])
    .await;
    let world = World::new().await;
    for iat in [NOW - 65, NOW + 10] {
        world.check(&ask(Proof::new().with("iat", iat))).await.unwrap();
    }
    world.check(&ask(Proof::new().with("htm", "POST")).method("POST")).await.unwrap();
    // D12: one target in two spellings.
    let spelt = format!("HTTPS://API.example.com:443{READ}%c3%a9?query#fragment");
    world.check(&ask(Proof::new().with("htu", spelt)).to(&format!("{READ}%C3%A9?other"))).await.unwrap();
}

/// E05: every scope that the route needs is named.
#[tokio::test]
async fn the_route_asks_for_tenant_scopes_and_sender() {
    let ask = |token: Token| Ask::signed(&token, &Proof::new());
    let needed = vec!["documents:read".to_owned()];
    let mut no_tenant = Token::bound();
    no_tenant.claims.as_object_mut().unwrap().remove("tenant").unwrap();
    let unbound = Token::unbound().sign();
    expect(vec![
        ("tenant", ask(Token::bound().with("tenant", json!("globex"))), Denial::TenantMismatch.into()),
        ("no tenant", ask(no_tenant), Denial::TenantMismatch.into()),
        (
            "other tenant's path",
            ask_for("/tenants/globex/documents/internal/1"),
            Denial::TenantMismatch.into(),
        ),
        (
            "scope",
            ask(Token::bound().with("scope", json!("documents"))),
            Denial::ScopeInsufficient { needed }.into(),
        ),
        ("bearer", Ask::bearer(&unbound), Denial::BindingRequired.into()),
        ("any", Ask::bearer(&unbound).to("/tenants/acme/either/internal/1"), Denial::BindingRequired.into()),
        ("certificate", ask_for("/tenants/acme/certified/internal/1"), Denial::BindingRequired.into()),
    ])
    .await;
    let world = World::new().await;
    world.check(&Ask::bearer(&unbound).to("/tenants/acme/lax/internal/1")).await.unwrap();
    world.check(&ask_for("/tenants/acme/either/internal/1")).await.unwrap();
}

/// M01: the token's certificate and no other, or none.
#[tokio::test]
async fn a_certificate_binds_as_a_key_does() {
    let world = World::new().await;
    let target = "/tenants/acme/certified/internal/1";
    let token = Token::unbound().with("cnf", json!({"x5t#S256": digest(DER)})).sign();
    let ask = Ask::bearer(&token).to(target);
    world.check(&ask.clone().certificate(CERTIFICATE)).await.unwrap();
    assert_eq!(world.refusal(&ask).await, Denial::Binding(BindingError::CertificateMissing).into());
    let other = ask.clone().certificate(OTHER_CERTIFICATE);
    assert_eq!(world.refusal(&other).await, Denial::Binding(BindingError::CertificateMismatch).into());

    // M03, M04, A-43: a certificate that only a header claims is none, by its hash or as a whole.
    for claimed in [
        format!("Hash={}", DER.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        format!("Cert=\"{CERTIFICATE}\""),
        CERTIFICATE.to_owned(),
    ] {
        for name in ["x-forwarded-client-cert", "x-client-cert", "client-cert"] {
            let claimed = ask.clone().header(name, &claimed);
            let missing = Denial::Binding(BindingError::CertificateMissing);
            assert_eq!(world.refusal(&claimed).await, missing.into(), "{name}");
        }
    }

    // D29: a token that names both needs both.
    let both = json!({"x5t#S256": digest(DER), "jkt": Key::agent().thumbprint});
    let ask =
        Ask::signed(&Token::unbound().with("cnf", both), &Proof::new().with("htu", format!("{API}{target}")))
            .to(target);
    assert_eq!(world.refusal(&ask).await, Denial::Binding(BindingError::CertificateMissing).into());
    let (result, facts) = world.check_at(&ask.certificate(CERTIFICATE), at(0)).await;
    result.unwrap();
    assert_eq!(facts.sender, Some(SenderFact::DpopAndMtls));
}

/// G09, G10
#[tokio::test]
async fn a_proof_passes_once() {
    let world = World::new().await;
    let ask = Ask::valid();
    world.check(&ask).await.unwrap();
    let (result, facts) = world.check_at(&ask, at(0)).await;
    assert_eq!(result.unwrap_err(), Denial::Replayed.into());
    assert_eq!(facts.replay, Some(ReplayFact::Replayed));
    world.check(&Ask::valid()).await.unwrap();

    // Until it is too old by itself, and no instant between.
    let (result, _) = world.check_at(&ask, at(65)).await;
    assert_eq!(result.unwrap_err(), Denial::Replayed.into());
    let (result, _) = world.check_at(&ask, at(66)).await;
    assert_eq!(result.unwrap_err(), Denial::Proof(ProofError::IatOutOfWindow).into());
}

/// Two agents may choose one `jti` (G09), and one agent's proof is also used up where a policy refuses it.
#[tokio::test]
async fn a_use_is_the_keys_own_and_counts_even_if_refused() {
    let world = World::new().await;
    let first = Proof::new().with("jti", "same");
    world.check(&Ask::signed(&Token::bound(), &first)).await.unwrap();
    let token = Token::bound().with("cnf", json!({"jkt": Key::stranger().thumbprint}));
    let second = Proof::by(Key::stranger()).with("jti", "same");
    world.check(&Ask::signed(&token, &second)).await.unwrap();

    let secret = ask_for("/tenants/acme/documents/secret/1");
    let policies = vec!["no-secrets".to_owned()];
    assert_eq!(world.refusal(&secret).await, Denial::Forbidden { policies }.into());
    assert_eq!(world.refusal(&secret).await, Denial::Replayed.into());
}

#[tokio::test]
async fn bounds_of_the_store_refuse_and_never_forget() {
    let two = std::num::NonZeroU32::new(2).unwrap();
    for (limits, refusal) in [
        (
            ReplayLimits { max_per_key: two, ..ReplayLimits::default() },
            Denial::ReplayBound(Bound::Key).into(),
        ),
        (
            ReplayLimits { max_per_tenant: two, ..ReplayLimits::default() },
            Denial::ReplayBound(Bound::Tenant).into(),
        ),
        (ReplayLimits { max_proofs: two, ..ReplayLimits::default() }, Fault::ReplayFull.into()),
    ] {
        let world = World::with(Setting { limits, ..Setting::default() }).await;
        let first = Ask::valid();
        world.check(&first).await.unwrap();
        world.check(&Ask::valid()).await.unwrap();
        assert_eq!(world.refusal(&Ask::valid()).await, refusal);
        assert_eq!(world.refusal(&first).await, Denial::Replayed.into());
    }
}

#[tokio::test]
async fn policies_have_the_last_word() {
    let world = World::new().await;
    let secret = ask_for("/tenants/acme/documents/secret/1");
    let policies = vec!["no-secrets".to_owned()];
    assert_eq!(world.refusal(&secret).await, Denial::Forbidden { policies }.into());

    let stranger = Token::bound().with("client_id", json!("other-bot"));
    assert_eq!(
        world.refusal(&Ask::signed(&stranger, &Proof::new())).await,
        Denial::NotPermitted { principal: PrincipalKind::Agent }.into()
    );

    // A policy that fails is a fault although another one permits.
    let failing = Token::bound().with("scope", json!("documents:read broken"));
    let failed = PolicyFault::Evaluation { policies: vec!["broken".into()] };
    assert_eq!(world.refusal(&Ask::signed(&failing, &Proof::new())).await, Fault::Policy(failed).into());
}

/// E06: what is hidden is refused for the same reason; only the answer differs.
#[tokio::test]
async fn a_hidden_route_says_so_beside_the_reason() {
    let world = World::new().await;
    let policies = vec!["no-secrets".to_owned()];
    for (kind, hide) in [("documents", false), ("hidden", true)] {
        let (result, facts) =
            world.check_at(&ask_for(&format!("/tenants/acme/{kind}/secret/1")), at(0)).await;
        assert_eq!(result.unwrap_err(), Denial::Forbidden { policies: policies.clone() }.into());
        assert_eq!(facts.hide, hide, "{kind}");
        world.check(&ask_for(&format!("/tenants/acme/{kind}/internal/1"))).await.unwrap();
    }
}

/// Without keys nobody is refused for cause, and nobody passes.
#[tokio::test]
async fn missing_keys_are_our_fault() {
    let world = World::unready(Setting::default());
    let never = Fault::Keys(KeysUnavailable::NeverLoaded);
    assert_eq!(world.refusal(&Ask::valid()).await, never.into());

    let world = World::with(Setting::default()).await;
    let (result, _) = world.check_at(&Ask::valid(), at(3601)).await;
    assert_eq!(result.unwrap_err(), Fault::Keys(KeysUnavailable::TooStale).into());
}

/// J12: the size is the decider's, and nothing longer is looked into.
#[tokio::test]
async fn a_large_token_needs_a_setting() {
    let large = |bytes: usize| Token::bound().with("x", json!("a".repeat(bytes)));
    let (usual, world) = (Ask::signed(&large(5000), &Proof::new()), World::new().await);
    world.check(&usual).await.unwrap();
    let ask = Ask::signed(&large(9000), &Proof::new());
    assert_eq!(world.refusal(&ask).await, Denial::Token(TokenError::TooLarge).into());

    let wide = TokenSize::new(16 * 1024).unwrap();
    let world = World::with(Setting { token_size: wide, ..Setting::default() }).await;
    world.check(&ask).await.unwrap();
    let larger = Ask::signed(&large(12_500), &Proof::new());
    assert_eq!(world.refusal(&larger).await, Denial::Token(TokenError::TooLarge).into());
}

/// B-11, N07: a connection is switched to a protocol that the route names, and to no other.
#[tokio::test]
async fn a_route_names_the_protocols_it_takes() {
    let world = World::new().await;
    let live = || ask_for("/tenants/acme/live/internal/1");
    world.check(&live()).await.unwrap();
    for protocol in ["websocket", "WebSocket"] {
        world.check(&live().header("upgrade", protocol)).await.unwrap();
    }
    let unmatched = Denial::RouteUnmatched.into();
    for protocol in ["", "h2c", "websocket, h2c", "websocketx", "web socket"] {
        assert_eq!(world.refusal(&live().header("upgrade", protocol)).await, unmatched, "{protocol}");
    }
    let twice = live().header("upgrade", "websocket").header("upgrade", "websocket");
    assert_eq!(world.refusal(&twice).await, unmatched);
    let public = Ask::anonymous().to("/healthz").header("upgrade", "websocket");
    assert_eq!(world.refusal(&public).await, unmatched);
}
