use std::collections::HashSet;

use cedar_policy::{Entity, EntityUid};

use crate::decide::{PolicyFault, QuestionMisfit};
use crate::entities::{BaseTypes, person, uid};
use crate::question::Identity;

/// Who asks, in Cedar's terms. It is the same in every request of one token, so it can be made once and kept; it
/// names only what the base schema declares, so that it outlives the policy folder.
#[derive(Debug, Clone)]
pub struct Subject {
    pub(crate) agent: EntityUid,
    pub(crate) agent_entity: Placed,
    pub(crate) user: Option<(EntityUid, Placed)>,
    pub(crate) tenant: Option<EntityUid>,
}

impl Subject {
    pub(crate) fn new(types: &BaseTypes, identity: &Identity<'_>) -> Result<Self, PolicyFault> {
        let agent = uid(&types.agent, identity.agent.id);
        let user = match &identity.user {
            Some(user) => {
                let own = uid(&types.user, user.id);
                Some((own.clone(), person(types, own, user)?))
            }
            None => None,
        };
        Ok(Self {
            agent_entity: person(types, agent.clone(), &identity.agent)?,
            agent,
            user,
            tenant: identity.tenant.map(|tenant| uid(&types.tenant, tenant)),
        })
    }
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
