//! A way to change a permitted request.

use crate::attempt::{Attempt, Wire};
use crate::dice::Dice;
use crate::site::{Mood, Ring, Site};

/// What a change touches. Two changes of one thing could cancel each other, so they are not combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touches {
    /// Who signed the token, and what says so.
    Seal,
    /// Its audience, or the host.
    Audience,
    /// Whom it names, for what; the tenant and kind in the path.
    Identity,
    /// Any time.
    Time,
    /// The sender constraint.
    Binding,
    /// Method and target, of request and proof.
    Target,
    /// The form of token or proof.
    Form,
    /// The fields of the request.
    Fields,
}

/// What a change may choose with.
pub(crate) struct Turn<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) ring: &'a Ring,
    /// Whole seconds.
    pub(crate) now: i64,
    pub(crate) mood: Mood,
}

/// Changes a part of a request; says whether it applies.
pub(crate) type Rewrite<T> = dyn Fn(&mut T, &mut Turn<'_>) -> bool;

/// Changes a text, if the change applies.
pub(crate) type Edit = dyn Fn(&str, &mut Turn<'_>) -> Option<String>;

/// A game of more than one request, of which the last is judged; `None` where it cannot be played.
pub(crate) type Game = dyn Fn(&mut Site, &Attempt, &mut Dice, u64) -> Option<Wire>;

/// Where a change happens. Each says whether it applies.
pub(crate) enum Change {
    /// Before signing.
    Unsigned(Box<Rewrite<Attempt>>),
    /// To the token's text; the proof's `ath` is that of the changed text.
    Token(Box<Edit>),
    /// To the proof's text.
    Proof(Box<Edit>),
    /// To what Envoy sees.
    Wire(Box<Rewrite<Wire>>),
    /// To what happened before.
    Game(Box<Game>),
}

/// A named way to change a request.
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) touches: Touches,
    pub(crate) change: Change,
}

pub(crate) fn unsigned(
    name: impl Into<String>,
    touches: Touches,
    change: impl Fn(&mut Attempt, &mut Turn<'_>) -> bool + 'static,
) -> Operator {
    Operator { name: name.into(), touches, change: Change::Unsigned(Box::new(change)) }
}

pub(crate) fn wire(
    name: impl Into<String>,
    touches: Touches,
    change: impl Fn(&mut Wire, &mut Turn<'_>) -> bool + 'static,
) -> Operator {
    Operator { name: name.into(), touches, change: Change::Wire(Box::new(change)) }
}

/// The same change of the text of the token, and of that of the proof.
pub(crate) fn compact(
    name: &str,
    change: impl Fn(&str, &mut Turn<'_>) -> Option<String> + Clone + 'static,
) -> [Operator; 2] {
    let (of_token, of_proof) = (change.clone(), change);
    [
        Operator {
            name: format!("token text: {name}"),
            touches: Touches::Form,
            change: Change::Token(Box::new(of_token)),
        },
        Operator {
            name: format!("proof text: {name}"),
            touches: Touches::Form,
            change: Change::Proof(Box::new(of_proof)),
        },
    ]
}
