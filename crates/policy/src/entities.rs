use std::collections::{HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::base;
use crate::decide::{PolicyFault, QuestionMisfit};
use crate::needs::{ContextAttribute, Needs};
use crate::question::{
    AttributeValue, ContextFacts, Principal, Question, ResourceFact, SignalFacts, SubjectSignals, Who,
};
use crate::shape::{Attribute, AttributeKind, ResourceType};
use crate::slice::ActionSlices;
use crate::subject::{Placed, Subject};

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
    pub(crate) principal: EntityUid,
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
        action: &ActionSlices,
        resource: &ResourceType,
        needs: &Needs,
    ) -> Result<Self, PolicyFault> {
        let made;
        let subject = match &question.who {
            Who::Ready(subject) => *subject,
            Who::Named(identity) => {
                made = Subject::new(types, identity)?;
                &made
            }
        };
        let own = resource_uid(resource, &question.resource)?;
        let owner = question.resource.tenant.map(|tenant| uid(&types.tenant, tenant));
        let attributes = attributes(resource, &question.resource, owner.as_ref())?;
        let tenant = owner.filter(|_| resource.in_tenant);

        let mut all = vec![
            subject.agent_entity.get(needs.reads_parents())?,
            entity(own.clone(), attributes, tenant.clone().filter(|_| needs.reads_parents()))?,
        ];
        if needs.reads_action_groups() {
            all.push(action.entity.clone());
        }
        if let Some(user) =
            subject.user.as_ref().filter(|user| needs.reads(ContextAttribute::User) || user.own == own)
        {
            all.push(user.entity.get(needs.reads_parents())?);
        }
        let context = context(needs, &question.context, subject)?;
        let entities = Entities::from_entities(all, None).map_err(|_error| QuestionMisfit::EntityTwice)?;
        Ok(Self { principal: subject.agent.clone(), resource: own, tenant, context, entities })
    }
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
    types: &BaseTypes,
    own: EntityUid,
    facts: &Principal<'_>,
) -> Result<Placed, PolicyFault> {
    let tenant = facts.tenant.map(|tenant| uid(&types.tenant, tenant));
    let issuer = ("issuer".to_owned(), RestrictedExpression::new_string(facts.issuer.to_owned()));
    let of_tenant =
        tenant.clone().map(|tenant| ("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant)));
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
fn context(needs: &Needs, facts: &ContextFacts<'_>, subject: &Subject) -> Result<Context, PolicyFault> {
    let mut pairs = Vec::with_capacity(ContextAttribute::ALL.len());
    for attribute in needs.context() {
        if let Some(value) = circumstance(attribute, facts, subject)? {
            pairs.push((attribute.name().to_owned(), value));
        }
    }
    Context::from_pairs(pairs).map_err(|_error| QuestionMisfit::Value.into())
}

/// One of them; `None` if it is absent.
fn circumstance(
    attribute: ContextAttribute,
    facts: &ContextFacts<'_>,
    subject: &Subject,
) -> Result<Option<RestrictedExpression>, PolicyFault> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let long = RestrictedExpression::new_long;
    Ok(Some(match attribute {
        ContextAttribute::User => {
            let Some(user) = &subject.user else { return Ok(None) };
            RestrictedExpression::new_entity_uid(user.own.clone())
        }
        ContextAttribute::Tenant => {
            let Some(tenant) = &subject.tenant else { return Ok(None) };
            RestrictedExpression::new_entity_uid(tenant.clone())
        }
        ContextAttribute::Now => {
            let now = facts.now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            RestrictedExpression::new_datetime(now)
        }
        ContextAttribute::Scopes => {
            RestrictedExpression::new_set(facts.scopes.iter().map(|scope| text(scope)))
        }
        ContextAttribute::SenderConstraint => text(facts.sender_constraint.as_str()),
        ContextAttribute::Method => text(facts.method),
        ContextAttribute::Route => text(facts.route),
        ContextAttribute::Token => {
            record([("age", long(facts.token_age_s)), ("remaining", long(facts.token_remaining_s))])?
        }
        ContextAttribute::Delegation => {
            let depth = ("depth", long(facts.delegation_depth));
            record(std::iter::once(depth).chain(facts.actor.map(|actor| ("actor", text(actor)))))?
        }
        ContextAttribute::Signals => {
            let Some(SignalFacts { agent, user, session }) = &facts.signals else {
                return Err(PolicyFault::SignalsUnknown);
            };
            record([("agent", signals(agent)?), ("user", signals(user)?), ("session", signals(session)?)])?
        }
    }))
}

fn signals(signals: &SubjectSignals<'_>) -> Result<RestrictedExpression, PolicyFault> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
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
