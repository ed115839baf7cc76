//! One change, as the file has it.

use jiff::Timestamp;

use crate::revocation::entry::{
    Form, ISSUED_UNTIL, InForce, Lift, Note, Position, Revocation, RevocationKind, SUSPENSION, TOTAL, Target,
};
use crate::revocation::rows::up_to_the_second;

const BASE: u8 = 0;
const REVOKED: u8 = 1;
const LIFTED_REVOCATION: u8 = 2;
const LIFTED_SUSPENSION: u8 = 3;
/// No end.
const NEVER: i64 = i64::MAX;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::revocation) enum Record {
    /// Whatever came before this position and holds is in the records that follow.
    Base(Position),
    Revoked(InForce),
    Lifted {
        position: Position,
        target: Target,
        lift: Lift,
        note: Note,
    },
}

impl Record {
    pub(in crate::revocation) const fn position(&self) -> Position {
        match self {
            Self::Base(position) | Self::Lifted { position, .. } => *position,
            Self::Revoked(standing) => standing.position,
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let code = match self {
            Self::Base(_) => BASE,
            Self::Revoked(_) => REVOKED,
            Self::Lifted { lift: Lift::Revocation, .. } => LIFTED_REVOCATION,
            Self::Lifted { lift: Lift::Suspension, .. } => LIFTED_SUSPENSION,
        };
        bytes.push(code);
        bytes.extend(self.position().0.to_le_bytes());
        match self {
            Self::Base(_) => {}
            Self::Revoked(InForce { revocation: Revocation { target, form, until, note }, .. }) => {
                encode_target(*target, bytes);
                bytes.push(form.code());
                let issued_until = match form {
                    Form::IssuedUntil(instant) => instant.as_second(),
                    Form::Total | Form::Suspension => 0,
                };
                bytes.extend(issued_until.to_le_bytes());
                let until = until.map_or(NEVER, |until| up_to_the_second(until).as_second());
                bytes.extend(until.to_le_bytes());
                encode_note(note, bytes);
            }
            Self::Lifted { target, note, .. } => {
                encode_target(*target, bytes);
                encode_note(note, bytes);
            }
        }
    }

    /// All records of a frame; `None` if it is not made of records.
    pub(super) fn all(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            records.push(Self::decode(&mut bytes)?);
        }
        Some(records)
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [code] = take(bytes)?;
        let position = Position(u64::from_le_bytes(take(bytes)?));
        let lift = match code {
            BASE => return Some(Self::Base(position)),
            REVOKED => {
                let target = decode_target(bytes)?;
                let [form] = take(bytes)?;
                let issued_until = Timestamp::from_second(i64::from_le_bytes(take(bytes)?)).ok()?;
                let form = match form {
                    TOTAL => Form::Total,
                    ISSUED_UNTIL => Form::IssuedUntil(issued_until),
                    SUSPENSION => Form::Suspension,
                    _ => return None,
                };
                let until = match i64::from_le_bytes(take(bytes)?) {
                    NEVER => None,
                    second => Some(Timestamp::from_second(second).ok()?),
                };
                let note = decode_note(bytes)?;
                let revocation = Revocation { target, form, until, note };
                return Some(Self::Revoked(InForce { position, revocation }));
            }
            LIFTED_REVOCATION => Lift::Revocation,
            LIFTED_SUSPENSION => Lift::Suspension,
            _ => return None,
        };
        Some(Self::Lifted { position, target: decode_target(bytes)?, lift, note: decode_note(bytes)? })
    }
}

fn encode_target(target: Target, bytes: &mut Vec<u8>) {
    bytes.push(target.kind.code());
    bytes.extend(target.digest);
}

fn decode_target(bytes: &mut &[u8]) -> Option<Target> {
    let [kind] = take(bytes)?;
    Some(Target { kind: RevocationKind::from_code(kind)?, digest: take(bytes)? })
}

pub(crate) fn encode_note(note: &Note, bytes: &mut Vec<u8>) {
    bytes.extend(note.at().as_millisecond().to_le_bytes());
    for text in [note.label(), note.reason(), note.by()] {
        // A note's texts are far shorter than that.
        bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(text.bytes());
    }
}

pub(crate) fn decode_note(bytes: &mut &[u8]) -> Option<Note> {
    let at = Timestamp::from_millisecond(i64::from_le_bytes(take(bytes)?)).ok()?;
    let (label, reason, by) = (text(bytes)?, text(bytes)?, text(bytes)?);
    Note::new(label, reason, by, at).ok()
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
