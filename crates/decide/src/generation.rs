//! One validated set of routes, schema and policies, switched as a whole.

use std::sync::Arc;

use exequatur_policy::PolicySet;

use crate::limits::LimitRules;
use crate::routes::Routes;

/// What a request is decided under. A request takes one at its beginning and keeps it.
#[derive(Debug)]
pub struct Generation {
    /// Counts up from 1 with each accepted change.
    pub number: u64,
    /// The routes, checked against the policies beside them.
    pub routes: Routes,
    /// What requests to guarded routes are charged to.
    pub limits: Arc<LimitRules>,
    /// The policies and their schema.
    pub policies: Arc<PolicySet>,
    /// SHA-256 over the configuration and the schema: a verified token made under another is verified anew.
    pub configuration: [u8; 32],
}
