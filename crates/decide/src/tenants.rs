//! What the configuration says of tenants: for policies, and for nothing else.

use std::collections::BTreeMap;

use exequatur_policy::TenantFact;

/// What is said of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantTraits {
    /// How its data is classified, in the operator's words.
    pub classification: Option<String>,
    /// Where it is at home, in the operator's words.
    pub region: Option<String>,
}

/// Tenants of which something is said, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants(BTreeMap<String, TenantTraits>);

impl Tenants {
    /// What is said of these; of others, nothing.
    #[must_use]
    pub fn new(traits: BTreeMap<String, TenantTraits>) -> Self {
        Self(traits)
    }

    /// Every tenant of which something is said, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TenantTraits)> {
        self.0.iter().map(|(name, traits)| (name.as_str(), traits))
    }

    /// What is said of a tenant.
    #[must_use]
    pub fn traits(&self, tenant: &str) -> Option<&TenantTraits> {
        self.0.get(tenant)
    }

    /// A tenant as policies see it.
    pub(crate) fn fact<'a>(&'a self, name: &'a str) -> TenantFact<'a> {
        let said = self.traits(name);
        TenantFact {
            name,
            classification: said.and_then(|said| said.classification.as_deref()),
            region: said.and_then(|said| said.region.as_deref()),
        }
    }
}
