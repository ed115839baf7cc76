use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::base;
use crate::decide::{PolicyFault, QuestionMisfit};
use crate::needs::{ContextAttribute, Needs};
use crate::question::{
    AttributeValue, AuthenticationFacts, AuthorizationDetail, Principal, PrincipalKind, Principals, Question,
    ResourceFact, SignalFacts, SubjectSignals,
};
use crate::shape::{Attribute, AttributeKind, ResourceType};
use crate::slice::ActionSlices;
use crate::subject::{Placed, Subject, TenantSubject};

/// The entity types of the base schema, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct BaseTypes {
    pub(crate) agent: EntityTypeName,
    pub(crate) user: EntityTypeName,
    pub(crate) tenant: EntityTypeName,
}

impl BaseTypes {
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            agent: base::AGENT.parse().ok()?,
            user: base::USER.parse().ok()?,
            tenant: base::TENANT.parse().ok()?,
        })
    }
}

/// A question in Cedar's terms, as far as it is read. Conforms to the schema by construction, but for what is left
/// out, so that Cedar need not check it again for each decision.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) resource: EntityUid,
    /// The resource's parent.
    pub(crate) tenant: Option<EntityUid>,
    pub(crate) context: Context,
    pub(crate) entities: Entities,
}

impl Asked {
    pub(crate) fn new(
        types: &BaseTypes,
        question: &Question<'_>,
        subject: &Subject,
        action: &ActionSlices,
        resource: &ResourceType,
        needs: &Needs,
    ) -> Result<Self, PolicyFault> {
        let own = resource_uid(resource, &question.resource)?;
        let owner = question.resource.tenant.as_ref().map(|tenant| TenantSubject::new(types, tenant));
        let attributes = attributes(resource, &question.resource, owner.as_ref().map(|owner| &owner.own))?;
        let tenant = owner.as_ref().map(|owner| owner.own.clone()).filter(|_| resource.in_tenant);

        let mut all = people(subject, question.principals, &own, needs)?;
        all.push(entity(own.clone(), attributes, tenant.clone().filter(|_| needs.reads_parents()))?);
        if needs.reads_action_groups() {
            all.push(action.entity.clone());
        }
        all.extend(tenants(subject, owner.as_ref(), needs)?);
        let context = context(needs, question, subject, owner.as_ref())?;
        let entities = Entities::from_entities(all, None).map_err(|_error| QuestionMisfit::EntityTwice)?;
        Ok(Self { resource: own, tenant, context, entities })
    }
}

/// The principals, and who else is read or is the resource.
fn people(
    subject: &Subject,
    principals: Principals,
    resource: &EntityUid,
    needs: &Needs,
) -> Result<Vec<Entity>, PolicyFault> {
    let asked = principals.kinds().contains(&PrincipalKind::User);
    let mut all = vec![subject.actor.get(needs.reads_parents())?];
    let client = subject.client.as_deref();
    let user = subject.user.as_deref();
    all.extend(
        client
            .filter(|client| needs.reads(ContextAttribute::Client) || client.own() == *resource)
            .map(|client| client.get(needs.reads_parents()))
            .transpose()?,
    );
    all.extend(
        user.filter(|user| asked || needs.reads(ContextAttribute::User) || user.own() == *resource)
            .map(|user| user.get(needs.reads_parents()))
            .transpose()?,
    );
    Ok(all)
}

/// The tenants whose attributes may be read, each once.
fn tenants(
    subject: &Subject,
    owner: Option<&TenantSubject>,
    needs: &Needs,
) -> Result<Vec<Entity>, PolicyFault> {
    let own = subject.tenant.as_deref().filter(|_| needs.reads(ContextAttribute::Tenant));
    let owner = owner.filter(|_| needs.reads(ContextAttribute::ResourceTenant));
    let other = owner.filter(|owner| own.is_none_or(|own| own.own != owner.own));
    own.into_iter().chain(other).map(TenantSubject::entity).collect()
}

pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn resource_uid(shape: &ResourceType, resource: &ResourceFact<'_>) -> Result<EntityUid, QuestionMisfit> {
    match &shape.ids {
        Some(ids) if !ids.contains(resource.id) => Err(QuestionMisfit::ResourceId),
        Some(_) | None => Ok(uid(&shape.name, resource.id)),
    }
}

pub(crate) fn person(
    own: EntityUid,
    facts: &Principal<'_>,
    tenant: Option<Arc<EntityUid>>,
) -> Result<Placed, PolicyFault> {
    let issuer = ("issuer".to_owned(), RestrictedExpression::new_string(facts.issuer.to_owned()));
    let of_tenant = tenant
        .as_deref()
        .map(|tenant| ("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant.clone())));
    let attributes = std::iter::once(issuer).chain(of_tenant).collect();
    Ok(Placed::new(entity(own, attributes, None)?, tenant))
}

fn entity(
    own: EntityUid,
    attributes: HashMap<String, RestrictedExpression>,
    parent: Option<EntityUid>,
) -> Result<Entity, PolicyFault> {
    let parents: HashSet<EntityUid> = parent.into_iter().collect();
    Entity::new(own, attributes, parents).map_err(|_error| QuestionMisfit::Value.into())
}

fn attributes(
    shape: &ResourceType,
    resource: &ResourceFact<'_>,
    tenant: Option<&EntityUid>,
) -> Result<HashMap<String, RestrictedExpression>, QuestionMisfit> {
    let mut converted = HashMap::with_capacity(shape.attributes.len());
    for (name, value) in &resource.attributes {
        let declared = shape.attributes.get(name).filter(|_| name != "tenant");
        let Some(declared) = declared else { return Err(QuestionMisfit::AttributeUnknown(name.clone())) };
        let value = expression(declared, value).ok_or_else(|| QuestionMisfit::AttributeType(name.clone()))?;
        if converted.insert(name.clone(), value).is_some() {
            return Err(QuestionMisfit::AttributeTwice(name.clone()));
        }
    }
    if let (Some(tenant), true) = (tenant, shape.attributes.contains_key("tenant")) {
        converted.insert("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant.clone()));
    }
    let missing = shape.attributes.iter().find(|(name, it)| it.required && !converted.contains_key(*name));
    match missing {
        Some((name, _)) => Err(QuestionMisfit::AttributeMissing(name.clone())),
        None => Ok(converted),
    }
}

fn expression(declared: &Attribute, value: &AttributeValue) -> Option<RestrictedExpression> {
    typed(declared.kind.as_ref()?, value)
}

fn typed(kind: &AttributeKind, value: &AttributeValue) -> Option<RestrictedExpression> {
    match (kind, value) {
        (AttributeKind::String, AttributeValue::String(text)) => {
            Some(RestrictedExpression::new_string(text.clone()))
        }
        (AttributeKind::Long, AttributeValue::Long(number)) => Some(RestrictedExpression::new_long(*number)),
        (AttributeKind::Bool, AttributeValue::Bool(flag)) => Some(RestrictedExpression::new_bool(*flag)),
        (AttributeKind::Set(element), AttributeValue::Set(values)) => {
            let values: Option<Vec<_>> = values.iter().map(|value| typed(element, value)).collect();
            Some(RestrictedExpression::new_set(values?))
        }
        (AttributeKind::Entity(declared), AttributeValue::Entity { kind, id }) if declared.name() == kind => {
            Some(RestrictedExpression::new_entity_uid(declared.entity(id)?))
        }
        (
            AttributeKind::String
            | AttributeKind::Long
            | AttributeKind::Bool
            | AttributeKind::Set(_)
            | AttributeKind::Entity(_),
            _,
        ) => None,
    }
}

/// Those of the facts that are read.
fn context(
    needs: &Needs,
    question: &Question<'_>,
    subject: &Subject,
    owner: Option<&TenantSubject>,
) -> Result<Context, PolicyFault> {
    let mut pairs = Vec::with_capacity(ContextAttribute::ALL.len());
    for attribute in needs.context() {
        if let Some(value) = circumstance(attribute, question, subject, owner)? {
            pairs.push((attribute.name().to_owned(), value));
        }
    }
    Context::from_pairs(pairs).map_err(|_error| QuestionMisfit::Value.into())
}

/// One of them; `None` if it is absent.
fn circumstance(
    attribute: ContextAttribute,
    question: &Question<'_>,
    subject: &Subject,
    owner: Option<&TenantSubject>,
) -> Result<Option<RestrictedExpression>, PolicyFault> {
    let facts = &question.context;
    let long = RestrictedExpression::new_long;
    let entity = |own: &EntityUid| RestrictedExpression::new_entity_uid(own.clone());
    Ok(match attribute {
        ContextAttribute::Actor => Some(entity(&subject.actor.own())),
        ContextAttribute::Client => Some(entity(&subject.client().own())),
        ContextAttribute::User => subject.user.as_ref().map(|user| entity(&user.own())),
        ContextAttribute::Tenant => subject.tenant.as_ref().map(|tenant| entity(&tenant.own)),
        ContextAttribute::ResourceTenant => owner.map(|owner| entity(&owner.own)),
        ContextAttribute::Federation => facts.federation.map(text),
        ContextAttribute::Sensitivity => sensitivity(&question.resource).map(text),
        ContextAttribute::Now => {
            let now = facts.now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            Some(RestrictedExpression::new_datetime(now))
        }
        ContextAttribute::Scopes => Some(texts(&facts.scopes)),
        ContextAttribute::SenderConstraint => Some(text(facts.sender_constraint.as_str())),
        ContextAttribute::Method => Some(text(facts.method)),
        ContextAttribute::Route => Some(text(facts.route)),
        ContextAttribute::Token => Some(record([
            ("age", long(facts.token_age_s)),
            ("remaining", long(facts.token_remaining_s)),
            ("lifetime", long(facts.token_lifetime_s)),
            ("source", text(facts.token_source.as_str())),
        ])?),
        ContextAttribute::Authentication => {
            let AuthenticationFacts { acr, methods, age_s } = &facts.authentication;
            let said = [("acr", acr.map(text)), ("age", age_s.map(long))];
            let said = said.into_iter().filter_map(|(name, value)| Some((name, value?)));
            Some(record(said.chain([("methods", texts(methods))]))?)
        }
        ContextAttribute::AuthorizationDetails => {
            let details: Result<Vec<_>, _> = facts.authorization_details.iter().flat_map(detail).collect();
            Some(RestrictedExpression::new_set(details?))
        }
        ContextAttribute::Delegation => {
            let source = if facts.delegation_depth == 0 { "none" } else { "issuer" };
            Some(record([
                ("depth", long(facts.delegation_depth)),
                ("source", text(source)),
                ("prior", RestrictedExpression::new_set(subject.prior.iter().map(entity))),
            ])?)
        }
        ContextAttribute::Signals => {
            let Some(SignalFacts { agent, user, session }) = &facts.signals else {
                return Err(PolicyFault::SignalsUnknown);
            };
            let of = [("agent", signals(agent)?), ("user", signals(user)?), ("session", signals(session)?)];
            Some(record(of)?)
        }
    })
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts(texts: &[&str]) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.iter().copied().map(text))
}

/// What the route says in the attribute of that name, of whatever type the resource is.
fn sensitivity<'q>(resource: &'q ResourceFact<'_>) -> Option<&'q str> {
    resource.attributes.iter().find_map(|(name, value)| match value {
        AttributeValue::String(text) if name == "sensitivity" => Some(text.as_str()),
        AttributeValue::String(_)
        | AttributeValue::Long(_)
        | AttributeValue::Bool(_)
        | AttributeValue::Set(_)
        | AttributeValue::Entity { .. } => None,
    })
}

/// A record for each value: Cedar has no search in sets, and no empty set to compare with.
fn detail<'d>(
    detail: &'d AuthorizationDetail<'_>,
) -> impl Iterator<Item = Result<RestrictedExpression, PolicyFault>> + 'd {
    let AuthorizationDetail { kind, granted, identifier } = detail;
    let (member, values) = granted.values(kind);
    values.into_iter().map(move |value| {
        record([
            ("type", text(kind)),
            ("member", text(member)),
            ("value", text(value)),
            ("identifier", text(identifier.unwrap_or_default())),
        ])
    })
}

fn signals(signals: &SubjectSignals<'_>) -> Result<RestrictedExpression, PolicyFault> {
    let SubjectSignals { risk, device, assurance } = signals;
    let mut levels = Vec::with_capacity(assurance.len());
    for (namespace, level) in assurance {
        levels.push(record([("namespace", text(namespace)), ("level", text(level))])?);
    }
    let said = [("risk", risk), ("device", device)];
    let said = said.into_iter().filter_map(|(name, word)| Some((name, text((*word)?))));
    record(said.chain([("assurance", RestrictedExpression::new_set(levels))]))
}

fn record(
    fields: impl IntoIterator<Item = (&'static str, RestrictedExpression)>,
) -> Result<RestrictedExpression, PolicyFault> {
    RestrictedExpression::new_record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .map_err(|_error| QuestionMisfit::Value.into())
}

#[cfg(test)]
mod tests;
