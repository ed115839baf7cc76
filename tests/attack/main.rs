//! Hostile suites against the whole decision: requests that are permitted, changed in every way that is known
//! (threats A, B, F), and random worlds compared with a model.
//!
//! `make test` runs a sample, `make attack` all of it. `ATTACK_SEED` repeats choices, `ATTACK_MUTANTS` and
//! `ATTACK_WORLDS` say how many, `ATTACK_FIRST` which world is the first.

mod attempt;
mod certificates;
mod dice;
mod facts;
mod jose;
mod keys;
mod model;
mod mutations;
mod operator;
mod run;
mod site;
mod verdict;
mod worlds;

use std::collections::BTreeSet;

use run::{Plan, Tally};
use worlds::Span;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// What a caller can bring about, each of which some change here must.
const REASONS: [&str; 47] = [
    "actor_not_permitted",
    "auth_scheme_unsupported",
    "credentials_missing",
    "delegation_too_deep",
    "dpop_alg_not_allowed",
    "dpop_ath_mismatch",
    "dpop_bound_token_as_bearer",
    "dpop_htm_mismatch",
    "dpop_htu_mismatch",
    "dpop_iat_out_of_window",
    "dpop_key_invalid",
    "dpop_key_mismatch",
    "dpop_nonce_invalid",
    "dpop_nonce_required",
    "dpop_proof_malformed",
    "dpop_proof_missing",
    "dpop_proof_multiple",
    "dpop_replay",
    "dpop_signature_invalid",
    "host_unknown",
    "mtls_cert_mismatch",
    "mtls_cert_missing",
    "multiple_credentials",
    "path_refused",
    "policy_error",
    "policy_forbid",
    "policy_no_permit",
    "request_malformed",
    "route_unmatched",
    "scope_insufficient",
    "tenant_mismatch",
    "token_alg_not_allowed",
    "token_audience_mismatch",
    "token_binding_required",
    "token_binding_unsupported",
    "token_claim_invalid",
    "token_claim_missing",
    "token_crit_unsupported",
    "token_expired",
    "token_in_query",
    "token_issuer_unknown",
    "token_key_unknown",
    "token_malformed",
    "token_not_yet_valid",
    "token_signature_invalid",
    "token_too_large",
    "token_type_invalid",
];

fn print(tally: &Tally, plan: Plan) {
    for (operator, reasons) in &tally.table {
        let reasons: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        println!("{operator:<60} {}", reasons.join(", "));
    }
    println!("\nby reason: {:?}", tally.reasons());
    println!(
        "{} mutants by {} operators, {} unchanged requests permitted, 0 findings (seed {})",
        tally.mutants,
        tally.table.len(),
        tally.controls,
        plan.seed
    );
}

/// F, threats A and B: D01–D30, J01–J16, M01–M05, T05, E01–E08. Nothing changed is permitted, unless the change
/// is on the list of harmless ones, and then for the same identity; everything unchanged is.
#[test]
fn nothing_changed_is_permitted_but_what_is_listed_as_harmless() {
    let mutants = usize::try_from(setting("ATTACK_MUTANTS", 10_000)).expect("a count");
    let plan = Plan { seed: setting("ATTACK_SEED", 1), mutants };
    let tally = run::run(plan);
    print(&tally, plan);
    if mutants < 10_000 {
        return;
    }
    let applied: BTreeSet<_> = tally.table.keys().map(String::as_str).collect();
    let unused: Vec<_> = mutations::all()
        .into_iter()
        .map(|operator| operator.name)
        .filter(|name| !applied.contains(name.as_str()))
        .collect();
    assert!(unused.is_empty(), "never applied: {unused:?}");
    let reasons = tally.reasons();
    let missing: Vec<_> = REASONS.iter().filter(|reason| !reasons.contains_key(*reason)).collect();
    assert!(missing.is_empty(), "never given: {missing:?}");
}

/// Each entry of the list is an operator, and no operator stands for two things.
#[test]
fn the_list_of_harmless_changes_names_operators() {
    let mut names = BTreeSet::new();
    for operator in mutations::all() {
        assert!(names.insert(operator.name.clone()), "{} twice", operator.name);
    }
    for (name, why) in run::harmless() {
        assert!(names.contains(name), "{name}");
        assert!(why.len() > 10, "{name}: {why}");
    }
}

/// F: whatever happens (tokens issued, requests sent and sent again, time going by and back, keys rotated, policies
/// reloaded, the store lost), the real parts and the model decide alike: permit or reason, identity, policies.
#[test]
fn random_worlds_agree_with_the_model() {
    let (seed, worlds) = (setting("ATTACK_SEED", 1), setting("ATTACK_WORLDS", 3_000));
    let agreement = worlds::run(Span { seed, first: setting("ATTACK_FIRST", 0), worlds });
    println!("by reason: {:?}", agreement.reasons);
    println!(
        "{} worlds, {} decisions, {} of them permits, 0 disagreements (seed {seed})",
        agreement.worlds, agreement.decisions, agreement.permits
    );
    if worlds < 3_000 {
        return;
    }
    let missing: Vec<_> =
        REASONS_OF_WORLDS.iter().filter(|reason| !agreement.reasons.contains_key(**reason)).collect();
    assert!(missing.is_empty(), "never given: {missing:?}");
    assert!(agreement.permits * 5 > agreement.decisions, "worlds in which little is permitted show little");
}

/// A world alone is the world that it was among others: what is printed to repeat it repeats it.
#[test]
fn a_world_is_repeated_by_its_number() {
    for (seed, first) in [(1, 7), (7, 11)] {
        let among = worlds::run(Span { seed, first: first - 3, worlds: 4 });
        let alone = worlds::run(Span { seed, first, worlds: 1 });
        assert_eq!(alone.worlds, 1);
        assert!(!alone.last.is_empty());
        assert_eq!(alone.last, among.last, "seed {seed}, world {first}");
    }
}

/// What the worlds must bring about between them.
const REASONS_OF_WORLDS: [&str; 33] = [
    "permitted",
    "credentials_missing",
    "dpop_ath_mismatch",
    "dpop_bound_token_as_bearer",
    "dpop_htm_mismatch",
    "dpop_htu_mismatch",
    "dpop_iat_out_of_window",
    "dpop_key_mismatch",
    "dpop_nonce_invalid",
    "dpop_nonce_required",
    "dpop_proof_missing",
    "dpop_replay",
    "dpop_signature_invalid",
    "host_unknown",
    "issuer_keys_unavailable",
    "mtls_cert_mismatch",
    "mtls_cert_missing",
    "policy_error",
    "policy_forbid",
    "policy_no_permit",
    "rate_limited",
    "replay_store_unavailable",
    "route_unmatched",
    "scope_insufficient",
    "tenant_mismatch",
    "token_audience_mismatch",
    "token_binding_required",
    "token_claim_invalid",
    "token_expired",
    "token_issuer_unknown",
    "token_key_unknown",
    "token_not_yet_valid",
    "token_signature_invalid",
];
