use super::*;
use crate::testing::profile;

#[test]
fn all_problems_are_found_at_once() {
    let source = KeySource::Url { url: "http://sts.example.com".to_owned() };
    let good = IssuerConfig::new(profile("corp"), KeySource::File { path: "jwks.json".into() });
    assert_eq!(good.problems(), []);
    let mut bad = IssuerConfig { refresh: Duration::ZERO, cooldown: Duration::ZERO, source, ..good.clone() };
    bad.profile.audiences.clear();
    let expected = [
        ConfigProblem::Profile(ProfileProblem::NoAudience),
        ConfigProblem::Url(AddressProblem::Insecure),
        ConfigProblem::NoRefresh,
        ConfigProblem::NoCooldown,
    ];
    assert_eq!(bad.problems(), expected);
    let hasty = IssuerConfig { max_stale: good.refresh, ..good };
    assert_eq!(hasty.problems(), [ConfigProblem::StaleBeforeRefresh]);
}
