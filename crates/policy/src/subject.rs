use std::collections::HashSet;

use cedar_policy::{Entity, EntityUid};

use crate::answers::Fields;
use crate::decide::{PolicyFault, QuestionMisfit};
use crate::entities::{BaseTypes, person, uid};
use crate::question::{Identity, Principal};

/// Who asks, in Cedar's terms. It is the same in every request of one token, so it can be made once and kept; it
/// names only what the base schema declares, so that it outlives the policy folder.
#[derive(Debug, Clone)]
pub struct Subject {
    pub(crate) agent: EntityUid,
    pub(crate) agent_entity: Placed,
    /// Apart, since many tokens have none and thousands are kept.
    pub(crate) user: Option<Box<User>>,
    pub(crate) tenant: Option<EntityUid>,
    /// SHA-256 over everything in the identity that this was made of.
    pub(crate) identity: [u8; 32],
}

impl Subject {
    pub(crate) fn new(types: &BaseTypes, identity: &Identity<'_>) -> Result<Self, PolicyFault> {
        let agent = uid(&types.agent, identity.agent.id);
        let user = match &identity.user {
            Some(user) => {
                let own = uid(&types.user, user.id);
                Some(Box::new(User { entity: person(types, own.clone(), user)?, own }))
            }
            None => None,
        };
        Ok(Self {
            agent_entity: person(types, agent.clone(), &identity.agent)?,
            agent,
            user,
            tenant: identity.tenant.map(|tenant| uid(&types.tenant, tenant)),
            identity: print(identity),
        })
    }
}

fn print(identity: &Identity<'_>) -> [u8; 32] {
    // Each field is named, so that a new one cannot be overlooked.
    let Identity { agent, user, tenant } = identity;
    let mut fields = Fields::default();
    fields.maybe(*tenant);
    for Principal { id, issuer, tenant } in std::iter::once(agent).chain(user) {
        fields.text(id);
        fields.text(issuer);
        fields.maybe(*tenant);
    }
    fields.finish()
}

/// On whose behalf, in Cedar's terms.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) own: EntityUid,
    pub(crate) entity: Placed,
}

/// An entity, and the parent that it gets where a policy asks for parents: elsewhere Cedar need not work them out.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    alone: Entity,
    parent: Option<EntityUid>,
}

impl Placed {
    pub(crate) fn new(alone: Entity, parent: Option<EntityUid>) -> Self {
        Self { alone, parent }
    }

    pub(crate) fn get(&self, with_parent: bool) -> Result<Entity, PolicyFault> {
        let Some(parent) = self.parent.as_ref().filter(|_| with_parent) else {
            return Ok(self.alone.clone());
        };
        let (uid, attributes, _none) = self.alone.clone().into_inner();
        Entity::new(uid, attributes, HashSet::from([parent.clone()]))
            .map_err(|_error| QuestionMisfit::Value.into())
    }
}
