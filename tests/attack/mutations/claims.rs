//! Claims with a wrong value, signed by the right key (J03, J06, J14, D29, T05, M01, A-18, A-34).

use serde_json::{Value, json};

use crate::attempt::{Attempt, Binding};
use crate::certificates;
use crate::jose::Document;
use crate::keys::base64url;
use crate::operator::{Operator, Touches, Turn, unsigned};

fn claims(
    name: &str,
    touches: Touches,
    change: impl Fn(&mut Document, &Attempt, &mut Turn<'_>) -> bool + 'static,
) -> Operator {
    unsigned(format!("token: {name}"), touches, move |attempt, turn| {
        let whole = attempt.clone();
        attempt.token.as_mut().is_some_and(|token| change(&mut token.payload, &whole, turn))
    })
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = audiences();
    operators.extend(identities());
    operators.extend(scopes_and_sizes());
    operators.extend(delegations());
    operators.extend(confirmations());
    operators
}

fn audiences() -> Vec<Operator> {
    vec![
        claims("an audience that is nearly the same", Touches::Audience, |payload, attempt, turn| {
            let own = attempt.place.audience;
            let near = [
                format!("{own}/"),
                own.to_ascii_uppercase(),
                own.replace("https", "http"),
                format!("{own}:443"),
                format!("{own}.evil.example"),
                own[..own.len() - 1].to_owned(),
                format!("{own} "),
                format!("{own},https://x.example"),
                format!("{own}#x"),
                own.replace("https://", "https://x@"),
                own.replace("https://", ""),
                "*".to_owned(),
                format!("{own}\0"),
            ];
            let near = turn.dice.pick(&near).clone();
            payload.set("aud", if turn.dice.one_in(2) { json!(near) } else { json!([near, "x"]) });
            true
        }),
        claims("another audience", Touches::Audience, |payload, attempt, turn| {
            let all = ["https://api.example.com", "https://files.example.com/v1", "https://up.example.com"];
            let other = *turn.dice.pick(&all);
            payload.set("aud", other);
            other != attempt.place.audience
        }),
        claims("the issuer as audience", Touches::Audience, |payload, _, _| {
            payload.set("aud", payload.value("iss"));
            true
        }),
        claims("seventeen audiences", Touches::Audience, |payload, attempt, _| {
            payload.set("aud", vec![attempt.place.audience; 17]);
            true
        }),
    ]
}

fn identities() -> Vec<Operator> {
    let who = [
        "admin",
        "crm-bot ",
        "CRM-BOT",
        "corp:crm-bot",
        "crm-bot\0",
        "partner:edge-bot",
        "*",
        "alice",
        "root",
    ];
    let agent = who;
    vec![
        claims("another agent", Touches::Identity, move |payload, attempt, turn| {
            payload.set(if attempt.partner { "azp" } else { "client_id" }, *turn.dice.pick(&agent));
            true
        }),
        claims("another user", Touches::Identity, move |payload, attempt, turn| {
            let who = ["admin", "alice ", "Alice", "corp:alice", "carol", "alice\n", "", "bob,alice"];
            payload.set(if attempt.partner { "uid" } else { "sub" }, *turn.dice.pick(&who));
            true
        }),
        claims("the client as its own user", Touches::Identity, |payload, attempt, _| {
            payload.set("sub", payload.value("client_id"));
            !attempt.partner
        }),
        claims("another tenant", Touches::Identity, |payload, attempt, turn| {
            let other = turn.dice.text(&[
                "evil",
                "Acme",
                "GLOBEX",
                "acme ",
                "acme/globex",
                "*",
                "acme,globex",
                "",
                "acme\0",
                "initech",
            ]);
            payload.set(if attempt.partner { "org" } else { "tenant" }, other);
            true
        }),
        claims("the other tenant", Touches::Identity, |payload, attempt, _| {
            // The files are of no tenant, and either may read them.
            let name = if attempt.partner { "org" } else { "tenant" };
            let other = if payload.value(name) == json!("acme") { "globex" } else { "acme" };
            payload.set(name, other);
            attempt.place.route != "files"
        }),
        claims("an id of 257 characters", Touches::Identity, |payload, _, turn| {
            let name = turn.dice.text(&["sub", "client_id"]);
            payload.set(name, "é".repeat(257));
            true
        }),
        claims("a token id of 257 characters", Touches::Form, |payload, _, _| {
            payload.set("jti", "j".repeat(257));
            true
        }),
    ]
}

fn scopes_and_sizes() -> Vec<Operator> {
    vec![
        claims("scopes that are nearly the same", Touches::Identity, |payload, _, turn| {
            let Value::String(own) = payload.value("scope") else { return false };
            let near = [
                own.replace("read", "readwrite").replace("write", "writer").replace("open", "opener"),
                own.to_ascii_uppercase(),
                own.replace(':', "."),
                own.replace("read", "rea").replace("write", "writ").replace("open", "ope"),
                own.replace(' ', ","),
                own.replace(' ', "  "),
                own.replace(':', "\t"),
                format!("{own}\n"),
                format!(" {own}"),
                format!("{own} "),
                "*".to_owned(),
                "admin".to_owned(),
                own.replace(":7", ":70"),
                own.replace("note:7", "note:8"),
                format!("\"{own}\""),
                own.replace(' ', "\\u0020"),
            ];
            let near = turn.dice.pick(&near);
            payload.set("scope", near.as_str());
            *near != own
        }),
        claims("scopes as a list", Touches::Identity, |payload, _, _| {
            let Value::String(own) = payload.value("scope") else { return false };
            payload.set("scope", own.split(' ').collect::<Vec<_>>());
            true
        }),
        claims("more than 128 members", Touches::Form, |payload, _, _| {
            for number in 0..128 {
                payload.set(&format!("x{number}"), 1);
            }
            true
        }),
        claims("nested too deep", Touches::Form, |payload, _, _| {
            payload.set_raw("x", &format!("{}1{}", "[".repeat(17), "]".repeat(17)));
            true
        }),
    ]
}

fn delegations() -> Vec<Operator> {
    let act = |name, act: fn(&mut Turn<'_>) -> Value| {
        claims(name, Touches::Identity, move |payload, _, turn| {
            payload.set("act", act(turn));
            true
        })
    };
    vec![
        act(
            "another actor",
            |turn| json!({"sub": turn.dice.text(&["mallory", "Helper", "helper ", "corp:helper"])}),
        ),
        act(
            "an actor of another issuer",
            |turn| json!({"sub": "helper", "iss": turn.dice.text(&["https://evil.example.com", "https://sts.example.com/", ""])}),
        ),
        act("an actor twice", |_| json!({"sub": "helper", "act": {"sub": "x", "act": {"sub": "helper"}}})),
        act("too many actors", |turn| chain(*turn.dice.pick(&[3, 4, 5, 6, 7]))),
        act("an actor without a name", |turn| {
            turn.dice.pick(&[json!({"act": {"sub": "helper"}}), json!({"sub": 1})]).clone()
        }),
        act(
            "a broken chain",
            |turn| json!({"sub": "helper", "act": turn.dice.pick(&[json!("x"), json!([]), json!(null), json!({}), json!({"sub": ""})])}),
        ),
        claims("another party may act than does", Touches::Identity, |payload, _, turn| {
            payload.set("act", json!({"sub": "helper"}));
            let parties = [
                json!({"sub": "mallory"}),
                json!({"sub": "crm-bot"}),
                json!({"sub": "helper", "iss": "https://x.example"}),
            ];
            payload.set("may_act", turn.dice.pick(&parties).clone());
            true
        }),
        claims("who may act is no party", Touches::Identity, |payload, _, turn| {
            let none =
                [json!("helper"), json!(null), json!({}), json!({"sub": ""}), json!([{"sub": "helper"}])];
            payload.set("may_act", turn.dice.pick(&none).clone());
            true
        }),
    ]
}

/// The first of them a known one.
fn chain(length: usize) -> Value {
    (1..length)
        .rev()
        .fold(Value::Null, |inner, number| {
            if inner.is_null() {
                json!({"sub": number.to_string()})
            } else {
                json!({"sub": number.to_string(), "act": inner})
            }
        })
        .as_object()
        .map_or(json!({"sub": "helper"}), |inner| json!({"sub": "helper", "act": inner}))
}

fn confirmations() -> Vec<Operator> {
    vec![
        claims("a confirmation that is not known", Touches::Binding, |payload, _, turn| {
            let mut cnf = payload.value("cnf").as_object().cloned().unwrap_or_default();
            let name =
                turn.dice.text(&["kid", "jwk", "jku", "jwe", "x5t", "JKT", "jkt ", "osc", "x5t#S512", ""]);
            cnf.insert(name.to_owned(), json!("x"));
            payload.set("cnf", Value::Object(cnf));
            true
        }),
        claims("a thumbprint in another form", Touches::Binding, |payload, _, turn| {
            let Value::Object(mut cnf) = payload.value("cnf") else { return false };
            let name = if cnf.contains_key("jkt") { "jkt" } else { "x5t#S256" };
            let Some(own) = cnf.get(name).and_then(Value::as_str).map(str::to_owned) else { return false };
            let form = match turn.dice.below(8) {
                0 => json!(format!("{own}=")),
                1 => json!(own[..42].to_owned()),
                2 => json!(format!("{own}A")),
                3 => json!(base64url(own.as_bytes())),
                4 => json!([own]),
                5 => json!(""),
                6 => json!(null),
                _ => json!(format!(" {own}")),
            };
            cnf.insert(name.to_owned(), form);
            payload.set("cnf", Value::Object(cnf));
            true
        }),
        claims("another key's thumbprint", Touches::Binding, |payload, _, turn| {
            let Value::Object(mut cnf) = payload.value("cnf") else { return false };
            let index = *turn.dice.pick(&turn.ring.strangers);
            let there = cnf.insert("jkt".to_owned(), json!(turn.ring.keys[index].thumbprint)).is_some();
            payload.set("cnf", Value::Object(cnf));
            there
        }),
        claims("another certificate's thumbprint", Touches::Binding, |payload, _, _| {
            let Value::Object(mut cnf) = payload.value("cnf") else { return false };
            cnf.insert("x5t#S256".to_owned(), json!(certificates::thumbprint(2)));
            payload.set("cnf", Value::Object(cnf));
            true
        }),
        claims("a key where none is shown", Touches::Binding, |payload, attempt, turn| {
            let mut cnf = payload.value("cnf").as_object().cloned().unwrap_or_default();
            let index = *turn.dice.pick(&turn.ring.agents);
            cnf.insert("jkt".to_owned(), json!(turn.ring.keys[index].thumbprint));
            payload.set("cnf", Value::Object(cnf));
            matches!(attempt.binding, Binding::None | Binding::Mtls)
        }),
        claims("thumbprints exchanged", Touches::Binding, |payload, attempt, _| {
            let Value::Object(mut cnf) = payload.value("cnf") else { return false };
            if attempt.binding != Binding::Both {
                return false;
            }
            let (jkt, x5t) = (cnf["jkt"].clone(), cnf["x5t#S256"].clone());
            cnf.insert("jkt".to_owned(), x5t);
            cnf.insert("x5t#S256".to_owned(), jkt);
            payload.set("cnf", Value::Object(cnf));
            true
        }),
        claims("bound by certificate instead of key", Touches::Binding, |payload, attempt, _| {
            payload.set("cnf", json!({"x5t#S256": certificates::thumbprint(0)}));
            attempt.binding == Binding::Dpop
        }),
        claims("bound by key instead of certificate", Touches::Binding, |payload, attempt, turn| {
            let index = *turn.dice.pick(&turn.ring.agents);
            payload.set("cnf", json!({"jkt": turn.ring.keys[index].thumbprint}));
            attempt.binding == Binding::Mtls
        }),
    ]
}
