//! D-20, A-19: the cross-tenant matrix, in this process: three tenants, every kind of token of every layout, every route, and every order in
//! which the tenants fill what is remembered. A model of ten lines says what each request comes to; the service has to say the same, and a
//! permit for another tenant's resource that no federation leads to is a leak.
//!
//! What goes through Envoy, and the orders of operators, is in `e2e/tenants.rs`.

mod asked;
mod mesh;
mod site;
mod tokens;

use std::collections::BTreeMap;

use self::site::{Answer, Site};
use self::tokens::{Token, of_one_agent, tokens};

pub(crate) const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// Each order in which three can come.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A request's resource, but for its credentials.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// The route: `read` and `half` are in federations, `list` is in none, `shared` has no tenant.
    route: &'static str,
    /// The tenant in the path.
    tenant: Option<&'static str>,
}

impl Target {
    /// Every route; those with a tenant for each of the three, for one that is spelled otherwise, and for one that nobody is of.
    fn all() -> Vec<Self> {
        let tenants = || TENANTS.into_iter().chain(["Acme", "hooli"]);
        let with_tenant = ["read", "list", "half"]
            .into_iter()
            .flat_map(|route| tenants().map(move |tenant| Self { route, tenant: Some(tenant) }));
        with_tenant.chain([Self { route: "shared", tenant: None }]).collect()
    }

    fn path(self) -> String {
        match self.tenant {
            Some(tenant) => format!("/{tenant}/{}/7", self.route),
            None => format!("/{}/7", self.route),
        }
    }

    /// Whether the configuration leads from `own` here.
    fn federation(self, own: &str) -> Option<&'static str> {
        match (own, self.tenant, self.route) {
            ("acme", Some("globex"), "read") => Some("partners"),
            ("globex", Some("initech"), "half") => Some("half-open"),
            _ => None,
        }
    }
}

/// What a request has to come to.
fn expected(token: &Token, target: Target) -> Answer {
    if let Some(reason) = token.refused {
        return Answer::Denied(reason.to_owned());
    }
    let permit = || Answer::Permitted {
        agent: format!("{}:{}-bot", token.issuer, token.tenant.unwrap_or("nobody")),
        tenant: token.tenant.map(str::to_owned),
    };
    let denied = |reason: &str| Answer::Denied(reason.to_owned());
    match (token.tenant, target.tenant) {
        (_, None) => permit(),
        (Some(own), Some(asked)) if own == asked => permit(),
        (Some(own), Some(_)) => match target.federation(own) {
            // The permit that reads the federation names this one; the other rule has none.
            Some("partners") => permit(),
            Some(_) => denied("policy_no_permit"),
            None => denied("tenant_mismatch"),
        },
        (None, Some(_)) => denied("tenant_mismatch"),
    }
}

/// A permit of another tenant's resource, but where a policy and the configuration both say so.
fn is_leak(token: &Token, target: Target, answer: &Answer) -> bool {
    let Answer::Permitted { tenant, .. } = answer else { return false };
    let names_another = tenant.as_deref() != token.tenant;
    let reaches_another = target.tenant.is_some_and(|asked| token.tenant != Some(asked))
        && token.tenant.and_then(|own| target.federation(own)) != Some("partners");
    names_another || reaches_another || token.refused.is_some()
}

/// One agent with one key in all tenants of an issuer: what is used up in one is whole in the others (C-20, L04).
#[test]
fn nothing_is_used_up_for_another() {
    let limits = "limits: [{ name: few, per: agent, rate: 3/h }, { name: of-all, per: tenant, rate: 5/h }]\n";
    let site = Site::with(limits);
    for order in ORDERS {
        site.forget();
        let tokens = of_one_agent(&site);
        for token in order.map(|sender| &tokens[sender]) {
            let path = format!("/{}/read/7", token.tenant.unwrap_or_default());
            // Proofs are told apart by the key and their id: whoever has one key in several tenants has one row of ids.
            let ask = |id: &str| site.ask_with_proof(token, &path, &format!("{id}-{}", token.sender));
            let permitted = |answer: &Answer| matches!(answer, Answer::Permitted { .. });
            assert!(permitted(&ask("p-1")), "{order:?} {}", token.name);
            assert_eq!(ask("p-1"), Answer::Denied("dpop_replay".to_owned()), "{order:?} {}", token.name);
            assert!(permitted(&ask("p-2")) && permitted(&ask("p-3")), "{order:?} {}", token.name);
            assert_eq!(ask("p-4"), Answer::Denied("rate_limited".to_owned()), "{order:?} {}", token.name);
        }
    }
}

#[test]
fn no_tenant_reaches_another() {
    let site = Site::open();
    let mut tokens = tokens(&site);
    tokens.extend(mesh::tokens(&site));
    tokens.extend(asked::tokens(&site));
    let targets = Target::all();
    let (mut cells, mut permits, mut leaks) = (0_u32, 0_u32, Vec::new());
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    for order in ORDERS {
        // Nothing is remembered; then the first of them fills what there is, the second, the third, and each comes again.
        site.forget();
        for round in 0..2 {
            for token in order.iter().flat_map(|sender| tokens.iter().filter(|token| token.sender == *sender))
            {
                for target in &targets {
                    let answer = site.ask(token, &target.path());
                    cells += 1;
                    permits += u32::from(matches!(answer, Answer::Permitted { .. }));
                    if let Answer::Denied(reason) = &answer {
                        *reasons.entry(reason.clone()).or_default() += 1;
                    }
                    let place = format!("{order:?}, round {round}: {} to {target:?}: {answer:?}", token.name);
                    if is_leak(token, *target, &answer) {
                        leaks.push(place.clone());
                    }
                    assert_eq!(answer, expected(token, *target), "{place}");
                }
            }
        }
    }
    assert_eq!(leaks, Vec::<String>::new());
    let all = 6 * 2 * tokens.len() * targets.len();
    assert_eq!(usize::try_from(cells).unwrap(), all);
    println!("{cells} cells, {permits} permits, {} leaks, denied: {reasons:?}", leaks.len());
    // Of each kind there is something: a matrix that is refused as a whole shows nothing.
    for reason in [
        "tenant_mismatch",
        "policy_no_permit",
        "token_claim_invalid",
        "token_signature_invalid",
        "token_issuer_unknown",
        "token_inactive",
    ] {
        assert!(reasons.get(reason).is_some_and(|count| *count > 0), "{reason}: {reasons:?}");
    }
    assert!(permits > 1000, "{permits}");
}
