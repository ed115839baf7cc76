//! The scripts: what they are given and what they answer.

use redis::{Cmd, Value};

use super::super::answer::{bytes, list, number, text};
use super::super::keys::Prefix;
use crate::revocation::{
    Form, ISSUED_UNTIL, InForce, Lift, Note, Position, Revocation, RevocationKind, Row, SUSPENSION, TOTAL,
    Target, decode_note, encode_note, up_to_the_second,
};

const REVOKE: &str = concat!(include_str!("memory.lua"), include_str!("revoke.lua"));
const LIFT: &str = concat!(include_str!("memory.lua"), include_str!("lift.lua"));
const BEAT: &str = concat!(include_str!("memory.lua"), include_str!("beat.lua"));
const TIDY: &str = concat!(include_str!("memory.lua"), include_str!("tidy.lua"));

/// Bits of the digest that choose the bucket: eight buckets for each part of a snapshot. With ten million revocations a
/// bucket has 76, which a server keeps in a row.
pub(super) const BUCKET_BITS: u32 = 17;
/// Changes that the log keeps, about. Who is further behind loads everything.
const LOGGED: u32 = 100_000;
/// A replica that was silent for so many milliseconds is forgotten.
const FORGOTTEN_AFTER: u32 = 60_000;
/// Buckets that are tidied at once.
const TIDIED: u32 = 16;

/// Names an uninterrupted memory of the revocations.
pub(super) type Incarnation = [u8; 32];

/// What every script is told.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) next: Incarnation,
    pub(super) applied: Position,
    /// The time, instead of the server's.
    #[cfg(test)]
    pub(super) told: Option<jiff::Timestamp>,
}

/// A revocation as its row in a bucket, but for the position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) target: Target,
    pub(super) form: u8,
}

impl Field {
    fn octets(self) -> Vec<u8> {
        let mut octets = vec![self.target.kind.code(), self.form];
        octets.extend(self.target.digest);
        octets
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let (&[kind, form], digest) = octets.split_first_chunk()?;
        let target = Target { kind: RevocationKind::from_code(kind)?, digest: digest.try_into().ok()? };
        matches!(form, TOTAL | ISSUED_UNTIL | SUSPENSION).then_some(Self { target, form })
    }

    pub(super) fn bucket(self) -> u32 {
        let [first, second, third, ..] = self.target.digest;
        u32::from_be_bytes([0, first, second, third]) >> 24_u32.saturating_sub(BUCKET_BITS)
    }
}

impl Caller<'_> {
    fn command(&self, text: &str, keys: &[String]) -> Cmd {
        #[cfg(test)]
        let told = self.told.map(|now| super::super::script::tests::told(text, now));
        #[cfg(test)]
        let text = told.as_deref().unwrap_or(text);
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(keys.len()).arg(keys);
        command.arg(&self.next[..]).arg(self.applied.0);
        command
    }

    fn name(&self, name: &str) -> String {
        self.prefix.revocations(name)
    }

    /// The bucket of that number.
    pub(super) fn bucket(&self, number: u32) -> String {
        self.name(&format!("b:{number}"))
    }

    /// The bits of the buckets that were ever written to.
    pub(super) fn buckets(&self) -> String {
        self.name("buckets")
    }

    pub(super) fn log(&self) -> String {
        self.name("log")
    }

    pub(super) fn entries(&self) -> String {
        self.name("entries")
    }

    pub(super) fn revoke(&self, revocation: &Revocation, most: u32) -> Cmd {
        let field = Field { target: revocation.target, form: revocation.form.code() };
        let keys = [
            self.prefix.revocation_memory(),
            self.bucket(field.bucket()),
            self.buckets(),
            self.log(),
            self.entries(),
        ];
        let mut note = Vec::new();
        encode_note(&revocation.note, &mut note);
        let until = revocation
            .until
            .map_or_else(|| "-".to_owned(), |until| up_to_the_second(until).as_second().max(0).to_string());
        let mark = match revocation.form {
            Form::IssuedUntil(instant) => instant.as_second().max(0),
            Form::Total | Form::Suspension => 0,
        };
        let mut command = self.command(REVOKE, &keys);
        command.arg(field.octets()).arg(field.bucket()).arg(until).arg(mark).arg(note).arg(most).arg(LOGGED);
        command
    }

    pub(super) fn lift(&self, target: Target, lift: Lift, note: &Note) -> Cmd {
        let of = |form| Field { target, form };
        let keys =
            [self.prefix.revocation_memory(), self.bucket(of(TOTAL).bucket()), self.log(), self.entries()];
        let mut text = Vec::new();
        encode_note(note, &mut text);
        let (letter, forms) = match lift {
            Lift::Revocation => (b'r', &[TOTAL, ISSUED_UNTIL][..]),
            Lift::Suspension => (b's', &[SUSPENSION][..]),
        };
        let mut lifted = vec![letter, target.kind.code()];
        lifted.extend(target.digest);
        let mut command = self.command(LIFT, &keys);
        command.arg(lifted).arg(text).arg(LOGGED);
        for form in forms {
            command.arg(of(*form).octets());
        }
        command
    }

    /// `known`: the incarnation that the replica has.
    pub(super) fn beat(&self, replica: &str, known: Option<&Incarnation>, owed: usize) -> Cmd {
        let keys = [self.prefix.revocation_memory(), self.name("replicas")];
        let mut command = self.command(BEAT, &keys);
        command.arg(replica).arg(FORGOTTEN_AFTER).arg(known.map_or(&[][..], |known| &known[..]));
        command.arg(owed);
        command
    }

    pub(super) fn tidy(&self, from: u32, now: jiff::Timestamp) -> Cmd {
        let keys = [self.prefix.revocation_memory(), self.buckets(), self.entries(), self.name("b:")];
        let mut command = self.command(TIDY, &keys);
        command.arg(from).arg(TIDIED).arg(now.as_second());
        command
    }
}

/// A replica, as another hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Random, new with each start.
    pub id: String,
    /// The last change that it applied.
    pub position: Position,
    /// How long ago it said so.
    pub silent: std::time::Duration,
    /// How many revocations that the store has lost it has still to say again, as far as it knows.
    pub owed: u64,
}

/// What a beat answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) incarnation: Incarnation,
    pub(super) position: Position,
    /// How far what the store has kept of the incarnation that this replica knows reaches: what came after it and is not in
    /// this one was lost.
    pub(super) base: Position,
    /// The store had no room for the sign of life. What it tells of replicas is what it knew when it had.
    pub(super) full: bool,
    /// Since when the incarnation is there.
    pub(super) age: std::time::Duration,
    pub(super) replicas: Vec<Replica>,
}

impl Beat {
    /// Whether one of the others has something to say again. One that is gone counts until it is forgotten.
    pub(super) fn is_owed_by_others(&self, replica: &str) -> bool {
        self.replicas.iter().any(|other| other.id != replica && other.owed > 0)
    }

    pub(super) const fn at(&self) -> Applied {
        Applied { incarnation: Some(self.incarnation), position: self.position }
    }

    /// None if it is not of the form, or another's.
    pub(super) fn read(value: &Value, drawn: &Incarnation) -> Option<Self> {
        let [of, incarnation, position, base, full, age, replicas @ ..] = list(value)? else { return None };
        if bytes(of)? != drawn {
            return None;
        }
        let replica = |parts: &[Value]| {
            let [id, position, silent, owed] = parts else { return None };
            let silent = std::time::Duration::from_millis(number(silent)?);
            let id = text(id)?.to_owned();
            Some(Replica { id, position: Position(number(position)?), silent, owed: number(owed)? })
        };
        Some(Self {
            incarnation: bytes(incarnation)?.try_into().ok()?,
            position: Position(number(position)?),
            base: Position(number(base)?),
            full: number(full)? > 0,
            age: std::time::Duration::from_millis(number(age)?),
            replicas: replicas.chunks(4).map(replica).collect::<Option<_>>()?,
        })
    }
}

/// What an order came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    Done { at: Applied, changed: bool },
    Full,
}

/// A place in the order of changes of one memory of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// None before the first.
    pub(super) incarnation: Option<Incarnation>,
    pub(super) position: Position,
}

impl Applied {
    /// Whether who has applied this has applied a change. Positions of another incarnation say nothing of it: the change may
    /// have been lost with the one that it was made in.
    pub(super) fn has(&self, change: &Self) -> bool {
        self.incarnation == change.incarnation && self.position >= change.position
    }
}

/// The incarnation in the memory of the store, as `GET` gives it.
pub(super) fn incarnation_in(memory: &Value) -> Option<Incarnation> {
    bytes(memory)?.get(42..74)?.try_into().ok()
}

/// The last position in the memory of the store.
pub(super) fn position_in(memory: &Value) -> Option<Position> {
    std::str::from_utf8(bytes(memory)?.get(74..90)?).ok()?.parse().ok().map(Position)
}

impl Ordered {
    /// None if it is not of the form, or another's.
    pub(super) fn read(value: &Value, drawn: &Incarnation) -> Option<Self> {
        let (of, answer) = list(value)?.split_first()?;
        if bytes(of)? != drawn {
            return None;
        }
        match answer {
            [full] if bytes(full) == Some(b"full") => Some(Self::Full),
            [position, changed, incarnation] => {
                let changed = number(changed)? > 0;
                let incarnation = Some(bytes(incarnation)?.try_into().ok()?);
                Some(Self::Done {
                    at: Applied { incarnation, position: Position(number(position)?) },
                    changed,
                })
            }
            _ => None,
        }
    }
}

/// A change in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Revoked(Target, Row),
    Lifted(Target, Lift),
}

/// The changes of an answer to `XREAD` or `XRANGE`, each with its position.
pub(super) fn changes(value: &Value) -> Option<Vec<(Position, Change)>> {
    entries(value)?
        .into_iter()
        .map(|(position, fields)| Some((position, change(position, fields)?)))
        .collect()
}

/// What an answer to `XRANGE` says that holds.
pub(super) fn in_force(value: &Value) -> Option<Vec<InForce>> {
    let one = |(position, fields): (Position, &[Value])| {
        let field = Field::read(bytes(named(fields, b"k")?)?)?;
        let row = row(field, position, fields)?;
        let mut note = bytes(named(fields, b"n")?)?;
        let note = decode_note(&mut note)?;
        let revocation = Revocation { target: field.target, form: row.form(), until: row.until(), note };
        Some(InForce { position, revocation })
    };
    entries(value)?.into_iter().map(one).collect()
}

/// The rows of a bucket, as `HGETALL` gives them. What a later version wrote is not known: the whole is no answer then.
pub(super) fn rows(value: &Value, into: &mut Vec<Row>) -> Option<()> {
    for pair in list(value)?.chunks(2) {
        let [key, value] = pair else { return None };
        let field = Field::read(bytes(key)?)?;
        let mut words = std::str::from_utf8(bytes(value)?).ok()?.split(' ');
        let position = Position(words.next()?.parse().ok()?);
        let until = end(words.next()?)?;
        let mark = seconds(words.next()?)?;
        into.push(Row::of_parts(&field.target, field.form, until, mark, position));
    }
    Some(())
}

fn change(position: Position, fields: &[Value]) -> Option<Change> {
    if let Some(lifted) = named(fields, b"l") {
        let (&[letter, kind], digest) = bytes(lifted)?.split_first_chunk()?;
        let target = Target { kind: RevocationKind::from_code(kind)?, digest: digest.try_into().ok()? };
        let lift = match letter {
            b'r' => Lift::Revocation,
            b's' => Lift::Suspension,
            _ => return None,
        };
        return Some(Change::Lifted(target, lift));
    }
    let field = Field::read(bytes(named(fields, b"k")?)?)?;
    Some(Change::Revoked(field.target, row(field, position, fields)?))
}

fn row(field: Field, position: Position, fields: &[Value]) -> Option<Row> {
    let text = |name| std::str::from_utf8(bytes(named(fields, name)?)?).ok();
    Some(Row::of_parts(&field.target, field.form, end(text(b"u")?)?, seconds(text(b"w")?)?, position))
}

fn end(text: &str) -> Option<Option<u32>> {
    if text == "-" { Some(None) } else { seconds(text).map(Some) }
}

/// A second as a row has it; what lies beyond it counts as its end.
fn seconds(text: &str) -> Option<u32> {
    let seconds: u64 = text.parse().ok()?;
    Some(u32::try_from(seconds).unwrap_or(u32::MAX.saturating_sub(1)))
}

/// The entries of a stream, as `XRANGE` gives them.
fn entries(value: &Value) -> Option<Vec<(Position, &[Value])>> {
    list(value)?.iter().map(entry).collect()
}

fn entry(entry: &Value) -> Option<(Position, &[Value])> {
    let [id, fields] = list(entry)? else { return None };
    let id = std::str::from_utf8(bytes(id)?).ok()?.strip_suffix("-0")?;
    Some((Position(id.parse().ok()?), list(fields)?))
}

/// The entries in an answer to `XREAD` of one stream; none if nothing came in time.
pub(super) fn read_entries(value: Value) -> Option<Value> {
    if value == Value::Nil {
        return Some(Value::Array(Vec::new()));
    }
    let Value::Array(streams) = value else { return None };
    let Value::Array(stream) = streams.into_iter().next()? else { return None };
    stream.into_iter().nth(1)
}

fn named<'a>(fields: &'a [Value], name: &[u8]) -> Option<&'a Value> {
    fields.chunks(2).find_map(|pair| match pair {
        [key, value] if bytes(key) == Some(name) => Some(value),
        _ => None,
    })
}
