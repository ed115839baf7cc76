//! What exactly must have been granted (RFC 9396).
//!
//! A detail is a grant within its type, and each of its members narrows it. So a detail meets what a route asks only
//! if everything that it says is judged, here or by the upstream.

use std::sync::Arc;

use exequatur_token::AuthorizationDetail;

use crate::template::{Parameters, Template};

/// An entry of a route's `authorization_details`: one detail of the token must meet it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetailTemplate {
    /// The detail's type, byte by byte.
    pub kind: String,
    /// Actions that it must all name.
    pub actions: Vec<String>,
    /// Data types that it must all name.
    pub datatypes: Vec<String>,
    /// Privileges that it must all name.
    pub privileges: Vec<String>,
    /// The identifier that it must have.
    pub identifier: Option<Template>,
    /// Whether it must say where it holds.
    pub locations: Locations,
    /// Members that it may have and that nobody judges here: the upstream has to.
    pub unjudged: Vec<String>,
}

/// Whether a detail must have `locations`. One that has them must name the audience that the route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locations {
    /// Without them it holds wherever the token does, which the token's audience bounds.
    Optional,
    /// Without them it meets nothing.
    Required,
}

/// An entry as one request asks for it.
#[derive(Debug)]
pub(crate) struct NeededDetail {
    entry: Arc<DetailTemplate>,
    identifier: Option<String>,
}

impl NeededDetail {
    /// `entry`, filled in; `None` if a parameter is missing, which loading rules out.
    pub(crate) fn fill(entry: &Arc<DetailTemplate>, parameters: &Parameters) -> Option<Self> {
        let identifier = match &entry.identifier {
            Some(template) => Some(template.fill(parameters)?),
            None => None,
        };
        Some(Self { entry: Arc::clone(entry), identifier })
    }

    /// Whether the members that only the type of `detail` has are all left to the upstream.
    pub(crate) fn leaves_others_of(&self, detail: &AuthorizationDetail) -> bool {
        detail.kind() == self.entry.kind && detail.others().all(|other| self.entry.leaves(other))
    }

    /// Whether `detail` alone meets it (S02), in a token for `audience`.
    pub(crate) fn is_met_by(&self, detail: &AuthorizationDetail, audience: &str) -> bool {
        let entry = &*self.entry;
        let located = match (detail.locations(), entry.locations) {
            (None, Locations::Optional) => true,
            (None, Locations::Required) => false,
            (Some(named), Locations::Optional | Locations::Required) => {
                named.iter().any(|location| **location == *audience)
            }
        };
        let identified = match (detail.identifier(), &self.identifier) {
            (Some(own), Some(asked)) => own == asked,
            (None, Some(_)) => false,
            (Some(_), None) => entry.leaves("identifier"),
            (None, None) => true,
        };
        detail.kind() == entry.kind
            && located
            && identified
            && entry.covers("actions", detail.actions(), &entry.actions)
            && entry.covers("datatypes", detail.datatypes(), &entry.datatypes)
            && entry.covers("privileges", detail.privileges(), &entry.privileges)
            && detail.others().all(|other| entry.leaves(other))
    }
}

impl DetailTemplate {
    /// Whether a member names all that is asked. One of which nothing is asked narrows the detail to something that was
    /// not looked at.
    fn covers(&self, member: &str, named: Option<&[Box<str>]>, asked: &[String]) -> bool {
        match named {
            None => asked.is_empty(),
            Some(_) if asked.is_empty() => self.leaves(member),
            Some(named) => asked.iter().all(|asked| named.iter().any(|own| **own == **asked)),
        }
    }

    fn leaves(&self, member: &str) -> bool {
        self.unjudged.iter().any(|left| left == member)
    }
}
