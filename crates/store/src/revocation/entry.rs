//! Revocations: of whom, how, until when, and why.

use jiff::Timestamp;

/// Longest label, in bytes: an issuer's name, a colon, 256 characters.
pub const MAX_LABEL: usize = 1_100;
/// Longest reason, in bytes.
pub const MAX_REASON: usize = 1_000;
/// Longest name of who ordered it, in bytes.
pub const MAX_AUTHOR: usize = 300;

/// What kind of thing is revoked. The codes are on disks and in other replicas: never changed, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevocationKind {
    /// One token.
    TokenId,
    /// A sender's key or certificate.
    Key,
    /// An agent, wherever it stands in a chain.
    Agent,
    /// A user.
    User,
    /// A session.
    Session,
    /// An OAuth client.
    Client,
    /// A tenant.
    Tenant,
    /// An issuer.
    Issuer,
    /// Everything.
    All,
}

impl RevocationKind {
    /// Every kind, in the order of their codes.
    pub const EVERY: [Self; 9] = [
        Self::TokenId,
        Self::Key,
        Self::Agent,
        Self::User,
        Self::Session,
        Self::Client,
        Self::Tenant,
        Self::Issuer,
        Self::All,
    ];

    /// From 1 to 15.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::TokenId => 1,
            Self::Key => 2,
            Self::Agent => 3,
            Self::User => 4,
            Self::Session => 5,
            Self::Client => 6,
            Self::Tenant => 7,
            Self::Issuer => 8,
            Self::All => 9,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::EVERY.into_iter().find(|kind| kind.code() == code)
    }
}

/// What is revoked: a kind, and a digest that the caller makes. Digests are taken to be spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// The kind.
    pub kind: RevocationKind,
    /// 128 bits of a cryptographic digest of what it is called.
    pub digest: [u8; 16],
}

/// How a target is revoked. A target can be revoked in each form at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whatever it presents.
    Total,
    /// Whatever was issued at or before this second (V05).
    IssuedUntil(Timestamp),
    /// Whatever it presents, with a way back.
    Suspension,
}

impl Form {
    /// From 1 to 15; on disks and in other replicas.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Total => TOTAL,
            Self::IssuedUntil(_) => ISSUED_UNTIL,
            Self::Suspension => SUSPENSION,
        }
    }
}

pub(crate) const TOTAL: u8 = 1;
pub(crate) const ISSUED_UNTIL: u8 = 2;
pub(crate) const SUSPENSION: u8 = 3;

/// What is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lift {
    /// The revocation, total or by watermark.
    Revocation,
    /// The suspension.
    Suspension,
}

impl Lift {
    /// Whether it takes back a revocation of this form.
    #[must_use]
    pub const fn takes_back(self, form: Form) -> bool {
        self.takes(form.code())
    }

    /// The same by the form's code.
    pub(crate) const fn takes(self, form: u8) -> bool {
        match self {
            Self::Revocation => form == TOTAL || form == ISSUED_UNTIL,
            Self::Suspension => form == SUSPENSION,
        }
    }
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Of what.
    pub target: Target,
    /// How. A watermark counts in whole seconds: whatever was issued in its second is revoked.
    pub form: Form,
    /// The instant from which it holds no more, rounded up to the second; `None`: until it is taken back.
    pub until: Option<Timestamp>,
    /// For people.
    pub note: Note,
}

/// A revocation that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Where it stands in the order of changes.
    pub position: Position,
    /// It.
    pub revocation: Revocation,
}

/// A place in the order of changes; the first change has 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// The last one that rows of a snapshot have room for.
    pub(crate) const MAX: u64 = (1 << 56) - 1;

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What people want to know of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    label: String,
    reason: String,
    by: String,
    at: Timestamp,
}

impl Note {
    /// A note, if its texts are within [`MAX_LABEL`], [`MAX_REASON`] and [`MAX_AUTHOR`].
    ///
    /// # Errors
    /// [`NoteTooLong`]
    pub fn new(label: String, reason: String, by: String, at: Timestamp) -> Result<Self, NoteTooLong> {
        let fits = label.len() <= MAX_LABEL && reason.len() <= MAX_REASON && by.len() <= MAX_AUTHOR;
        if fits { Ok(Self { label, reason, by, at }) } else { Err(NoteTooLong) }
    }

    /// What the target is called.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who ordered it.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// A text of a note is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text of the note is too long")]
pub struct NoteTooLong;
