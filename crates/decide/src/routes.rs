//! Routes: what a host, path and method mean. Checked and compiled once.

mod pattern;
mod precedence;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

pub use pattern::{PathPattern, PatternError};

use exequatur_policy::{PolicySet, Principals};
use thiserror::Error;

use crate::authorization_details::DetailTemplate;
use crate::host::Host;
use crate::protected::ProtectedResources;
use crate::recorded::RecordedParts;
use crate::sender::SenderRequirement;
use crate::step_up::StepUp;
use crate::template::{Parameters, Template};

/// One route, as configured.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique; in records and metrics.
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What it asks of them.
    pub access: Access,
    /// Which of their parts are recorded, if any are.
    pub record: Option<Arc<RecordedParts>>,
}

/// Which requests a route takes.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// Only this host; any configured host where absent.
    pub host: Option<Host>,
    /// The path.
    pub path: PathPattern,
    /// The methods, byte for byte; never empty.
    pub methods: Vec<String>,
}

/// What a route asks of a request.
#[derive(Clone, Debug)]
pub enum Access {
    /// Nothing. Credentials are removed, and the upstream learns no identity.
    Public,
    /// The shape of a CORS preflight, and nothing else.
    Preflight,
    /// An identity, and a policy that permits.
    Guarded(Arc<Guard>),
}

/// What a guarded route asks, and means.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The action, as the policy schema names it.
    pub action: String,
    /// The resource.
    pub resource: ResourceTemplate,
    /// Scopes that the token must all hold.
    pub scopes: Vec<Template>,
    /// Whether it takes requests on behalf of a user, and others.
    pub user: UserRequirement,
    /// Whom the policies have to permit it.
    pub principals: Principals,
    /// How, and how recently, the user must have been authenticated.
    pub step_up: Option<StepUp>,
    /// What must have been granted in detail: each by one detail of the token.
    pub authorization_details: Vec<Arc<DetailTemplate>>,
    /// How the sender must be constrained: never less than the general setting.
    pub sender: SenderRequirement,
    /// What becomes of the caller's credentials.
    pub credentials: CredentialHandling,
    /// Answer 404 where the answer would be 403 (E06).
    pub hide: bool,
    /// Protocols, in lower case, that a connection may be switched to; what is said over it then is not judged.
    pub upgrades: Vec<String>,
    /// What a request costs of each limit that applies.
    pub cost: NonZeroU32,
}

/// Whether a route takes requests on behalf of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserRequirement {
    /// With a user and without.
    #[default]
    Any,
    /// Only with a user.
    Required,
    /// Only without: what an agent does for itself.
    Refused,
}

/// The resource that a guarded route names.
#[derive(Clone, Debug)]
pub struct ResourceTemplate {
    /// Its type, as the policy schema names it.
    pub kind: String,
    /// Its id.
    pub id: Template,
    /// Its tenant; the token must be of the same one.
    pub tenant: Option<Template>,
    /// Attributes that policies see.
    pub attributes: Vec<(String, AttributeTemplate)>,
}

/// An attribute of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeTemplate {
    /// Text, with parameters.
    Text(Template),
    /// A number.
    Long(i64),
    /// A truth value.
    Bool(bool),
    /// A set.
    Set(Vec<Self>),
    /// A reference to another entity, such as the owner.
    Entity {
        /// The entity's type.
        kind: String,
        /// The entity's id.
        id: Template,
    },
}

/// What becomes of `authorization` and `dpop` on a permitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialHandling {
    /// Removed: the upstream sees who called, never the token.
    Strip,
    /// Passed on, to an upstream that the token is meant for (X09).
    Forward {
        /// The upstream's own audience, which the token must carry.
        audience: String,
    },
}

/// Something about a route that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("route `{route}`: {cause}")]
pub struct RouteProblem {
    /// Position in the configuration, from 0.
    pub index: usize,
    /// The route's name.
    pub route: String,
    /// Which part of it.
    pub field: &'static str,
    /// What is wrong.
    pub cause: RouteMisfit,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteMisfit {
    /// Two routes of one name.
    #[error("another route has this name")]
    NameTaken,
    /// The host belongs to no protected resource.
    #[error("host `{0}` belongs to no protected resource")]
    HostUnknown(Host),
    /// A method that can match nothing or not this access.
    #[error("`access: preflight` takes exactly the method OPTIONS")]
    PreflightMethod,
    /// A parameter that the path does not have.
    #[error("parameter `{0}` is not in the path")]
    ParameterUnknown(String),
    /// Some requests match both, and neither is more specific.
    #[error("matches the same requests as route `{0}`, and neither is more specific")]
    Ambiguous(String),
    /// A guarded route takes all that this public one would.
    #[error("every request is taken by the guarded route `{0}`: a public route never beats a guarded one")]
    Shadowed(String),
    /// A public `**` around a guarded route.
    #[error(
        "`**` on a public route takes every other spelling of the guarded route `{0}`: name the public paths"
    )]
    TooWide(String),
    /// The route asks for less than the general setting.
    #[error("asks for less of the sender than `sender_constraint.require`")]
    Loosened,
    /// The policies are to be asked about a user who may not be there.
    #[error("`principals: both` needs `user: required`")]
    UserNotRequired,
    /// It asks how a user was authenticated who may not be there.
    #[error(
        "`step_up` asks how the user was authenticated, and `user: refused` takes no user: no request meets both"
    )]
    StepUpOfNobody,
    /// The policy schema does not know it so.
    #[error("{0}")]
    Policy(exequatur_policy::RouteMisfit),
}

/// Every route, found by method, host and path.
#[derive(Debug)]
pub struct Routes {
    routes: Vec<Route>,
    by_host: HashMap<Host, Vec<usize>>,
    protected: ProtectedResources,
}

impl Routes {
    /// Checks the routes against each other, the protected resources and the policies.
    ///
    /// # Errors
    /// Every problem, not only the first.
    pub fn compile(
        routes: Vec<Route>,
        protected: ProtectedResources,
        policies: &PolicySet,
        least: SenderRequirement,
    ) -> Result<Self, Vec<RouteProblem>> {
        let mut problems = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let found = check_alone(route, &protected, policies, least)
                .into_iter()
                .chain(precedence::check_against(route, routes.iter().take(index)))
                .chain(precedence::check_shadow(route, &routes))
                .chain(precedence::check_wide(route, &routes));
            problems.extend(found.map(|(field, cause)| RouteProblem {
                index,
                route: route.name.clone(),
                field,
                cause,
            }));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let by_host = protected
            .iter()
            .map(|resource| {
                let here = routes.iter().enumerate().filter(|(_, route)| {
                    route.matches.host.as_ref().is_none_or(|host| *host == resource.host)
                });
                (resource.host.clone(), here.map(|(index, _)| index).collect())
            })
            .collect();
        Ok(Self { routes, by_host, protected })
    }

    /// The routes, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The route of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// The protected resources that the routes belong to.
    #[must_use]
    pub fn protected(&self) -> &ProtectedResources {
        &self.protected
    }

    /// The route for a request: the most specific guarded one, else the most specific public one.
    pub(crate) fn find(
        &self,
        host: &Host,
        method: &str,
        path: &[String],
        preflight: bool,
    ) -> Option<(&Route, Parameters)> {
        let candidates = self.by_host.get(host)?.iter().filter_map(|index| self.routes.get(*index));
        let mut best: Option<(&Route, Parameters)> = None;
        for route in candidates {
            let method_fits = route.matches.methods.iter().any(|m| m == method);
            let shape_fits = preflight || !matches!(route.access, Access::Preflight);
            if !method_fits || !shape_fits {
                continue;
            }
            if let Some(parameters) = route.matches.path.matches(path)
                && best.as_ref().is_none_or(|(current, _)| precedence::beats(route, current))
            {
                best = Some((route, parameters));
            }
        }
        best
    }
}

impl Access {
    /// Whether a connection may be switched to `protocol`.
    pub(crate) fn upgrades_to(&self, protocol: &str) -> bool {
        match self {
            Self::Public | Self::Preflight => false,
            Self::Guarded(guard) => guard.upgrades.iter().any(|known| known == protocol),
        }
    }
}

type Misfit = (&'static str, RouteMisfit);

fn check_alone(
    route: &Route,
    protected: &ProtectedResources,
    policies: &PolicySet,
    least: SenderRequirement,
) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    if let Some(host) = &route.matches.host
        && protected.by_host(host).is_none()
    {
        misfits.push(("match", RouteMisfit::HostUnknown(host.clone())));
    }
    for part in route.record.iter().flat_map(|parts| &parts.path_parameters) {
        if !route.matches.path.parameters().any(|known| known == part.name) {
            misfits.push(("record", RouteMisfit::ParameterUnknown(part.name.clone())));
        }
    }
    match &route.access {
        Access::Public => {}
        Access::Preflight => {
            if route.matches.methods != ["OPTIONS"] {
                misfits.push(("match", RouteMisfit::PreflightMethod));
            }
        }
        Access::Guarded(guard) => {
            let known: Vec<_> = route.matches.path.parameters().collect();
            for (field, template) in guard.templates() {
                let unknown = template.parameters().filter(|name| !known.contains(name));
                misfits.extend(unknown.map(|name| (field, RouteMisfit::ParameterUnknown(name.to_owned()))));
            }
            if !guard.sender.at_least(least) {
                misfits.push(("sender_constraint", RouteMisfit::Loosened));
            }
            let given = guard.resource.attributes.iter().map(|(name, _)| name.as_str());
            let given: Vec<_> = given.chain(guard.resource.tenant.iter().map(|_| "tenant")).collect();
            if let Err(misfit) = policies.takes(&guard.action, guard.principals) {
                misfits.push(("principals", RouteMisfit::Policy(misfit)));
            }
            if guard.principals == Principals::Both && guard.user != UserRequirement::Required {
                misfits.push(("principals", RouteMisfit::UserNotRequired));
            }
            if guard.step_up.is_some() && guard.user == UserRequirement::Refused {
                misfits.push(("step_up", RouteMisfit::StepUpOfNobody));
            }
            let fits = policies.knows(&guard.action, &guard.resource.kind, &given);
            let found = fits.err().into_iter().flatten();
            misfits.extend(found.map(|misfit| ("action", RouteMisfit::Policy(misfit))));
        }
    }
    misfits
}

impl Guard {
    fn templates(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let resource = [("resource", &self.resource.id)].into_iter();
        let tenant = self.resource.tenant.iter().map(|template| ("resource", template));
        let attributes = self.resource.attributes.iter().flat_map(|(_, attribute)| attribute.templates());
        let scopes = self.scopes.iter().map(|template| ("scopes", template));
        let details = self.authorization_details.iter().filter_map(|detail| detail.identifier.as_ref());
        let details = details.map(|template| ("authorization_details", template));
        let attributes = attributes.map(|template| ("resource", template));
        resource.chain(tenant).chain(attributes).chain(scopes).chain(details)
    }
}

impl AttributeTemplate {
    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) | Self::Entity { id: template, .. } => vec![template],
            Self::Long(_) | Self::Bool(_) => Vec::new(),
            Self::Set(items) => items.iter().flat_map(Self::templates).collect(),
        }
    }
}
