use std::collections::HashSet;

use cedar_policy::{Entity, EntityUid};

use crate::decide::PolicyFault;
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
                Some((own.clone(), Placed::new(person(types, own, user)?)))
            }
            None => None,
        };
        Ok(Self {
            agent_entity: Placed::new(person(types, agent.clone(), &identity.agent)?),
            agent,
            user,
            tenant: identity.tenant.map(|tenant| uid(&types.tenant, tenant)),
        })
    }
}

/// An entity with its parents, and without: where no policy asks for them, Cedar need not work them out.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    with_parents: Entity,
    alone: Entity,
}

impl Placed {
    fn new(entity: Entity) -> Self {
        let (uid, attributes, _parents) = entity.clone().into_inner();
        // What had these attributes once can have them again.
        let alone = Entity::new(uid, attributes, HashSet::new()).unwrap_or_else(|_error| entity.clone());
        Self { with_parents: entity, alone }
    }

    pub(crate) fn get(&self, with_parents: bool) -> Entity {
        if with_parents { self.with_parents.clone() } else { self.alone.clone() }
    }
}
