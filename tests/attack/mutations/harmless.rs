//! Changes that mean the same, or nothing. Why each does no harm stands in `harmless.tsv`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::attempt::{Attempt, Binding, origin};
use crate::certificates;
use crate::dice::Dice;
use crate::jose::{Document, Jws, Seal};
use crate::keys::base64url;
use crate::mutations::times::{CORP, PARTNER};
use crate::operator::{Operator, Touches, compact, unsigned, wire};
use crate::site::Mood;

/// The same change of the token's documents, and of the proof's.
fn documents(name: &str, change: fn(&mut Document, &mut Dice)) -> [Operator; 2] {
    let apply = move |jws: Option<&mut Jws>, dice: &mut Dice| {
        jws.is_some_and(|jws| {
            change(if dice.one_in(2) { &mut jws.header } else { &mut jws.payload }, dice);
            true
        })
    };
    [
        unsigned(format!("token: {name}"), Touches::Form, move |attempt, turn| {
            apply(attempt.token.as_mut(), turn.dice)
        }),
        unsigned(format!("proof: {name}"), Touches::Form, move |attempt, turn| {
            apply(attempt.proof.as_mut(), turn.dice)
        }),
    ]
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = json();
    operators.extend(tokens());
    operators.extend(proofs());
    operators.extend(proof_targets());
    operators.extend(requests());
    operators.extend(request_headers());
    operators
}

fn json() -> Vec<Operator> {
    let pairs = [
        documents("white space between json tokens", |document, dice| {
            document.space = dice.text(&[" ", "\n", "\t", "\r\n"])
        }),
        documents("white space around the json text", |document, dice| {
            document.before = dice.text(&[" ", "\n", ""]);
            document.after = dice.text(&[" ", "\n\n", "\t"]);
        }),
        documents("members in another order", |document, dice| {
            if let Some(others @ 1..) = document.members.len().checked_sub(1) {
                document.members.rotate_left(1 + dice.below(others));
            }
        }),
        documents("names with escapes", |document, _| {
            // A name that is escaped already would become another one.
            for (name, _) in document.members.iter_mut().filter(|(name, _)| !name.contains('\\')) {
                let first = u32::from(name.chars().next().expect("a name"));
                *name = format!("\\u{first:04x}{}", &name[1..]);
            }
        }),
        documents("members that nobody reads", |document, dice| {
            let name = dice.text(&["x", "zip", "groups", "Alg", "http://x.example/y", "\u{1f511}", "jKU"]);
            document
                .set_raw(name, dice.text(&["1", "null", "\"DEF\"", "[1,{}]", "{\"sub\":\"root\"}", "1e400"]));
        }),
        compact("the other root of an ecdsa signature", |text, _| {
            let (input, signature) = text.rsplit_once('.')?;
            let header = URL_SAFE_NO_PAD.decode(text.split_once('.')?.0).ok()?;
            let mut signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
            let mirrored = String::from_utf8_lossy(&header).contains("\"ES256\"") && signature.len() == 64;
            mirrored.then(|| {
                let s = negated(&signature[32..]);
                signature.splice(32.., s);
                format!("{input}.{}", base64url(&signature))
            })
        }),
    ];
    pairs.into_iter().flatten().collect()
}

/// n - s for P-256.
fn negated(s: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    let mut difference: Vec<u8> = ORDER
        .iter()
        .zip(s)
        .rev()
        .map(|(n, s)| {
            let value = i16::from(*n) - i16::from(*s) - borrow;
            borrow = i16::from(value < 0);
            u8::try_from(value.rem_euclid(256)).expect("a byte")
        })
        .collect();
    difference.reverse();
    difference
}

fn token(name: &str, touches: Touches, change: fn(&mut Attempt, &mut Dice, i64) -> bool) -> Operator {
    unsigned(format!("token: {name}"), touches, move |attempt, turn| {
        attempt.token.is_some() && change(attempt, turn.dice, turn.now)
    })
}

fn tokens() -> Vec<Operator> {
    vec![
        token("no key name", Touches::Seal, |attempt, _, _| {
            let token = attempt.token.as_mut().expect("there is one");
            let there = token.header.has("kid");
            token.header.remove("kid");
            there
        }),
        token("its type in another spelling", Touches::Seal, |attempt, dice, _| {
            let token = attempt.token.as_mut().expect("there is one");
            token.header.set("typ", dice.text(&["AT+JWT", "at+JWT", "Application/AT+jwt", "at+jwt"]));
            true
        }),
        token("a stranger's key beside the right signature", Touches::Seal, |attempt, dice, _| {
            let token = attempt.token.as_mut().expect("there is one");
            match dice.below(4) {
                0 => token.header.set("jku", "https://evil.example.com/jwks"),
                1 => token.header.set("jwk", json!({"kty": "oct", "k": "AAAA"})),
                2 => token.header.set("x5c", json!(["MIIB"])),
                _ => token.header.set("x5u", "http://127.0.0.1:1/"),
            }
            true
        }),
        token("further audiences", Touches::Audience, |attempt, dice, _| {
            let own = attempt.place.audience;
            let mut all = vec!["https://x.example", own, "https://y.example", own];
            all.truncate(2 + dice.below(3));
            attempt.token.as_mut().expect("there is one").payload.set("aud", all);
            true
        }),
        token("times just inside their bounds", Touches::Time, |attempt, dice, now| {
            let issuer = if attempt.partner { PARTNER } else { CORP };
            let payload = &mut attempt.token.as_mut().expect("there is one").payload;
            match dice.below(5) {
                0 => payload.set("exp", now - issuer.leeway + 1),
                1 => payload.set("nbf", now + issuer.leeway),
                2 => {
                    payload.set("iat", now + 60);
                    payload.set("exp", now + 70);
                }
                3 => payload.set("exp", payload.value("iat").as_i64().unwrap_or(now) + issuer.lifetime),
                _ => payload.remove("nbf"),
            }
            true
        }),
        token("fractional times", Touches::Time, |attempt, _, now| {
            let payload = &mut attempt.token.as_mut().expect("there is one").payload;
            payload.set_raw("exp", &format!("{}.75", now + 100));
            payload.set_raw("iat", &format!("{}.5e0", now - 20));
            true
        }),
    ]
}

fn proof(
    name: &str,
    touches: Touches,
    change: impl Fn(&mut Jws, &Attempt, &mut Dice, i64) -> bool + 'static,
) -> Operator {
    unsigned(format!("proof: {name}"), touches, move |attempt, turn| {
        let whole = attempt.clone();
        attempt.proof.as_mut().is_some_and(|proof| change(proof, &whole, turn.dice, turn.now))
    })
}

fn proofs() -> Vec<Operator> {
    vec![
        proof("its type in another spelling", Touches::Form, |proof, _, dice, _| {
            proof.header.set("typ", dice.text(&["DPoP+JWT", "application/dpop+jwt", "Application/DPOP+jwt"]));
            true
        }),
        proof("further members of its key", Touches::Binding, |proof, _, dice, _| {
            let mut jwk = proof.header.value("jwk");
            match dice.below(5) {
                0 => jwk["kid"] = json!("x"),
                1 => jwk["use"] = json!("sig"),
                2 => jwk["key_ops"] = json!(["verify"]),
                3 => jwk["x5c"] = json!(["MIIB"]),
                _ => jwk["alg"] = proof.header.value("alg"),
            }
            proof.header.set("jwk", jwk);
            true
        }),
        proof("other keys beside its own", Touches::Binding, |proof, _, dice, _| {
            proof.header.set(dice.text(&["kid", "jku", "x5u"]), "https://evil.example.com/jwks");
            true
        }),
        proof("times just inside their bounds", Touches::Time, |proof, _, dice, now| {
            match dice.below(4) {
                0 => proof.payload.set("iat", now - 64),
                1 => proof.payload.set("iat", now + 10),
                2 => proof.payload.set("exp", now - 4 + 1),
                _ => proof.payload.set("nbf", now + 10),
            }
            true
        }),
        proof("a fractional time", Touches::Time, |proof, _, _, now| {
            proof.payload.set_raw("iat", &format!("{now}.25"));
            true
        }),
        proof("an id of another form", Touches::Form, |proof, _, _, _| {
            let Value::String(id) = proof.payload.value("jti") else { return false };
            proof.payload.set("jti", format!("{id}{}", "é".repeat((128 - id.len()) / 2)));
            true
        }),
    ]
}

fn proof_targets() -> Vec<Operator> {
    vec![
        unsigned("proof: a nonce where none is asked for", Touches::Form, |attempt, turn| {
            let Some(proof) = &mut attempt.proof else { return false };
            proof.payload.set("nonce", turn.dice.text(&["x", "another server's", "\u{1f511}"]));
            turn.mood == Mood::Settled
        }),
        proof("its target in another spelling", Touches::Target, |proof, attempt, dice, _| {
            let (origin, path) = (origin(&attempt.host), attempt.path.as_str());
            let default = !origin.ends_with("8443");
            let spelling = match dice.below(8) {
                0 => format!("{}{path}", origin.to_ascii_uppercase()),
                1 if default => format!("{origin}:443{path}"),
                1 => format!("{}:08443{path}", origin.trim_end_matches(":8443")),
                2 => format!("{}{path}", origin.replace(".com", ".com.")),
                3 => format!("{origin}{path}?page=2&x=y"),
                4 => format!("{origin}{path}#fragment"),
                5 => format!("{origin}{}", path.replace('~', "%7e").replace("/7", "/%37")),
                6 => format!("{origin}{}", path.replace("%C3%A9", "%c3%a9")),
                _ => format!("{origin}{path}?"),
            };
            proof.payload.set("htu", spelling);
            true
        }),
    ]
}

fn requests() -> Vec<Operator> {
    vec![
        wire("request: another query", Touches::Target, |wire, turn| {
            let (path, _) = wire.target.split_once('?').unwrap_or((&wire.target, ""));
            let query =
                turn.dice.text(&["?", "?a=b", "?x=access_token", "?a=%2F..%2F&b=%00", "?token=x", "?a?b"]);
            wire.target = format!("{path}{query}");
            true
        }),
        wire("request: escapes in the other case", Touches::Target, |wire, _| {
            let changed = wire.target.replace("%C3%A9", "%c3%a9");
            let differs = changed != wire.target;
            wire.target = changed;
            differs
        }),
        wire("request: the host in another spelling", Touches::Audience, |wire, turn| {
            let own = wire.host.clone();
            wire.host = match turn.dice.below(5) {
                0 => own.to_ascii_uppercase(),
                1 => format!("{own}:443"),
                2 => format!("{own}."),
                3 => format!("{own}:8080"),
                _ => format!("{}.:1", own.replace('e', "E")),
            };
            true
        }),
        wire("request: another scheme than https", Touches::Audience, |wire, turn| {
            wire.scheme = (turn.dice.text(&["http", "", "HTTPS", "ftp"])).to_owned();
            true
        }),
        unsigned("request: a certificate that nobody asks for", Touches::Binding, |attempt, turn| {
            attempt.certificate =
                Some(certificates::encoded(u8::try_from(turn.dice.below(3)).expect("small")));
            matches!(attempt.binding, Binding::None | Binding::Dpop)
        }),
        unsigned("request: the certificate in another spelling", Touches::Binding, |attempt, turn| {
            if !matches!(attempt.binding, Binding::Mtls | Binding::Both) {
                return false;
            }
            let (own, other) = (certificates::pem(0), certificates::pem(1));
            attempt.certificate = Some(match turn.dice.below(5) {
                0 => own,
                1 => certificates::encode(&own.replace('\n', "\r\n")),
                2 => certificates::encode(&format!("{own}{other}")),
                3 => certificates::encode(&own).replace('+', "%2B"),
                _ => certificates::encode(&own).replace("%0A", "%0a"),
            });
            true
        }),
    ]
}

fn request_headers() -> Vec<Operator> {
    vec![
        wire("request: its scheme in another case", Touches::Fields, |wire, turn| {
            let Some(value) = wire.field("authorization") else { return false };
            let text = String::from_utf8_lossy(value).into_owned();
            let (scheme, token) = text.split_once(' ').expect("a scheme");
            *value = match turn.dice.below(3) {
                0 => format!("{} {token}", scheme.to_ascii_lowercase()),
                1 => format!("{} {token}", scheme.to_ascii_uppercase()),
                _ => format!("{scheme}    {token}"),
            }
            .into_bytes();
            true
        }),
        wire("request: names of fields in another case", Touches::Fields, |wire, _| {
            for (name, _) in &mut wire.headers {
                *name = name.to_ascii_uppercase();
            }
            true
        }),
        wire("request: fields in another order", Touches::Fields, |wire, _| {
            wire.headers.reverse();
            true
        }),
        wire("request: headers in the other encoding", Touches::Form, |wire, _| {
            wire.raw = !wire.raw;
            true
        }),
        wire("request: fields that nobody reads", Touches::Fields, |wire, turn| {
            let (name, value) = *turn.dice.pick(&[
                ("x-exequatur-agent", "corp:admin"),
                ("x_exequatur_tenant", "acme"),
                ("x-forwarded-client-cert", "Hash=00"),
                ("x-forwarded-proto", "http"),
                ("x-http-method-override", "DELETE"),
                ("x-original-url", "/tenants/evil"),
                ("x-forwarded-host", "evil.example.com"),
                ("cookie", "access_token=x"),
                ("proxy-authorization", "Bearer x"),
                ("accept", "*/*, text/html"),
            ]);
            wire.headers.push((name.to_owned(), value.as_bytes().to_vec()));
            true
        }),
        wire("request: no body shown", Touches::Form, |wire, _| {
            wire.extensions = None;
            wire.method != "OPTIONS"
        }),
        unsigned("request: a proof beside a bearer token", Touches::Fields, |attempt, turn| {
            // The token's own binding decides, and it has none that a proof could meet.
            let applies = matches!(attempt.binding, Binding::None | Binding::Mtls) && attempt.token.is_some();
            let value = turn.dice.text(&["x.y.z", "", "x,y"]);
            attempt.header("dpop", value);
            applies && attempt.scheme == "Bearer"
        }),
        unsigned("token: signed again", Touches::Form, |attempt, _| {
            let signed = attempt.token.as_ref().is_some_and(|token| matches!(token.seal, Seal::Key(_)));
            if let Some(token) = &mut attempt.token {
                let id = token.payload.value("jti");
                token.payload.set("jti", format!("{}-again", id.as_str().unwrap_or_default()));
            }
            signed
        }),
    ]
}
