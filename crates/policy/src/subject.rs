use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, RestrictedExpression};

use crate::answers::Fields;
use crate::decide::{PolicyFault, QuestionMisfit};
use crate::entities::{BaseTypes, person, uid};
use crate::question::{Identity, Principal, PrincipalKind, TenantFact, Who};

/// Who asks, in Cedar's terms. It is the same in every request of one token, so it can be made once and kept; it
/// names only what the base schema declares, so that it outlives the policy folder.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Who acts now.
    pub(crate) actor: Placed,
    /// The agent that the token was issued to, where that is another one. Apart, as the user is, since many tokens have none
    /// and thousands are kept.
    pub(crate) client: Option<Box<Placed>>,
    pub(crate) user: Option<Box<Placed>>,
    pub(crate) tenant: Option<Box<TenantSubject>>,
    /// The actors before the current one, of which nothing but the name is known.
    pub(crate) prior: Box<[EntityUid]>,
    /// SHA-256 over everything in the identity that this was made of.
    pub(crate) identity: [u8; 32],
}

impl Subject {
    pub(crate) fn new(types: &BaseTypes, identity: &Identity<'_>) -> Result<Self, PolicyFault> {
        let Identity { actor, client, user, tenant, prior } = identity;
        // Nearly always all of them are of one tenant.
        let own = tenant.map(|tenant| (tenant.name, Arc::new(uid(&types.tenant, tenant.name))));
        let of = |who: &Principal<'_>| {
            let named = who.tenant?;
            let shared = own.as_ref().filter(|(name, _)| *name == named).map(|(_, own)| Arc::clone(own));
            Some(shared.unwrap_or_else(|| Arc::new(uid(&types.tenant, named))))
        };
        let boxed = |kind, who: Option<&Principal<'_>>| match who {
            Some(who) => person(uid(kind, who.id), who, of(who)).map(|placed| Some(Box::new(placed))),
            None => Ok(None),
        };
        Ok(Self {
            actor: person(uid(&types.agent, actor.id), actor, of(actor))?,
            client: boxed(&types.agent, Some(client).filter(|client| client.id != actor.id))?,
            user: boxed(&types.user, user.as_ref())?,
            tenant: tenant.as_ref().map(|tenant| Box::new(TenantSubject::new(types, tenant))),
            prior: prior.iter().map(|id| uid(&types.agent, id)).collect(),
            identity: print(identity),
        })
    }

    /// Whoever asks, made ready if need be.
    pub(crate) fn of<'a>(types: &BaseTypes, who: &Who<'a>) -> Result<Cow<'a, Self>, PolicyFault> {
        match who {
            Who::Ready(subject) => Ok(Cow::Borrowed(*subject)),
            Who::Named(identity) => Self::new(types, identity).map(Cow::Owned),
        }
    }

    /// One of those who can be asked about.
    pub(crate) fn principal(&self, kind: PrincipalKind) -> Option<&Placed> {
        match kind {
            PrincipalKind::Agent => Some(&self.actor),
            PrincipalKind::User => self.user.as_deref(),
        }
    }

    /// The agent that the token was issued to.
    pub(crate) fn client(&self) -> &Placed {
        self.client.as_deref().unwrap_or(&self.actor)
    }
}

fn print(identity: &Identity<'_>) -> [u8; 32] {
    // Each field is named, so that a new one cannot be overlooked.
    let Identity { actor, client, user, tenant, prior } = identity;
    let mut fields = Fields::default();
    fields.tenant(tenant.as_ref());
    fields.count(prior.len());
    prior.iter().for_each(|id| fields.text(id));
    for Principal { id, issuer, tenant } in [actor, client].into_iter().chain(user) {
        fields.text(id);
        fields.text(issuer);
        fields.maybe(*tenant);
    }
    fields.finish()
}

/// A tenant in Cedar's terms.
#[derive(Debug, Clone)]
pub(crate) struct TenantSubject {
    pub(crate) own: EntityUid,
    classification: Option<Box<str>>,
    region: Option<Box<str>>,
}

impl TenantSubject {
    pub(crate) fn new(types: &BaseTypes, tenant: &TenantFact<'_>) -> Self {
        let TenantFact { name, classification, region } = tenant;
        Self {
            own: uid(&types.tenant, name),
            classification: classification.map(Into::into),
            region: region.map(Into::into),
        }
    }

    pub(crate) fn entity(&self) -> Result<Entity, PolicyFault> {
        let said = [("classification", &self.classification), ("region", &self.region)];
        let said = said.into_iter().filter_map(|(name, text)| {
            Some((name.to_owned(), RestrictedExpression::new_string(text.as_deref()?.to_owned())))
        });
        Entity::new(self.own.clone(), said.collect(), HashSet::new())
            .map_err(|_error| QuestionMisfit::Value.into())
    }
}

/// An entity, and the parent that it gets where a policy asks for parents: elsewhere Cedar need not work them out.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    alone: Entity,
    /// Shared, since it takes 120 bytes and thousands are kept.
    parent: Option<Arc<EntityUid>>,
}

impl Placed {
    pub(crate) fn new(alone: Entity, parent: Option<Arc<EntityUid>>) -> Self {
        Self { alone, parent }
    }

    pub(crate) fn own(&self) -> EntityUid {
        self.alone.uid()
    }

    pub(crate) fn get(&self, with_parent: bool) -> Result<Entity, PolicyFault> {
        let Some(parent) = self.parent.as_ref().filter(|_| with_parent) else {
            return Ok(self.alone.clone());
        };
        let (uid, attributes, _none) = self.alone.clone().into_inner();
        Entity::new(uid, attributes, HashSet::from([EntityUid::clone(parent)]))
            .map_err(|_error| QuestionMisfit::Value.into())
    }
}
