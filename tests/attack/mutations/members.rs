//! Each member that is required, wherever it stands: left out, of another type, there twice (D03, J06, J10, A-10, A-16).

use crate::attempt::{Attempt, Binding};
use crate::jose::Document;
use crate::operator::{Operator, Touches, unsigned};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    TokenHeader,
    TokenClaims,
    ProofHeader,
    ProofClaims,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::TokenHeader => "token header",
            Self::TokenClaims => "token",
            Self::ProofHeader => "proof header",
            Self::ProofClaims => "proof",
        }
    }

    fn of(self, attempt: &mut Attempt) -> Option<&mut Document> {
        match self {
            Self::TokenHeader => attempt.token.as_mut().map(|jws| &mut jws.header),
            Self::TokenClaims => attempt.token.as_mut().map(|jws| &mut jws.payload),
            Self::ProofHeader => attempt.proof.as_mut().map(|jws| &mut jws.header),
            Self::ProofClaims => attempt.proof.as_mut().map(|jws| &mut jws.payload),
        }
    }
}

/// No text is one of these, written as JSON.
const NOT_TEXT: &[&str] = &["null", "true", "0", "1", "[]", "{}", "[\"x\"]", "{\"a\":1}", "\"\"", "1e400"];
const NOT_AUDIENCE: &[&str] =
    &["null", "true", "0", "[]", "{}", "\"\"", "[\"\"]", "[1]", "[null]", "[[]]", "{\"a\":1}"];
const NOT_DATE: &[&str] = &[
    "null",
    "true",
    "\"1800000000\"",
    "\"never\"",
    "\"\"",
    "[]",
    "{}",
    "-1",
    "1e400",
    "-0.5",
    "1e300",
    "[1800000000]",
];
const NOT_OBJECT: &[&str] = &["null", "true", "0", "\"x\"", "[]", "{}", "[{}]"];

use Part::{ProofClaims, ProofHeader, TokenClaims, TokenHeader};
use Touches::{Audience, Binding as Bound, Form, Identity, Seal, Target, Time};

type Member = (Part, &'static str, Touches, &'static [&'static str]);

const MEMBERS: [Member; 29] = [
    (TokenHeader, "typ", Seal, NOT_TEXT),
    (TokenHeader, "alg", Seal, NOT_TEXT),
    (TokenHeader, "kid", Seal, NOT_TEXT),
    (TokenClaims, "iss", Seal, NOT_TEXT),
    (TokenClaims, "aud", Audience, NOT_AUDIENCE),
    (TokenClaims, "sub", Identity, NOT_TEXT),
    (TokenClaims, "client_id", Identity, NOT_TEXT),
    (TokenClaims, "azp", Identity, NOT_TEXT),
    (TokenClaims, "uid", Identity, NOT_TEXT),
    (TokenClaims, "tenant", Identity, NOT_TEXT),
    (TokenClaims, "org", Identity, NOT_TEXT),
    (TokenClaims, "scope", Identity, NOT_TEXT),
    (TokenClaims, "act", Identity, NOT_OBJECT),
    (TokenClaims, "jti", Form, NOT_TEXT),
    (TokenClaims, "iat", Time, NOT_DATE),
    (TokenClaims, "exp", Time, NOT_DATE),
    (TokenClaims, "nbf", Time, NOT_DATE),
    (TokenClaims, "cnf", Bound, NOT_OBJECT),
    (ProofHeader, "typ", Form, NOT_TEXT),
    (ProofHeader, "alg", Bound, NOT_TEXT),
    (ProofHeader, "jwk", Bound, NOT_OBJECT),
    (ProofClaims, "jti", Form, NOT_TEXT),
    (ProofClaims, "htm", Target, NOT_TEXT),
    (ProofClaims, "htu", Target, NOT_TEXT),
    (ProofClaims, "iat", Time, NOT_DATE),
    (ProofClaims, "ath", Bound, NOT_TEXT),
    (ProofClaims, "nonce", Form, NOT_TEXT),
    (TokenHeader, "cty", Seal, NOT_TEXT),
    (ProofHeader, "kid", Bound, NOT_TEXT),
];

/// Left out, these change nothing or another thing: see the harmless ones.
const OPTIONAL: [(Part, &str); 5] = [
    (TokenHeader, "kid"),
    (TokenClaims, "act"),
    (TokenClaims, "nbf"),
    (ProofClaims, "nonce"),
    (TokenClaims, "cnf"),
];

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = Vec::new();
    for (part, name, touches, wrong) in MEMBERS {
        // These two are in no valid request; they are there to be twins only.
        let foreign = name == "cty" || (part, name) == (ProofHeader, "kid");
        let label = format!("{} {name}", part.word());
        if !OPTIONAL.contains(&(part, name)) && !foreign {
            operators.push(unsigned(format!("{label}: left out"), touches, move |attempt, _| {
                let Some(document) = part.of(attempt) else { return false };
                let there = document.has(name);
                document.remove(name);
                there
            }));
        }
        if !foreign {
            operators.push(unsigned(format!("{label}: of another type"), touches, move |attempt, turn| {
                let Some(document) = part.of(attempt).filter(|document| document.has(name)) else {
                    return false;
                };
                document.set_raw(name, turn.dice.text(wrong));
                true
            }));
        }
        operators.push(unsigned(format!("{label}: twice"), touches, move |attempt, turn| {
            let Some(document) = part.of(attempt) else { return false };
            if foreign {
                document.set(name, "x");
            }
            twice(document, name, turn.dice.below(4))
        }));
    }
    operators.push(unsigned("token cnf: left out", Bound, |attempt, _| {
        // Without it this would be another, valid request: a bearer token where that is enough.
        if attempt.binding == Binding::None || (attempt.place.route == "lists" && attempt.scheme == "Bearer")
        {
            return false;
        }
        attempt.token.as_mut().is_some_and(|token| {
            token.payload.remove("cnf");
            true
        })
    }));
    operators.push(unsigned("token: a member twice, deep inside", Form, |attempt, turn| {
        let Some(token) = &mut attempt.token else { return false };
        let inside = turn.dice.pick(&[r#"{"a":1,"a":1}"#, r#"[{"b":[{"a":1,"\u0061":2}]}]"#]);
        token.payload.set_raw("extra", inside);
        true
    }));
    operators
}

/// The member again, the same or another value, at either end, with its name as it is or escaped.
fn twice(document: &mut Document, name: &str, how: usize) -> bool {
    let Some(value) = document.get(name).map(str::to_owned) else { return false };
    let first = name.chars().next().map_or(0, u32::from);
    let twin = if how.is_multiple_of(2) { name.to_owned() } else { format!("\\u{first:04x}{}", &name[1..]) };
    let value = if how < 2 { value } else { "\"another\"".to_owned() };
    let at = if how == 1 { 0 } else { document.members.len() };
    document.members.insert(at, (twin, value));
    true
}
