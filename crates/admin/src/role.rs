//! What a caller may do at all.

use std::fmt;

/// A role. Nobody has one by chance: the socket's owner is administrator, everybody else has what the configuration gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks.
    Reader,
    /// Stops things, and looks.
    Revoker,
    /// Decides on approvals, and looks.
    Approver,
    /// Everything: also lets go on what was stopped, and changes limits.
    Administrator,
}

impl Role {
    /// Every role.
    pub const EVERY: [Self; 4] = [Self::Reader, Self::Revoker, Self::Approver, Self::Administrator];

    /// Its word, in configurations and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Revoker => "revoker",
            Self::Approver => "approver",
            Self::Administrator => "administrator",
        }
    }

    /// Whether whoever has this role may do what asks for `needed`. A revoker is no approver, and the other way round (E-03).
    #[must_use]
    pub const fn covers(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Administrator, _)
            | (_, Self::Reader)
            | (Self::Revoker, Self::Revoker)
            | (Self::Approver, Self::Approver) => true,
            (Self::Reader | Self::Approver, Self::Revoker)
            | (Self::Reader | Self::Revoker, Self::Approver)
            | (Self::Reader | Self::Revoker | Self::Approver, Self::Administrator) => false,
        }
    }
}

/// The roles of one caller; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// None if there is no role.
    #[must_use]
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Option<Self> {
        let mut known: Vec<Role> = Vec::new();
        for role in roles {
            if !known.contains(&role) {
                known.push(role);
            }
        }
        (!known.is_empty()).then_some(Self(known))
    }

    /// Whether any of them covers `needed`.
    #[must_use]
    pub fn cover(&self, needed: Role) -> bool {
        self.0.iter().any(|role| role.covers(needed))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|role| role.word()).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-03: what each role covers, every pair.
    #[test]
    fn a_role_covers_no_more_than_it_says() {
        use Role::{Administrator, Approver, Reader, Revoker};
        for (role, covered) in [
            (Reader, &[Reader][..]),
            (Revoker, &[Reader, Revoker]),
            (Approver, &[Reader, Approver]),
            (Administrator, &Role::EVERY),
        ] {
            for needed in Role::EVERY {
                assert_eq!(role.covers(needed), covered.contains(&needed), "{role:?} for {needed:?}");
            }
        }
    }

    #[test]
    fn roles_add_up_and_none_is_no_caller() {
        assert_eq!(Roles::new([]), None);
        let both = Roles::new([Role::Approver, Role::Revoker, Role::Revoker]).unwrap();
        assert!(both.cover(Role::Revoker) && both.cover(Role::Approver) && !both.cover(Role::Administrator));
        assert_eq!(both.to_string(), "approver,revoker");
    }
}
