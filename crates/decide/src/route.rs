//! Second stage: what is asked.

use std::sync::Arc;

use exequatur_policy::AttributeValue;
use exequatur_token::TargetUri;

use crate::authorization_details::NeededDetail;
use crate::denial::{Denial, Fault, Refusal};
use crate::presented::Presented;
use crate::protected::ProtectedResource;
use crate::routes::{Access, AttributeTemplate, CredentialHandling, Guard, Routes};
use crate::template::Parameters;
use crate::trail::Trail;

/// What the request asks for.
#[derive(Debug)]
pub(crate) enum Routed {
    /// Nothing that needs an identity.
    Public(PublicRequest),
    /// Something that needs one.
    Guarded(Box<GuardedRequest>),
}

/// Evidence that a public route, and no guarded one, matched.
#[derive(Debug)]
pub(crate) struct PublicRequest {
    _matched: Matched,
}

/// Evidence that a guarded route matched, and what it means for this request.
#[derive(Debug)]
pub(crate) struct GuardedRequest {
    pub(crate) presented: Presented,
    pub(crate) protected: Arc<ProtectedResource>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) route: String,
    /// What a proof's `htu` must name.
    pub(crate) target: TargetUri,
    pub(crate) resource: RequestedResource,
    /// The scopes that are needed, filled in.
    pub(crate) scopes: Vec<String>,
    /// The authorization details that are needed, filled in.
    pub(crate) details: Vec<NeededDetail>,
    _matched: Matched,
}

/// The resource that the request names.
#[derive(Debug)]
pub(crate) struct RequestedResource {
    pub(crate) id: String,
    pub(crate) tenant: Option<String>,
    pub(crate) attributes: Vec<(String, AttributeValue)>,
}

impl GuardedRequest {
    /// What the request is about: this resource, or the upstream that the token is passed on to.
    pub(crate) fn audience(&self) -> &str {
        self.named().0
    }

    /// The audiences of which the token must be for one: [`Self::audience`], and this resource's aliases.
    pub(crate) fn audiences(&self) -> impl Iterator<Item = &str> {
        let (audience, aliases) = self.named();
        std::iter::once(audience).chain(aliases.iter().map(String::as_str))
    }

    fn named(&self) -> (&str, &[String]) {
        match &self.guard.credentials {
            CredentialHandling::Strip => (&self.protected.identifier, &self.protected.aliases),
            CredentialHandling::Forward { audience } => (audience, &[]),
        }
    }
}

/// Only [`route`] makes it.
#[derive(Debug)]
struct Matched(());

/// Finds the route.
///
/// # Errors
/// [`Denial::HostUnknown`], [`Denial::RouteUnmatched`].
pub(crate) fn route(presented: Presented, routes: &Routes, trail: &mut Trail<'_>) -> Result<Routed, Refusal> {
    let protected = routes.protected().by_host(&presented.host).ok_or(Denial::HostUnknown)?;
    let (entry, parameters) = routes
        .find(&presented.host, &presented.method, presented.path.segments(), presented.preflight)
        .ok_or(Denial::RouteUnmatched)?;
    // What is asked for is another protocol; that the method and the path fit says nothing of it (B-11).
    if presented.upgrade.as_deref().is_some_and(|protocol| !entry.access.upgrades_to(protocol)) {
        return Err(Denial::RouteUnmatched.into());
    }
    trail.facts.route = Some(entry.name.clone());
    if let Some(parts) = &entry.record {
        let values = parts.path_parameters.iter().filter_map(|part| parameters.get_key_value(&part.name));
        trail.facts.parameters = values.map(|(name, value)| (name.clone(), value.clone())).collect();
        trail.facts.recorded = Some(Arc::clone(parts));
    }
    let guard = match &entry.access {
        Access::Public | Access::Preflight => {
            return Ok(Routed::Public(PublicRequest { _matched: Matched(()) }));
        }
        Access::Guarded(guard) => guard,
    };
    // Loading has checked that every template finds its parameters, so a miss is a defect, and denies.
    let resource = requested(guard, &parameters).ok_or(Fault::Internal)?;
    let scopes: Option<Vec<_>> = guard.scopes.iter().map(|scope| scope.fill(&parameters)).collect();
    let scopes = scopes.ok_or(Fault::Internal)?;
    let details = guard.authorization_details.iter().map(|detail| NeededDetail::fill(detail, &parameters));
    let details: Option<Vec<_>> = details.collect();
    let details = details.ok_or(Fault::Internal)?;
    trail.facts.sender_needed = Some(guard.sender);
    trail.facts.hide = guard.hide;
    trail.facts.principals = guard.principals;
    trail.facts.action = Some(guard.action.clone());
    trail.facts.resource_type = Some(guard.resource.kind.clone());
    trail.facts.resource_id = Some(resource.id.clone());
    trail.facts.resource_tenant.clone_from(&resource.tenant);
    trail.facts.scopes_needed.clone_from(&scopes);
    trail.facts.step_up_needed.clone_from(&guard.step_up);
    let target =
        TargetUri::new(&protected.origin, presented.path.raw()).map_err(|_refused| Fault::Internal)?;
    Ok(Routed::Guarded(Box::new(GuardedRequest {
        protected: Arc::clone(protected),
        guard: Arc::clone(guard),
        route: entry.name.clone(),
        target,
        resource,
        scopes,
        details,
        presented,
        _matched: Matched(()),
    })))
}

fn requested(guard: &Guard, parameters: &Parameters) -> Option<RequestedResource> {
    let tenant = match &guard.resource.tenant {
        Some(template) => Some(template.fill(parameters)?),
        None => None,
    };
    let mut attributes = Vec::with_capacity(guard.resource.attributes.len());
    for (name, template) in &guard.resource.attributes {
        attributes.push((name.clone(), attribute(template, parameters)?));
    }
    Some(RequestedResource { id: guard.resource.id.fill(parameters)?, tenant, attributes })
}

fn attribute(template: &AttributeTemplate, parameters: &Parameters) -> Option<AttributeValue> {
    Some(match template {
        AttributeTemplate::Text(text) => AttributeValue::String(text.fill(parameters)?),
        AttributeTemplate::Long(number) => AttributeValue::Long(*number),
        AttributeTemplate::Bool(value) => AttributeValue::Bool(*value),
        AttributeTemplate::Set(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| attribute(item, parameters)).collect();
            AttributeValue::Set(items?)
        }
        AttributeTemplate::Entity { kind, id } => {
            AttributeValue::Entity { kind: kind.clone(), id: id.fill(parameters)? }
        }
    })
}
