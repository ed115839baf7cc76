//! One validated set of routes, schema and policies, switched as a whole.

use std::sync::Arc;

use exequatur_policy::PolicySet;

use crate::federation::Federations;
use crate::limits::LimitRules;
use crate::routes::Routes;
use crate::tenants::Tenants;

/// What a request is decided under. A request takes one at its beginning and keeps it.
#[derive(Debug)]
pub struct Generation {
    /// Counts up from 1 with each accepted change.
    pub number: u64,
    /// The routes, checked against the policies beside them.
    pub routes: Routes,
    /// What requests to guarded routes are charged to.
    pub limits: Arc<LimitRules>,
    /// What policies may know of tenants.
    pub tenants: Tenants,
    /// By which routes a token of one tenant may ask for a resource of another.
    pub federations: Federations,
    /// The policies and their schema.
    pub policies: Arc<PolicySet>,
    /// SHA-256 over the configuration and the schema: a verified token made under another is verified anew.
    pub configuration: [u8; 32],
}
