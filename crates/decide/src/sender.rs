//! How a sender must be constrained, and when a constraint is enough.

use crate::trail::SenderFact;

/// How the sender must be constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderRequirement {
    /// A bearer token will do.
    None,
    /// A DPoP proof or a client certificate, whichever the token names.
    Any,
    /// A DPoP proof.
    Dpop,
    /// A client certificate.
    Mtls,
}

impl SenderRequirement {
    /// Whether meeting `self` implies meeting `least`: a route may ask for more than the general setting.
    #[must_use]
    pub fn at_least(self, least: Self) -> bool {
        match (self, least) {
            (_, Self::None) => true,
            (Self::None, Self::Any | Self::Dpop | Self::Mtls) => false,
            (Self::Any | Self::Dpop | Self::Mtls, Self::Any) => true,
            (Self::Dpop, Self::Dpop) | (Self::Mtls, Self::Mtls) => true,
            (Self::Any | Self::Mtls, Self::Dpop) | (Self::Any | Self::Dpop, Self::Mtls) => false,
        }
    }

    pub(crate) fn is_met_by(self, sender: SenderFact) -> bool {
        match (self, sender) {
            (Self::None, _) => true,
            (Self::Any, SenderFact::Dpop | SenderFact::Mtls | SenderFact::DpopAndMtls) => true,
            (Self::Dpop, SenderFact::Dpop | SenderFact::DpopAndMtls) => true,
            (Self::Mtls, SenderFact::Mtls | SenderFact::DpopAndMtls) => true,
            (Self::Any | Self::Dpop | Self::Mtls, SenderFact::Bearer)
            | (Self::Dpop, SenderFact::Mtls)
            | (Self::Mtls, SenderFact::Dpop) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole matrix: requirement × sender.
    #[test]
    fn a_requirement_is_met_only_by_what_it_names() {
        use SenderFact::{Bearer, Dpop, DpopAndMtls, Mtls};
        let cases = [
            (SenderRequirement::None, [true, true, true, true]),
            (SenderRequirement::Any, [false, true, true, true]),
            (SenderRequirement::Dpop, [false, true, false, true]),
            (SenderRequirement::Mtls, [false, false, true, true]),
        ];
        for (requirement, met) in cases {
            for (sender, met) in [Bearer, Dpop, Mtls, DpopAndMtls].into_iter().zip(met) {
                assert_eq!(requirement.is_met_by(sender), met, "{requirement:?} {sender:?}");
            }
        }
    }

    /// A route never asks for less than the general setting: whatever meets it, meets that too.
    #[test]
    fn tightening_is_implication() {
        use SenderFact::{Bearer, Dpop, DpopAndMtls, Mtls};
        let all = [
            SenderRequirement::None,
            SenderRequirement::Any,
            SenderRequirement::Dpop,
            SenderRequirement::Mtls,
        ];
        for route in all {
            for general in all {
                let implied = [Bearer, Dpop, Mtls, DpopAndMtls]
                    .into_iter()
                    .filter(|sender| route.is_met_by(*sender))
                    .all(|sender| general.is_met_by(sender));
                assert_eq!(route.at_least(general), implied, "{route:?} {general:?}");
            }
        }
    }
}
