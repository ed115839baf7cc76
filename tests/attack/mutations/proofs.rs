//! What a proof says (D04 to D10, D12, D13, D16, D17, D19, T04, A-30 to ).

use serde_json::{Value, json};

use crate::attempt::{Attempt, origin};
use crate::jose::{Jws, Seal};
use crate::keys::{base64url, digest};
use crate::operator::{Operator, Touches, Turn, unsigned};
use crate::site::Mood;

fn proof(
    name: &str,
    touches: Touches,
    change: impl Fn(&mut Jws, &Attempt, &mut Turn<'_>) -> bool + 'static,
) -> Operator {
    unsigned(format!("proof: {name}"), touches, move |attempt, turn| {
        let whole = attempt.clone();
        attempt.proof.as_mut().is_some_and(|proof| change(proof, &whole, turn))
    })
}

fn stranger(proof: &Jws, turn: &Turn<'_>) -> usize {
    let Seal::Key(index) = proof.seal else { return 0 };
    let alg = turn.ring.keys[index].alg;
    turn.ring.strangers.iter().copied().find(|other| turn.ring.keys[*other].alg == alg).unwrap_or_default()
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = keys();
    operators.extend(members());
    operators.extend(targets());
    operators.extend(values());
    operators
}

fn keys() -> Vec<Operator> {
    vec![
        proof("by another key than it shows", Touches::Binding, |proof, _, turn| {
            proof.seal = Seal::Key(stranger(proof, turn));
            true
        }),
        proof("by somebody else's key", Touches::Binding, |proof, _, turn| {
            let other = stranger(proof, turn);
            proof.header.set("jwk", turn.ring.keys[other].jwk.clone());
            proof.seal = Seal::Key(other);
            true
        }),
        proof("by the issuer's key", Touches::Binding, |proof, _, turn| {
            let other = *turn.dice.pick(&turn.ring.corp);
            proof.header.set("jwk", turn.ring.keys[other].jwk.clone());
            proof.header.set("alg", turn.ring.keys[other].alg);
            proof.seal = Seal::Key(other);
            true
        }),
        proof("by another of the agent's keys", Touches::Binding, |proof, _, turn| {
            let other = *turn.dice.pick(&turn.ring.agents);
            if proof.seal == Seal::Key(other) {
                return false;
            }
            proof.header.set("jwk", turn.ring.keys[other].jwk.clone());
            proof.header.set("alg", turn.ring.keys[other].alg);
            proof.seal = Seal::Key(other);
            true
        }),
        proof("a symmetric algorithm", Touches::Binding, |proof, _, turn| {
            let secret = proof.header.value("jwk").to_string().into_bytes();
            proof.header.set("alg", turn.dice.text(&["HS256", "HS384", "none", "None", "dir"]));
            proof.seal = if turn.dice.one_in(2) { Seal::Hmac(secret) } else { Seal::Bytes(vec![0; 32]) };
            true
        }),
        proof("a symmetric key", Touches::Binding, |proof, _, _| {
            let secret = b"0123456789abcdef0123456789abcdef";
            proof.header.set("jwk", json!({"kty": "oct", "k": base64url(secret)}));
            proof.header.set("alg", "HS256");
            proof.seal = Seal::Hmac(secret.to_vec());
            true
        }),
        proof("another algorithm's name", Touches::Binding, |proof, _, turn| {
            let names = ["ES256K", "es256", "RS1", "ES512", "Ed448", "ES256 ", "RS512", "", "PS384"];
            proof.header.set("alg", *turn.dice.pick(&names));
            true
        }),
        proof("the name of another known algorithm", Touches::Binding, |proof, _, turn| {
            let own = proof.header.value("alg");
            let other = turn.ring.keys[*turn.dice.pick(&turn.ring.agents)].alg;
            proof.header.set("alg", other);
            own != json!(other)
        }),
        proof("only a key's name", Touches::Binding, |proof, _, _| {
            proof.header.remove("jwk");
            proof.header.set("kid", "agent");
            true
        }),
    ]
}

/// The public key with a member changed.
fn jwk(name: &str, change: impl Fn(&mut Value, &mut Turn<'_>) -> bool + 'static) -> Operator {
    proof(name, Touches::Binding, move |proof, _, turn| {
        let mut jwk = proof.header.value("jwk");
        let applies = change(&mut jwk, turn);
        proof.header.set("jwk", jwk);
        applies
    })
}

/// The coordinate, modulus or point.
fn main_member(jwk: &Value) -> &'static str {
    if jwk["kty"] == "RSA" { "n" } else { "x" }
}

fn members() -> Vec<Operator> {
    vec![
        jwk("a private key", |jwk, turn| {
            let name = turn.dice.text(&["d", "p", "q", "dp", "dq", "qi", "oth", "k"]);
            jwk[name] = json!("AAAA");
            true
        }),
        jwk("a key without a member", |jwk, turn| {
            let names: Vec<_> =
                jwk.as_object().expect("a key").keys().filter(|name| *name != "alg").cloned().collect();
            let name = turn.dice.pick(&names).clone();
            jwk.as_object_mut().expect("a key").remove(&name);
            true
        }),
        jwk("a key with a member of another type", |jwk, turn| {
            let names: Vec<_> = jwk.as_object().expect("a key").keys().cloned().collect();
            jwk[turn.dice.pick(&names)] =
                turn.dice.pick(&[json!(null), json!(1), json!([]), json!("")]).clone();
            true
        }),
        jwk("a coordinate in another form", |jwk, turn| {
            let name = main_member(jwk);
            let own = jwk[name].as_str().expect("text").to_owned();
            jwk[name] = match turn.dice.below(5) {
                0 => json!(format!("{own}=")),
                1 => json!(own[..own.len() - 2]),
                2 => json!(format!("AA{own}")),
                3 => json!(format!("{own}AAAA")),
                _ => json!(own.replace(|c: char| c.is_ascii_alphabetic(), "A")),
            };
            jwk[name] != json!(own)
        }),
        jwk("a key of another curve or type", |jwk, turn| {
            let other = match turn.dice.below(5) {
                0 => ("crv", "P-521"),
                1 => ("crv", "secp256k1"),
                2 => ("crv", "Ed448"),
                3 => ("kty", "oct"),
                _ => ("kty", "AKP"),
            };
            jwk[other.0] = json!(other.1);
            jwk["kty"] != "RSA" || other.0 == "kty"
        }),
        jwk("a key for something else", |jwk, turn| {
            match turn.dice.below(4) {
                0 => jwk["use"] = json!("enc"),
                1 => jwk["key_ops"] = json!(["sign"]),
                2 => jwk["key_ops"] = json!([]),
                _ => jwk["alg"] = json!("ES512"),
            }
            true
        }),
        proof("crit or b64", Touches::Form, |proof, _, turn| {
            match turn.dice.below(4) {
                0 => proof.header.set("crit", json!(["exp"])),
                1 => proof.header.set("crit", json!([])),
                2 => proof.header.set("b64", false),
                _ => proof.header.set("b64", true),
            }
            true
        }),
        proof("another kind of token", Touches::Form, |proof, _, turn| {
            let kinds =
                ["JWT", "at+jwt", "dpop+jwt ", "dpop", "DPOP", "application/jwt", "dpop-jwt", "x/dpop+jwt"];
            proof.header.set("typ", *turn.dice.pick(&kinds));
            true
        }),
        proof("a header that is too long", Touches::Form, |proof, _, _| {
            proof.header.set("x", "x".repeat(2048));
            true
        }),
        proof("nested too deep", Touches::Form, |proof, _, _| {
            proof.payload.set_raw("x", &format!("{}1{}", "[".repeat(9), "]".repeat(9)));
            true
        }),
    ]
}

fn targets() -> Vec<Operator> {
    vec![
        proof("another method", Touches::Target, |proof, attempt, turn| {
            let own = attempt.method.as_str();
            let near = [
                own.to_ascii_lowercase(),
                format!("{own} "),
                "HEAD".to_owned(),
                "PATCH".to_owned(),
                "*".to_owned(),
                "GETPOST".to_owned(),
            ];
            proof.payload.set("htm", turn.dice.pick(&near).as_str());
            true
        }),
        proof("another target", Touches::Target, |proof, attempt, turn| {
            let (origin, path) = (origin(&attempt.host), attempt.path.as_str());
            let near = [
                format!("{origin}{path}/"),
                format!("{origin}{}", &path[..path.len() - 1]),
                format!("{origin}/"),
                origin.clone(),
                format!("{origin}/{path}"),
                format!("{origin}{}", path.to_ascii_uppercase()),
                format!("{origin}{}", path.replace("/7", "/8")),
                format!("{origin}{}", path.replacen('/', "/./", 2)),
                format!("{origin}/x/..{path}"),
                format!("{origin}{}", path.replacen("/7", "%2F7", 1)),
                format!("{origin}{path};x=1"),
                format!("{origin}{path}%00"),
                format!("{origin}{path}%3Fpage=2"),
                format!("{}{path}", origin.replace("https", "http")),
                format!("{}{path}", origin.replace("https://", "https://x@")),
                format!("{}{path}", origin.replace(".com", ".com.evil.example")),
                format!("{}{path}", origin.replace(".com", ".co")),
                format!("{}:444{path}", origin.trim_end_matches(":8443")),
                format!("{}{path}", origin.replace("https://", "https://evil.")),
                format!("{}{path}", origin.replace("https://", "wss://")),
                format!("{}{path}", origin.replace("https://", "//")),
                path.to_owned(),
                format!(" {origin}{path}"),
                format!("{origin}{path} "),
                format!("{origin}\\{path}"),
                format!("{origin}:x{path}"),
                format!("{origin}{path},{origin}{path}"),
                "https://evil.example.com/".to_owned(),
            ];
            proof.payload.set("htu", turn.dice.pick(&near).as_str());
            true
        }),
    ]
}

fn values() -> Vec<Operator> {
    vec![
        proof("of another token", Touches::Binding, |proof, attempt, turn| {
            let token = attempt.token.as_ref().map(|token| token.payload.text()).unwrap_or_default();
            let other = match turn.dice.below(6) {
                0 => digest(b"another token"),
                1 => digest(token.as_bytes()),
                2 => digest(b""),
                3 => format!("{}=", digest(b"x")),
                4 => "0".repeat(64),
                _ => base64url(&[0; 32]),
            };
            proof.payload.set("ath", other);
            true
        }),
        proof("an id that is too long", Touches::Form, |proof, _, turn| {
            let id = turn.dice.text(&["x", "é"]);
            proof.payload.set("jti", id.repeat(129));
            true
        }),
        // A young store asks for a nonce only in a proof that may be older than it is.
        proof("no nonce where one is asked for", Touches::Time, |proof, _, turn| {
            proof.payload.remove("nonce");
            turn.mood != Mood::Settled
        }),
        proof("a nonce that is not ours", Touches::Time, |proof, _, turn| {
            let Value::String(own) = proof.payload.value("nonce") else { return false };
            let changed = own.replace(&own[20..21], if &own[20..21] == "A" { "B" } else { "A" });
            let other = [
                changed,
                "x".to_owned(),
                own[..75].to_owned(),
                format!("{own}A"),
                "A".repeat(76),
                own.to_ascii_lowercase(),
            ];
            proof.payload.set("nonce", turn.dice.pick(&other).as_str());
            turn.mood != Mood::Settled
        }),
        proof("a nonce that is too long", Touches::Form, |proof, _, _| {
            proof.payload.set("nonce", "x".repeat(257));
            true
        }),
    ]
}
