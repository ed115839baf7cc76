//! Whom an event is about (RFC 9493, SSF §3).

use exequatur_token::json::{Object, Value};

use crate::set::{Member, SetError};

/// Whom an event is about. Members that are not known are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One identifier.
    Simple(Identifier),
    /// Several, which together name one thing: those of them that are read here.
    Complex(Box<Members>),
}

/// The members of a complex subject that are read (SSF §3.1.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The user.
    pub user: Option<Identifier>,
    /// The session.
    pub session: Option<Identifier>,
    /// The application.
    pub application: Option<Identifier>,
    /// Whether something else narrows it down further: a device, a group, a part of an organisation.
    pub narrowed: bool,
}

/// A subject identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    /// `iss_sub`
    IssuerSubject {
        /// The issuer.
        issuer: String,
        /// What it calls the subject.
        subject: String,
    },
    /// `email`
    Email(String),
    /// `opaque`
    Opaque(String),
    /// `jwt_id`
    Token {
        /// The issuer.
        issuer: String,
        /// The token's `jti`.
        id: String,
    },
    /// Of another format, such as a telephone number.
    Other,
}

const MEMBERS: [&str; 7] = ["user", "device", "session", "application", "tenant", "org_unit", "group"];

impl Subject {
    pub(crate) fn read(value: &Value) -> Result<Self, SetError> {
        let object = value.as_object().ok_or(MALFORMED)?;
        if format(object)? != "complex" {
            return Ok(Self::Simple(Identifier::read(object)?));
        }
        let mut members = Members::default();
        let mut some = false;
        for name in MEMBERS {
            let Some(member) = object.get(name) else { continue };
            let identifier = Identifier::read(member.as_object().ok_or(MALFORMED)?)?;
            some = true;
            match name {
                "user" => members.user = Some(identifier),
                "session" => members.session = Some(identifier),
                "application" => members.application = Some(identifier),
                // Users are of one tenant here.
                "tenant" => {}
                _ => members.narrowed = true,
            }
        }
        // Other names may be used; a subject of none at all names nothing.
        if some || object.len() > 1 { Ok(Self::Complex(Box::new(members))) } else { Err(MALFORMED) }
    }

    /// The id of a subject that is opaque and nothing else.
    #[must_use]
    pub fn opaque(&self) -> Option<&str> {
        match self {
            Self::Simple(Identifier::Opaque(id)) => Some(id),
            Self::Simple(
                Identifier::IssuerSubject { .. }
                | Identifier::Email(_)
                | Identifier::Token { .. }
                | Identifier::Other,
            )
            | Self::Complex(_) => None,
        }
    }
}

impl Identifier {
    fn read(object: &Object) -> Result<Self, SetError> {
        let member = |name: &str| {
            let text = object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(ToOwned::to_owned).ok_or(MALFORMED)
        };
        Ok(match format(object)? {
            "iss_sub" => Self::IssuerSubject { issuer: member("iss")?, subject: member("sub")? },
            "email" => Self::Email(member("email")?),
            "opaque" => Self::Opaque(member("id")?),
            "jwt_id" => Self::Token { issuer: member("iss")?, id: member("jti")? },
            // A complex subject has simple members.
            "complex" => return Err(MALFORMED),
            _ => Self::Other,
        })
    }
}

fn format(object: &Object) -> Result<&str, SetError> {
    object.get("format").and_then(Value::as_str).ok_or(MALFORMED)
}

const MALFORMED: SetError = SetError::Invalid(Member::SubId);
