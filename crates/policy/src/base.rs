//! The schema that every policy folder builds on.

/// The base schema's text, in Cedar's schema syntax.
pub const BASE_SCHEMA: &str = include_str!("base.cedarschema");

/// The base schema's version. It grows with each change that a policy could notice, and is part of
/// the content hash of every policy set.
pub const BASE_SCHEMA_VERSION: u32 = 3;

/// The name under which problems of the base schema are shown.
pub(crate) const FILE: &str = "base.cedarschema (built in)";

pub(crate) const NAMESPACE: &str = "Exequatur";
pub(crate) const AGENT: &str = "Exequatur::Agent";
pub(crate) const USER: &str = "Exequatur::User";
pub(crate) const TENANT: &str = "Exequatur::Tenant";
pub(crate) const CONTEXT: &str = "Exequatur::Context";
