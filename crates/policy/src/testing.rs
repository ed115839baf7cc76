//! A small policy folder and a question that fits it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    AttributeValue, AuthenticationFacts, ContextFacts, Identity, PolicyFolder, PolicySet, Principal,
    Principals, Problems, Question, ResourceFact, SenderConstraint, SignalFacts, Source, TenantFact,
    TokenSource, Who,
};

pub(crate) const SCHEMA: &str = r#"
type Here = Exequatur::Context;
entity Colour enum ["red", "green"];
entity File in [Exequatur::Tenant] {
    tenant: Exequatur::Tenant,
    owner?: Exequatur::User,
    size: Long,
    labels?: Set<String>,
    open?: Bool,
    colour?: Colour,
    origin?: ipaddr,
};
entity Shelf;
action Anything;
action Read, Write in [Anything] appliesTo {
    principal: [Exequatur::Agent], resource: [File, Shelf], context: Exequatur::Context
};
action Lend appliesTo {
    principal: [Exequatur::User, Exequatur::Agent], resource: File, context: Exequatur::Context
};
namespace Deep::Down {
    action "turn it" appliesTo { principal: Exequatur::Agent, resource: Shelf, context: Here };
}
"#;

pub(crate) fn folder(policies: &str) -> PolicyFolder {
    PolicyFolder {
        schema: vec![Source::new("files.cedarschema", SCHEMA)],
        policies: vec![Source::new("files.cedar", policies)],
        tests: Vec::new(),
    }
}

pub(crate) fn load(policies: &str) -> Result<Arc<PolicySet>, Problems> {
    PolicySet::load(&folder(policies))
}

pub(crate) fn set(policies: &str) -> Arc<PolicySet> {
    load(policies).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn noon() -> Timestamp {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

/// corp:bot of acme, for corp:alice, reads the file `a` of acme, of which alice is the owner.
pub(crate) fn question() -> Question<'static> {
    let of_acme = |id| Principal { id, issuer: "corp", tenant: Some("acme") };
    Question {
        who: Who::Named(Identity {
            actor: of_acme("corp:bot"),
            client: of_acme("corp:bot"),
            user: Some(of_acme("corp:alice")),
            tenant: Some(TenantFact::named("acme")),
            prior: &[],
        }),
        principals: Principals::Agent,
        action: "Read",
        resource: ResourceFact {
            kind: "File",
            id: "a",
            tenant: Some(TenantFact::named("acme")),
            attributes: vec![
                ("size".to_owned(), AttributeValue::Long(10)),
                ("owner".to_owned(), user("corp:alice")),
            ],
        },
        context: ContextFacts {
            now: noon(),
            scopes: vec!["files:read"],
            sender_constraint: SenderConstraint::Dpop,
            method: "GET",
            route: "read-file",
            token_age_s: 30,
            token_remaining_s: 270,
            token_lifetime_s: 300,
            token_source: TokenSource::Jwt,
            authentication: AuthenticationFacts::default(),
            authorization_details: Vec::new(),
            delegation_depth: 0,
            federation: None,
            signals: Some(SignalFacts::default()),
        },
    }
}

pub(crate) fn user(id: &str) -> AttributeValue {
    AttributeValue::Entity { kind: "Exequatur::User".to_owned(), id: id.to_owned() }
}

pub(crate) fn shelf() -> ResourceFact<'static> {
    ResourceFact { kind: "Shelf", id: "s", tenant: None, attributes: Vec::new() }
}
