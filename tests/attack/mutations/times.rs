//! Times at their bounds, just outside (J05, D14, D15, A-17). Just inside is among the harmless ones.

use serde_json::{Value, json};

use crate::jose::Document;
use crate::operator::{Operator, Touches, unsigned};

fn token(name: &str, change: fn(&mut Document, Issuer, i64, usize)) -> Operator {
    unsigned(format!("token time: {name}"), Touches::Time, move |attempt, turn| {
        let issuer = if attempt.partner { PARTNER } else { CORP };
        let choice = turn.dice.below(4);
        attempt.token.as_mut().is_some_and(|token| {
            change(&mut token.payload, issuer, turn.now, choice);
            true
        })
    })
}

fn proof(name: &str, change: fn(&mut Document, i64, usize)) -> Operator {
    unsigned(format!("proof time: {name}"), Touches::Time, move |attempt, turn| {
        let choice = turn.dice.below(4);
        attempt.proof.as_mut().is_some_and(|proof| {
            change(&mut proof.payload, turn.now, choice);
            true
        })
    })
}

/// What the configuration says of an issuer, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Issuer {
    pub(crate) leeway: i64,
    pub(crate) lifetime: i64,
}

pub(crate) const CORP: Issuer = Issuer { leeway: 5, lifetime: 900 };
pub(crate) const PARTNER: Issuer = Issuer { leeway: 0, lifetime: 300 };

const FAR: [i64; 4] = [0, 1, 100, 100_000];

pub(crate) fn operators() -> Vec<Operator> {
    vec![
        token("expired", |payload, issuer, now, choice| {
            let exp = now - issuer.leeway - FAR[choice];
            payload.set("exp", exp);
            payload.set("iat", exp - 10);
        }),
        token("not yet valid", |payload, issuer, now, choice| {
            payload.set("nbf", now + issuer.leeway + 1 + FAR[choice]);
        }),
        token("issued ahead", |payload, _, now, choice| {
            payload.set("iat", now + 61 + FAR[choice]);
            payload.set("exp", now + 100 + FAR[choice]);
        }),
        token("lives too long", |payload, issuer, now, choice| {
            payload
                .set("exp", payload.value("iat").as_i64().unwrap_or(now) + issuer.lifetime + 1 + FAR[choice]);
        }),
        token("expires before it was issued", |payload, _, now, choice| {
            payload.set("iat", now);
            payload.set("exp", now - FAR[choice].min(4));
        }),
        token("in milliseconds", |payload, _, now, choice| {
            let name = ["exp", "iat", "nbf", "exp"][choice];
            payload.set(name, now * 1000);
        }),
        proof("too old", |payload, now, choice| payload.set("iat", now - 66 - FAR[choice])),
        proof("from the future", |payload, now, choice| payload.set("iat", now + 11 + FAR[choice])),
        proof("in milliseconds", |payload, now, _| payload.set("iat", now * 1000)),
        proof("expired", |payload, now, choice| payload.set("exp", now - 5 - FAR[choice])),
        proof("not yet valid", |payload, now, choice| payload.set("nbf", now + 11 + FAR[choice])),
        proof("dates of another type", |payload, _, choice| {
            let name = if choice < 2 { "exp" } else { "nbf" };
            payload.set(name, [json!("never"), Value::Null, json!([]), json!(true)][choice].clone());
        }),
    ]
}
