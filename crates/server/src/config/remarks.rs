//! What is allowed and may not be what was meant.

use super::Config;

/// A sentence for each, in the order of the file.
#[must_use]
pub fn remarks(config: &Config) -> Vec<String> {
    let profiles = config.issuers.iter().map(|issuer| &issuer.profile);
    let unmarked =
        profiles.filter(|profile| profile.claims.user.as_ref().is_some_and(|user| !user.is_marked()));
    unmarked
        .map(|profile| format!("issuer {}: claims.user has no mark: {NOT_MARKED}", profile.name))
        .collect()
}

/// J07: what it means that neither `when` nor `unless` is there.
pub(super) const NOT_MARKED: &str = "nothing but the comparison with the client tells a user, and a client's own \
    token that is exchanged counts as a user's (docs/how-to/token-layouts.md)";
