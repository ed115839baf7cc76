//! `authorization_details`: what exactly was granted (RFC 9396 §2, §9.1).
//!
//! Of each detail the common members are read (§2.2). A type may have members of its own, and each may narrow what
//! is granted: their names are kept, so that nobody takes a detail for more than was understood of it.

use crate::access::TokenError;
use crate::claims::Claim;
use crate::issuer::check_id;
use crate::json::{Object, Value};

/// Most details of one token.
const MAX_DETAILS: usize = 16;
/// Most strings in one member of a detail.
const MAX_STRINGS: usize = 32;
/// Longest location, in bytes: a URI, usually.
const MAX_LOCATION_BYTES: usize = 1024;

/// The details of a token, in the order written; none if it has no such claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationDetails(Box<[AuthorizationDetail]>);

/// One detail: within its type, the product of what its members name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationDetail {
    kind: Box<str>,
    actions: Named,
    datatypes: Named,
    locations: Named,
    privileges: Named,
    identifier: Option<Box<str>>,
    others: Box<[Box<str>]>,
}

/// The strings of a member; `None` if there is no such member.
type Named = Option<Box<[Box<str>]>>;

impl AuthorizationDetails {
    /// Reads `authorization_details` of `payload`: an array of 1 to 16 objects.
    pub(crate) fn from_payload(payload: &Object) -> Result<Self, TokenError> {
        let Some(value) = payload.get("authorization_details") else { return Ok(Self::default()) };
        let read = || {
            let details = value.as_array()?;
            if !(1..=MAX_DETAILS).contains(&details.len()) {
                return None;
            }
            details.iter().map(|detail| AuthorizationDetail::read(detail.as_object()?)).collect()
        };
        read().map(Self).ok_or(TokenError::ClaimInvalid(Claim::AuthorizationDetails))
    }

    /// The details, at most 16.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizationDetail> {
        self.0.iter()
    }
}

impl AuthorizationDetail {
    /// `type` must be there; of the other common members each that is there must be of its type.
    fn read(detail: &Object) -> Option<Self> {
        let short = |text: &str| check_id(text).is_ok();
        let location = |text: &str| {
            (1..=MAX_LOCATION_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        let kind = detail.get("type")?.as_str().filter(|text| short(text))?;
        let mut read = Self {
            kind: kind.into(),
            actions: None,
            datatypes: None,
            locations: None,
            privileges: None,
            identifier: None,
            others: Box::default(),
        };
        let mut others = Vec::new();
        for (name, value) in detail.iter() {
            match name {
                "type" => {}
                "actions" => read.actions = Some(strings(value, short)?),
                "datatypes" => read.datatypes = Some(strings(value, short)?),
                "locations" => read.locations = Some(strings(value, location)?),
                "privileges" => read.privileges = Some(strings(value, short)?),
                "identifier" => {
                    read.identifier = Some(value.as_str().filter(|text| short(text))?.into());
                }
                other => others.push(other.into()),
            }
        }
        read.others = others.into();
        Some(read)
    }

    /// `type`: 1 to 256 characters, compared byte by byte.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// `actions`, at most 32 of 1 to 256 characters; `None` if the detail does not say.
    #[must_use]
    pub fn actions(&self) -> Option<&[Box<str>]> {
        self.actions.as_deref()
    }

    /// `datatypes`, in the same bounds.
    #[must_use]
    pub fn datatypes(&self) -> Option<&[Box<str>]> {
        self.datatypes.as_deref()
    }

    /// `locations`, at most 32 of 1 to 1024 bytes.
    #[must_use]
    pub fn locations(&self) -> Option<&[Box<str>]> {
        self.locations.as_deref()
    }

    /// `privileges`, in the bounds of [`Self::actions`].
    #[must_use]
    pub fn privileges(&self) -> Option<&[Box<str>]> {
        self.privileges.as_deref()
    }

    /// `identifier`: one resource, 1 to 256 characters.
    #[must_use]
    pub fn identifier(&self) -> Option<&str> {
        self.identifier.as_deref()
    }

    /// The names of members that are the type's own, whose values are not read.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(AsRef::as_ref)
    }
}

fn strings(value: &Value, fits: impl Fn(&str) -> bool) -> Option<Box<[Box<str>]>> {
    let members = value.as_array().filter(|members| members.len() <= MAX_STRINGS)?;
    members.iter().map(|member| member.as_str().filter(|text| fits(text)).map(Box::from)).collect()
}
