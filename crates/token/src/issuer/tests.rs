use super::*;
use crate::testing::profile;

#[test]
fn issuer_names() {
    for name in ["corp", "a", "0-9", &"x".repeat(32)] {
        assert_eq!(name.parse::<IssuerName>().unwrap().as_str(), name);
    }
    for name in ["", "Corp", "a b", "a:b", "a_b", "é", &"x".repeat(33)] {
        assert_eq!(name.parse::<IssuerName>(), Err(IssuerNameError), "{name}");
    }
}

#[test]
fn ids_are_scoped_and_bounded() {
    let corp: IssuerName = "corp".parse().unwrap();
    let id = ScopedId::new(&corp, "crm:bot").unwrap();
    assert_eq!((id.as_str(), id.id(), id.issuer().as_str()), ("corp:crm:bot", "crm:bot", "corp"));
    assert_eq!(id.to_string(), "corp:crm:bot");
    assert_ne!(id, ScopedId::new(&"corp2".parse().unwrap(), "crm:bot").unwrap());
    assert!(ScopedId::new(&corp, &"é".repeat(256)).is_ok());
    for text in ["", &"é".repeat(257), "a\0", "a\n", "a\u{7f}", "a\u{85}"] {
        assert_eq!(ScopedId::new(&corp, text), Err(IdError), "{text:?}");
    }
}

#[test]
fn problems_are_all_reported() {
    assert_eq!(profile().problems(), []);
    let mut bad = profile();
    bad.issuer.clear();
    bad.audiences.clear();
    bad.algorithms.clear();
    bad.max_lifetime = SignedDuration::ZERO;
    bad.leeway = SignedDuration::from_secs(61);
    bad.claims.tenant = Some(String::new());
    assert_eq!(
        bad.problems(),
        [
            ProfileProblem::IssuerEmpty,
            ProfileProblem::NoAudience,
            ProfileProblem::NoAlgorithm,
            ProfileProblem::MaxLifetime,
            ProfileProblem::Leeway,
            ProfileProblem::ClaimNameEmpty,
        ]
    );
    assert_eq!(bad.effective_leeway(), MAX_LEEWAY);
}
