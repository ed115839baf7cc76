//! What can be asked for: one line for each path and method. Routes, roles, records and the description of the API are
//! made from this table.

use axum::http::Method;

use crate::role::Role;

/// One thing that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Status,
    ListRevocations,
    Revoke,
    Undo,
    Suspend,
    Resume,
    Kill,
    ListLimits,
    SetLimit,
    ResetLimit,
    ShowDecision,
    Describe,
}

impl Operation {
    pub(crate) const EVERY: [Self; 12] = [
        Self::Status,
        Self::ListRevocations,
        Self::Revoke,
        Self::Undo,
        Self::Suspend,
        Self::Resume,
        Self::Kill,
        Self::ListLimits,
        Self::SetLimit,
        Self::ResetLimit,
        Self::ShowDecision,
        Self::Describe,
    ];

    /// As the router has it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Status => "/v1/status",
            Self::ListRevocations | Self::Revoke => "/v1/revocations",
            Self::Undo => "/v1/revocations/undo",
            Self::Suspend => "/v1/agents/{id}/suspend",
            Self::Resume => "/v1/agents/{id}/resume",
            Self::Kill => "/v1/kill",
            Self::ListLimits => "/v1/limits",
            Self::SetLimit => "/v1/limits/{limit}/set",
            Self::ResetLimit => "/v1/limits/{limit}/reset",
            Self::ShowDecision => "/v1/decisions/{id}",
            Self::Describe => "/v1/openapi.json",
        }
    }

    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Status | Self::ListRevocations | Self::ListLimits | Self::ShowDecision | Self::Describe => {
                Method::GET
            }
            Self::Revoke
            | Self::Undo
            | Self::Suspend
            | Self::Resume
            | Self::Kill
            | Self::SetLimit
            | Self::ResetLimit => Method::POST,
        }
    }

    /// The least that the caller has to be. Whoever may stop something may not let it go on (E-09), and limits may widen what
    /// is permitted.
    pub(crate) const fn needs(self) -> Role {
        match self {
            Self::Status | Self::ListRevocations | Self::ListLimits | Self::ShowDecision | Self::Describe => {
                Role::Reader
            }
            Self::Revoke | Self::Suspend | Self::Kill => Role::Revoker,
            Self::Undo | Self::Resume | Self::SetLimit | Self::ResetLimit => Role::Administrator,
        }
    }

    /// Its word in records.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::ListRevocations => "list_revocations",
            Self::Revoke => "revoke",
            Self::Undo => "undo",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Kill => "kill",
            Self::ListLimits => "list_limits",
            Self::SetLimit => "set_limit",
            Self::ResetLimit => "reset_limit",
            Self::ShowDecision => "show_decision",
            Self::Describe => "describe",
        }
    }

    /// Whether it stops something: that is done even where no record can be kept.
    pub(crate) const fn narrows(self) -> bool {
        match self {
            Self::Revoke | Self::Suspend | Self::Kill => true,
            Self::Status
            | Self::ListRevocations
            | Self::Undo
            | Self::Resume
            | Self::ListLimits
            | Self::SetLimit
            | Self::ResetLimit
            | Self::ShowDecision
            | Self::Describe => false,
        }
    }
}

/// What can be asked for, for whoever has to know it all: the description of the API, and the matrix that tests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// With names of parameters in braces.
    pub path: &'static str,
    /// The least role.
    pub needs: Role,
    /// Its word in records.
    pub word: &'static str,
}

/// Everything that can be asked for.
#[must_use]
pub fn operations() -> Vec<Described> {
    let described = |operation: Operation| Described {
        method: if operation.method() == Method::GET { "GET" } else { "POST" },
        path: operation.path(),
        needs: operation.needs(),
        word: operation.word(),
    };
    Operation::EVERY.into_iter().map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path_and_a_word_of_its_own() {
        for (at, one) in Operation::EVERY.into_iter().enumerate() {
            for other in Operation::EVERY.into_iter().skip(at + 1) {
                assert!(one.path() != other.path() || one.method() != other.method(), "{one:?} {other:?}");
                assert_ne!(one.word(), other.word());
            }
            assert_eq!(one.method() == Method::GET, one.needs() == Role::Reader, "{one:?}");
        }
    }
}
