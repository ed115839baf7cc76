//! Who signed the token, and what says so (J01, J02, J04, J08, J09, J15, J17, A-03 to ).

use serde_json::{Value, json};

use crate::jose::{Jws, Seal};
use crate::operator::{Operator, Touches, Turn, unsigned};
use crate::site::kid;

/// A change of the token alone.
fn token(name: &str, change: impl Fn(&mut Jws, bool, &mut Turn<'_>) -> bool + 'static) -> Operator {
    unsigned(format!("token seal: {name}"), Touches::Seal, move |attempt, turn| {
        let partner = attempt.partner;
        attempt.token.as_mut().is_some_and(|token| change(token, partner, turn))
    })
}

fn signer(token: &Jws) -> usize {
    let Seal::Key(index) = token.seal else { return 0 };
    index
}

/// A key of the same algorithm in this row of the ring.
fn like(token: &Jws, row: &[usize], turn: &Turn<'_>) -> Option<usize> {
    let alg = turn.ring.keys[signer(token)].alg;
    row.iter().copied().find(|index| turn.ring.keys[*index].alg == alg)
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = keys();
    operators.extend(confusion());
    operators.extend(names());
    operators
}

fn keys() -> Vec<Operator> {
    vec![
        token("by nobody's key", |token, _, turn| {
            let Some(other) = like(token, &turn.ring.strangers, turn) else { return false };
            token.seal = Seal::Key(other);
            true
        }),
        token("by an agent's key", |token, _, turn| {
            let Some(other) = like(token, &turn.ring.agents, turn) else { return false };
            token.seal = Seal::Key(other);
            true
        }),
        token("by another key of the issuer, unnamed", |token, partner, turn| {
            let other = *turn.dice.pick(&turn.ring.corp);
            if partner || other == signer(token) || !token.header.has("kid") {
                return false;
            }
            token.seal = Seal::Key(other);
            true
        }),
        token("by another key, with its algorithm", |token, partner, turn| {
            let other = *turn.dice.pick(&turn.ring.corp);
            if partner || other == signer(token) || !token.header.has("kid") {
                return false;
            }
            token.header.set("alg", turn.ring.keys[other].alg);
            token.seal = Seal::Key(other);
            true
        }),
        token("by the key for encryption", |token, partner, turn| {
            token.header.set("alg", "ES256");
            token.header.set("kid", "corp-enc");
            token.seal = Seal::Key(turn.ring.sealing);
            !partner
        }),
        token("by the other issuer's key", |token, partner, turn| {
            let (index, name) = if partner {
                let index = turn.ring.corp[1];
                (index, kid(turn.ring.keys[index].alg))
            } else {
                (turn.ring.partner, "p-1".to_owned())
            };
            token.header.set("alg", "EdDSA");
            if turn.dice.one_in(2) {
                token.header.set("kid", name);
            }
            token.seal = Seal::Key(index);
            true
        }),
        token("by a published key of a forbidden algorithm", |token, partner, turn| {
            token.header.set("alg", "ES256");
            token.header.set("kid", "p-2");
            token.seal = Seal::Key(turn.ring.partner_other);
            partner
        }),
        token("by the key in its own header", |token, _, turn| {
            let Some(other) = like(token, &turn.ring.strangers, turn) else { return false };
            let jwk = turn.ring.keys[other].jwk.clone();
            match turn.dice.below(4) {
                0 => token.header.set("jwk", jwk),
                1 => token.header.set("jku", "https://evil.example.com/jwks"),
                2 => token.header.set("x5u", "http://127.0.0.1:1/cert"),
                _ => token.header.set("x5c", json!(["MIIB"])),
            }
            if turn.dice.one_in(2) {
                token.header.remove("kid");
            }
            token.seal = Seal::Key(other);
            true
        }),
    ]
}

const NONE: [&str; 12] = [
    "none",
    "None",
    "NONE",
    "nOnE",
    " none",
    "none ",
    "",
    "HS256",
    "HS384",
    "HS512",
    "none\\u0000",
    "A128KW",
];
const OTHER: [&str; 12] = [
    "es256",
    "ES256 ",
    "ES256K",
    "ES512",
    "RS1",
    "RS512",
    "eddsa",
    "ED25519",
    "Ed448",
    "PS512",
    "PBES2-HS256+A128KW",
    "RSA1_5",
];

fn confusion() -> Vec<Operator> {
    vec![
        token("none", |token, _, turn| {
            token.header.set_raw("alg", &format!("\"{}\"", turn.dice.pick(&NONE)));
            token.seal = match turn.dice.below(3) {
                0 => Seal::Bytes(Vec::new()),
                1 => Seal::Bytes(vec![0; 64]),
                _ => token.seal.clone(),
            };
            true
        }),
        token("another algorithm's name", |token, _, turn| {
            token.header.set("alg", *turn.dice.pick(&OTHER));
            true
        }),
        token("a public key as a secret", |token, _, turn| {
            let jwk = &turn.ring.keys[signer(token)].jwk;
            let secret = match turn.dice.below(5) {
                0 => jwk.to_string().into_bytes(),
                1 => jwk["x"].as_str().or_else(|| jwk["n"].as_str()).unwrap_or_default().as_bytes().to_vec(),
                2 => Vec::from(b"\n-----BEGIN PUBLIC KEY-----"),
                3 => vec![0; 32],
                _ => Vec::from(b"secret"),
            };
            token.header.set("alg", "HS256");
            token.seal = Seal::Hmac(secret);
            true
        }),
        token("crit", |token, _, turn| {
            let values = [
                "[\"exp\"]",
                "[]",
                "[\"b64\"]",
                "[\"x\"]",
                "null",
                "\"exp\"",
                "[\"exp\",\"exp\"]",
                "{}",
                "[1]",
            ];
            token.header.set_raw("crit", turn.dice.text(&values));
            true
        }),
        token("b64", |token, _, turn| {
            token.header.set_raw("b64", turn.dice.text(&["false", "true", "null", "0"]));
            true
        }),
    ]
}

const KIDS: [&str; 12] = [
    "../../dev/null",
    "' OR 1=1 --",
    "*",
    "corp-ES256",
    "corp-es256 ",
    "corp-es25",
    "%00",
    "corp-enc",
    "0",
    "p-9",
    "null",
    "corp\\u0000",
];
const TYPES: [&str; 17] = [
    "id_token",
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "oauth-id-jag+jwt",
    "txntoken+jwt",
    "wit+jwt",
    "JOSE",
    "token-introspection+jwt",
    "statuslist+jwt",
    "at+jwt ",
    " at+jwt",
    "application/jwt",
    "at-jwt",
    "at+jwt;x",
    "application/application/at+jwt",
    "at\\u0000+jwt",
];

fn names() -> Vec<Operator> {
    vec![
        token("another key's name", |token, _, turn| {
            let chosen = turn.dice.below(KIDS.len() + 2);
            let name = match chosen.checked_sub(KIDS.len()) {
                None => KIDS[chosen].replace("\\u0000", "\0"),
                Some(0) => "k".repeat(257),
                Some(_) => "p-1".to_owned(),
            };
            if token.header.value("kid") == Value::String(name.clone()) {
                return false;
            }
            token.header.set("kid", name);
            true
        }),
        token("another kind of token", |token, partner, turn| {
            let chosen = turn.dice.below(TYPES.len() + 1);
            if chosen == TYPES.len() {
                token.header.set("typ", "JWT");
                return !partner;
            }
            token.header.set_raw("typ", &format!("\"{}\"", TYPES[chosen]));
            true
        }),
        token("an issuer that is nearly the same", |token, _, turn| {
            let Value::String(own) = token.payload.value("iss") else { return false };
            let bare = own.trim_end_matches('/').to_owned();
            let near = [
                if own == bare { format!("{own}/") } else { bare.clone() },
                format!("{bare}//"),
                own.to_ascii_uppercase(),
                own.replace("https", "http"),
                own.replace("://", "://x@"),
                format!("{own} "),
                format!("{bare}.evil.example"),
                format!("{bare}:443"),
                own[..own.len() - 2].to_owned(),
                own.replace('e', "\u{435}"),
                own.replace("example", "EXAMPLE"),
                format!("{own}\0"),
            ];
            token.payload.set("iss", turn.dice.pick(&near).as_str());
            true
        }),
        token("the other issuer's name", |token, partner, _| {
            let name = if partner { "https://sts.example.com" } else { "https://partner.example.net/" };
            token.payload.set("iss", name);
            true
        }),
    ]
}
