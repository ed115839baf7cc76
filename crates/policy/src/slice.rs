use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Entity, EntityTypeName, EntityUid, Policy, PolicySet as CedarSet, ResourceConstraint,
};

use crate::needs::Needs;
use crate::problem::{Problem, Problems};
use crate::schema::MergedSchema;
use crate::shape::ResourceType;

/// The policies that can matter to a question, found by its action and resource.
///
/// Cedar evaluates every policy of the set that it is given, about a microsecond for each, even where
/// the scope cannot match. So what scopes say of action and resource is compared once, at load. Leaving a policy out is sound
/// only because a resource has no ancestor but its tenant (see [`crate::Question`]).
#[derive(Debug)]
pub(crate) struct Slices {
    actions: HashMap<String, ActionSlices>,
}

#[derive(Debug)]
pub(crate) struct ActionSlices {
    pub(crate) uid: EntityUid,
    /// The action with the groups that it is in.
    pub(crate) entity: Entity,
    /// Whether a user can be its principal.
    pub(crate) takes_users: bool,
    kinds: HashMap<String, Slice>,
}

/// The policies for one action on one resource type.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) resource: Arc<ResourceType>,
    /// What its policies read.
    pub(crate) needs: Needs,
    general: CedarSet,
    /// Policies whose scope says `resource == …` or `resource in …`.
    named: HashMap<EntityUid, CedarSet>,
}

impl Slices {
    pub(crate) fn build<'p>(
        schema: &MergedSchema,
        policies: impl Iterator<Item = &'p Policy>,
    ) -> Result<Self, Problems> {
        let mut slices = Self::empty(schema)?;
        for policy in policies {
            let place = Place::of(policy);
            let rest = without_place(policy);
            for action in slices.actions.values_mut().filter(|action| action.concerns(policy)) {
                for slice in action.kinds.values_mut() {
                    slice.add(&place, &rest)?;
                }
            }
        }
        Ok(slices)
    }

    fn empty(schema: &MergedSchema) -> Result<Self, Problems> {
        let entities = schema
            .cedar
            .action_entities()
            .map_err(|error| Problems::of(vec![Problem::of_file("schema", error.to_string())]))?;
        let resources: BTreeMap<&str, Arc<ResourceType>> = schema
            .resources
            .iter()
            .map(|(name, resource)| (name.as_str(), Arc::new(resource.clone())))
            .collect();
        let mut actions = HashMap::new();
        for action in &schema.actions {
            let kinds = action.resources.iter().filter_map(|kind| {
                let resource = resources.get(kind.as_str())?;
                Some((kind.clone(), Slice::empty(Arc::clone(resource))))
            });
            let entity =
                entities.get(&action.uid).cloned().unwrap_or_else(|| Entity::with_uid(action.uid.clone()));
            let (uid, takes_users, kinds) = (action.uid.clone(), action.takes_users, kinds.collect());
            let slices = ActionSlices { uid, entity, takes_users, kinds };
            actions.insert(action.name.clone(), slices);
        }
        Ok(Self { actions })
    }

    pub(crate) fn action(&self, name: &str) -> Option<&ActionSlices> {
        self.actions.get(name)
    }

    pub(crate) fn action_names(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }
}

impl ActionSlices {
    pub(crate) fn on(&self, kind: &str) -> Option<&Slice> {
        self.kinds.get(kind)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    fn concerns(&self, policy: &Policy) -> bool {
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => action == self.uid,
            ActionConstraint::In(actions) => actions.iter().any(|action| self.is_in(action)),
        }
    }

    fn is_in(&self, group: &EntityUid) -> bool {
        *group == self.uid || self.entity.as_ref().is_descendant_of(group.as_ref())
    }
}

impl Slice {
    fn empty(resource: Arc<ResourceType>) -> Self {
        Self { resource, needs: Needs::default(), general: CedarSet::new(), named: HashMap::new() }
    }

    /// The sets to evaluate for a resource: those that name it, those that name its tenant, the rest.
    /// No policy is in two of them.
    pub(crate) fn sets<'s>(
        &'s self,
        resource: &EntityUid,
        tenant: Option<&EntityUid>,
    ) -> impl Iterator<Item = &'s CedarSet> {
        let named = self.named.get(resource);
        let tenant = tenant.filter(|tenant| *tenant != resource).and_then(|tenant| self.named.get(tenant));
        std::iter::once(&self.general).chain(named).chain(tenant)
    }

    /// Adds what is left of a policy, if it can matter to this resource type.
    fn add(&mut self, place: &Place, rest: &Policy) -> Result<(), Problems> {
        let set = match place {
            Place::Of(kind) | Place::At(Some(kind), _) if *kind != self.resource.name => return Ok(()),
            Place::Anywhere | Place::Of(_) => &mut self.general,
            Place::At(_, entity) => self.named.entry(entity.clone()).or_default(),
        };
        set.add(rest.clone())
            .map_err(|error| Problems::of(vec![Problem::of_file(".", error.to_string())]))?;
        self.needs.add(rest);
        Ok(())
    }
}

/// What the scope says of the resource.
enum Place {
    /// Nothing.
    Anywhere,
    /// A type.
    Of(EntityTypeName),
    /// An entity that the resource is, or is in, and the type if the scope says one.
    At(Option<EntityTypeName>, EntityUid),
}

impl Place {
    fn of(policy: &Policy) -> Self {
        match policy.resource_constraint() {
            ResourceConstraint::Any => Self::Anywhere,
            ResourceConstraint::Is(kind) => Self::Of(kind),
            ResourceConstraint::Eq(entity) => Self::At(Some(entity.type_name().clone()), entity),
            ResourceConstraint::In(entity) => Self::At(None, entity),
            ResourceConstraint::IsIn(kind, entity) => Self::At(Some(kind), entity),
        }
    }
}

/// The policy without what its scope says of action and resource: wherever a slice holds it, that is so. Cedar
/// would compare both again for each decision, which takes longer than most conditions. A policy that cannot be
/// rewritten stays whole.
fn without_place(policy: &Policy) -> Policy {
    let rewritten = policy.to_json().ok().and_then(|mut json| {
        for part in ["action", "resource"] {
            *json.get_mut(part)? = serde_json::json!({ "op": "All" });
        }
        Policy::from_json(Some(policy.id().clone()), json).ok()
    });
    rewritten.unwrap_or_else(|| policy.clone())
}

/// Whether the scope names neither an action nor a resource, so that the policy costs time in every
/// decision.
pub(crate) fn is_unscoped(policy: &Policy) -> bool {
    matches!(policy.action_constraint(), ActionConstraint::Any)
        && matches!(policy.resource_constraint(), ResourceConstraint::Any)
}

#[cfg(test)]
mod tests;
