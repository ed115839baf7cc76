//! The request around token and proof (D01, D22, D23, D27, E04, G28, G29, G33, B-01, B-02, B-05, B-07, M01, M05).

use crate::attempt::{Binding, Wire};
use crate::certificates;
use crate::operator::{Operator, Touches, Turn, unsigned, wire};

fn fields(name: &str, change: impl Fn(&mut Wire, &mut Turn<'_>) -> bool + 'static) -> Operator {
    wire(format!("request: {name}"), Touches::Fields, change)
}

/// The value of `authorization`, of which every guarded request has one.
fn authorization(wire: &mut Wire) -> Option<String> {
    wire.field("authorization").map(|value| String::from_utf8_lossy(value).into_owned())
}

fn with_authorization(name: &str, change: impl Fn(&str, &mut Turn<'_>) -> String + 'static) -> Operator {
    fields(name, move |wire, turn| {
        let Some(value) = wire.field("authorization") else { return false };
        *value = change(&String::from_utf8_lossy(value), turn).into_bytes();
        true
    })
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = credentials();
    operators.extend(schemes());
    operators.extend(proofs());
    operators.extend(targets());
    operators.extend(other_targets());
    operators.extend(tenants());
    operators.extend(hosts());
    operators.extend(certificates_and_bodies());
    operators
}

fn credentials() -> Vec<Operator> {
    vec![
        fields("no authorization", |wire, _| {
            let before = wire.headers.len();
            wire.headers.retain(|(name, _)| name != "authorization");
            wire.headers.len() < before
        }),
        fields("authorization under another name", |wire, turn| {
            let other = turn.dice.text(&[
                "x-authorization",
                "proxy-authorization",
                "cookie",
                "authorization ",
                "authorisation",
                "x-forwarded-authorization",
                "authorization\0",
                "_authorization",
            ]);
            let Some(field) = wire.headers.iter_mut().find(|(name, _)| name == "authorization") else {
                return false;
            };
            other.clone_into(&mut field.0);
            true
        }),
        fields("authorization twice", |wire, turn| {
            let Some(value) = authorization(wire) else { return false };
            let second = match turn.dice.below(5) {
                0 => value,
                1 => value.replacen("DPoP", "Bearer", 1),
                2 => "Basic YTpi".to_owned(),
                3 => String::new(),
                _ => "Bearer x.y.z".to_owned(),
            };
            let name = turn.dice.text(&["authorization", "Authorization"]);
            let at = turn.dice.below(wire.headers.len() + 1);
            wire.headers.insert(at, (name.to_owned(), second.into_bytes()));
            true
        }),
        with_authorization("two credentials in one field", |value, turn| {
            let separator = turn.dice.text(&[",", ", ", " , "]);
            format!("{value}{separator}{value}")
        }),
    ]
}

fn schemes() -> Vec<Operator> {
    vec![
        with_authorization("another scheme", |value, turn| {
            let token = value.split_once(' ').map_or("", |(_, token)| token);
            let scheme = turn.dice.text(&[
                "Basic",
                "Digest",
                "Token",
                "GNAP",
                "MAC",
                "HOBA",
                "Bearer-DPoP",
                "DPoPs",
                "Negotiate",
                "jwt",
                "PoP",
            ]);
            format!("{scheme} {token}")
        }),
        // A bound token under the wrong scheme is refused, and so is one that lost its binding; both together make
        // a bearer token.
        wire("request: the wrong one of two schemes", Touches::Binding, |wire, _| {
            let Some(value) = authorization(wire) else { return false };
            let Some((scheme, token)) = value.split_once(' ') else { return false };
            // What another change made of the scheme is not to be undone.
            let other = match scheme.to_ascii_lowercase().as_str() {
                "bearer" => "DPoP",
                "dpop" => "Bearer",
                _ => return false,
            };
            *wire.field("authorization").expect("it was there") = format!("{other} {token}").into_bytes();
            true
        }),
        with_authorization("no scheme", |value, _| {
            value.split_once(' ').map_or("", |(_, token)| token).to_owned()
        }),
        with_authorization("no space after the scheme", |value, turn| {
            value.replacen(' ', turn.dice.text(&["", "\t", ":", "=", "\u{a0}", "%20", "\n"]), 1)
        }),
        with_authorization("something after the token", |value, turn| {
            format!(
                "{value}{}",
                turn.dice.text(&[" x", "; x", " ", "\r\nx: y", ";", " realm=\"x\"", "\0", "'"])
            )
        }),
        with_authorization("something before the scheme", |value, turn| {
            format!("{}{value}", turn.dice.text(&[" ", "\t", "x ", "Bearer ", "DPoP ", "\0", "\u{feff}"]))
        }),
        with_authorization("no token", |value, turn| {
            let scheme = value.split_once(' ').map_or("Bearer", |(scheme, _)| scheme);
            format!("{scheme}{}", turn.dice.text(&["", " ", "  ", " =", " null", " undefined"]))
        }),
        fields("authorization is no utf-8", |wire, _| {
            let Some(value) = wire.field("authorization") else { return false };
            value.push(0xff);
            true
        }),
        // What is in the query, another query takes away.
        wire("request: a token in the query", Touches::Target, |wire, turn| {
            let spelling = turn.dice.text(&[
                "access_token",
                "ACCESS_TOKEN",
                "access%5Ftoken",
                "%61ccess_token",
                "a=b&access_token",
            ]);
            let sign = if wire.target.contains('?') { '&' } else { '?' };
            let token = if turn.dice.one_in(2) { "=x" } else { "" };
            wire.target.push_str(&format!("{sign}{spelling}{token}"));
            if turn.dice.one_in(2) {
                wire.headers.retain(|(name, _)| name != "authorization");
                return wire.headers.iter().any(|(name, _)| name == "dpop");
            }
            authorization(wire).is_some()
        }),
        fields("more than 256 fields", |wire, _| {
            for number in 0..257 {
                wire.headers.push((format!("x-{number}"), b"x".to_vec()));
            }
            true
        }),
    ]
}

fn proofs() -> Vec<Operator> {
    vec![
        fields("no proof", |wire, _| {
            let before = wire.headers.len();
            wire.headers.retain(|(name, _)| name != "dpop");
            wire.headers.len() < before
        }),
        fields("two proofs", |wire, turn| {
            let Some(value) = wire.field("dpop").cloned() else { return false };
            let second = match turn.dice.below(4) {
                0 => value,
                1 => Vec::new(),
                2 => b"x.y.z".to_vec(),
                _ => {
                    let joined = [&value[..], b",", &value[..]].concat();
                    wire.headers.retain(|(name, _)| name != "dpop");
                    joined
                }
            };
            let name = turn.dice.text(&["dpop", "DPoP", "Dpop"]);
            wire.headers.insert(turn.dice.below(wire.headers.len() + 1), (name.to_owned(), second));
            true
        }),
        fields("the proof under another name", |wire, turn| {
            let other = turn.dice.text(&["x-dpop", "dpop ", "d-pop", "dpop-proof", "dpop_", "proof"]);
            let Some(field) = wire.headers.iter_mut().find(|(name, _)| name == "dpop") else { return false };
            other.clone_into(&mut field.0);
            true
        }),
        fields("token and proof exchanged", |wire, _| {
            let Some(proof) = wire.field("dpop").cloned() else { return false };
            let Some(value) = authorization(wire) else { return false };
            let Some((scheme, token)) = value.split_once(' ') else { return false };
            let proof = String::from_utf8_lossy(&proof).into_owned();
            *wire.field("authorization").expect("it was there") = format!("{scheme} {proof}").into_bytes();
            *wire.field("dpop").expect("it was there") = token.as_bytes().to_vec();
            true
        }),
    ]
}

fn path(name: &str, change: impl Fn(&str, &mut Turn<'_>) -> String + 'static) -> Operator {
    wire(format!("request: {name}"), Touches::Target, move |wire, turn| {
        // Every path is good for a preflight, if it is one path.
        let (path, query) =
            wire.target.split_once('?').map_or((wire.target.as_str(), None), |(p, q)| (p, Some(q)));
        let changed = change(path, turn);
        let differs = changed != path;
        wire.target = match query {
            Some(query) => format!("{changed}?{query}"),
            None => changed,
        };
        differs
    })
}

fn targets() -> Vec<Operator> {
    vec![
        wire("request: another method", Touches::Target, |wire, turn| {
            let other = turn.dice.text(&[
                "PUT", "DELETE", "PATCH", "HEAD", "TRACE", "CONNECT", "get", "Get", "GET ", "", "G ET",
                "GET\0", "PROPFIND", "options", "post",
            ]);
            other.clone_into(&mut wire.method);
            true
        }),
        wire("request: another method than the proof's", Touches::Target, |wire, _| {
            let proven =
                authorization(wire).is_some_and(|value| value.to_ascii_lowercase().starts_with("dpop "));
            if !proven || wire.field("dpop").is_none() {
                return false;
            }
            wire.method = if wire.method == "GET" { "POST" } else { "GET" }.to_owned();
            true
        }),
        path("a path with two readings", |path, turn| match turn.dice.below(16) {
            0 => format!("/{path}"),
            1 => path.replacen('/', "//", 2),
            2 => format!("/x/..{path}"),
            3 => format!("/.{path}"),
            4 => format!("{path}/.."),
            5 => format!("{path}/."),
            6 => format!("/%2e{path}"),
            7 => format!("{path}%2F"),
            8 => format!("{path}%5c"),
            9 => format!("{path};x=1"),
            10 => format!("/..;{path}"),
            11 => format!("{path}%00"),
            12 => format!("{path}%0d%0aX:y"),
            13 => format!("{path}%252F"),
            14 => format!("{path}\\"),
            _ => format!("{path}#x"),
        }),
        path("a path that is none", |path, turn| match turn.dice.below(9) {
            0 => path.trim_start_matches('/').to_owned(),
            1 => format!("https://api.example.com{path}"),
            2 => String::new(),
            3 => "*".to_owned(),
            4 => format!("{path} "),
            5 => format!("{path}%"),
            6 => format!("{path}%zz"),
            7 => format!("{path}%ff"),
            _ => format!("{path}é"),
        }),
        path("a path with needless escapes", |path, turn| {
            let letter = turn.dice.text(&["t", "o", "e", "7", "h"]);
            path.replacen(letter, &format!("%{:02x}", letter.as_bytes()[0]), 1)
        }),
    ]
}

fn other_targets() -> Vec<Operator> {
    vec![
        wire("request: a path of no route", Touches::Target, |wire, turn| {
            if wire.method == "OPTIONS" {
                return false;
            }
            let (path, _) = wire.target.split_once('?').unwrap_or((&wire.target, ""));
            wire.target = match turn.dice.below(6) {
                0 => format!("{path}/"),
                1 => format!("{path}/x"),
                2 => path.to_ascii_uppercase(),
                3 => "/".to_owned(),
                4 => format!("/x{path}"),
                _ => "/tenants".to_owned(),
            };
            true
        }),
        wire("request: another path than the proof's", Touches::Target, |wire, turn| {
            // A proof beside a bearer token is nobody's: another path is then another request.
            let proven =
                authorization(wire).is_some_and(|value| value.to_ascii_lowercase().starts_with("dpop "));
            if !proven || wire.field("dpop").is_none() {
                return false;
            }
            wire.target = match turn.dice.below(4) {
                0 => wire.target.replacen("/7", "/8", 1),
                1 => wire.target.replacen("/7", "/7~", 1),
                2 => wire.target.replacen("/7", "/%c3%a9", 1),
                _ => wire.target.replacen("/7", "/$7", 1),
            };
            true
        }),
        wire("request: longer than it may be", Touches::Target, |wire, turn| {
            let (path, _) = wire.target.split_once('?').unwrap_or((&wire.target, ""));
            wire.target = match turn.dice.below(3) {
                0 => format!("{path}{}", "a".repeat(3073)),
                1 => format!("{path}?{}", "a".repeat(8193)),
                _ => format!("{path}{}", "/a".repeat(64)),
            };
            true
        }),
        wire("request: a fragment", Touches::Target, |wire, _| {
            wire.fragment = "x".to_owned();
            true
        }),
    ]
}

/// Another place, with a proof that names it.
fn tenants() -> Vec<Operator> {
    let moved = |name: &str, from: fn(&str) -> String| {
        unsigned(format!("request: {name}"), Touches::Identity, move |attempt, _| {
            let path = from(&attempt.path);
            let differs = path != attempt.path && attempt.token.is_some();
            attempt.path = path;
            attempt.name_target();
            differs
        })
    };
    vec![
        moved("the other tenant's path", |path| {
            if path.contains("/acme/") {
                path.replace("/acme/", "/globex/")
            } else {
                path.replace("/globex/", "/acme/")
            }
        }),
        moved("nobody's path", |path| path.replace("/acme/", "/Acme/").replace("/globex/", "/evil/")),
        moved("what no policy permits", |path| {
            let parts: Vec<_> = path.split('/').collect();
            if parts.len() == 6 { path.replacen(parts[3], "rules", 1) } else { path.to_owned() }
        }),
        moved("what a policy forbids", |path| kind(path, "locked")),
        moved("what a policy cannot judge", |path| kind(path, "broken")),
        unsigned("request: what another scope is for", Touches::Identity, |attempt, _| {
            let applies = attempt.place.route == "notes";
            attempt.path = attempt.path.replace("/7", "/8");
            attempt.name_target();
            applies
        }),
    ]
}

fn kind(path: &str, kind: &str) -> String {
    path.rsplit_once('/')
        .and_then(|(rest, id)| rest.rsplit_once('/').map(|(rest, _)| format!("{rest}/{kind}/{id}")))
        .unwrap_or_else(|| path.to_owned())
}

fn hosts() -> Vec<Operator> {
    vec![
        wire("request: a host that is not served", Touches::Audience, |wire, turn| {
            let own = wire.host.clone();
            wire.host = match turn.dice.below(16) {
                0 => String::new(),
                1 => "evil.example.com".to_owned(),
                2 => format!("{own},{own}"),
                3 => format!("x@{own}"),
                4 => format!("{own} "),
                5 => format!(" {own}"),
                6 => format!("{own}:"),
                7 => format!("{own}:x"),
                8 => format!("{own}:999999"),
                9 => format!("{own}/x"),
                10 => format!("{own}.evil.example"),
                11 => format!("{own}.."),
                12 => format!("{own}\0"),
                13 => own.replace('e', "\u{435}"),
                14 => "[::1]".to_owned(),
                _ => own.replace(".com", ""),
            };
            true
        }),
        wire("request: the other host", Touches::Audience, |wire, _| {
            // Routes that forward are the same under each host, and only a proof names one.
            if wire.field("authorization").is_none()
                || (wire.target.contains("/upstream/") && wire.field("dpop").is_none())
            {
                return false;
            }
            wire.host =
                if wire.host.starts_with("api") { "files.example.com" } else { "api.example.com" }.to_owned();
            true
        }),
    ]
}

fn certificates_and_bodies() -> Vec<Operator> {
    let certificate = |name: &str, change: fn(&mut Turn<'_>) -> Option<String>| {
        unsigned(format!("request: {name}"), Touches::Binding, move |attempt, turn| {
            attempt.certificate = change(turn);
            matches!(attempt.binding, Binding::Mtls | Binding::Both)
        })
    };
    let preflight = |name: &str, change: fn(&mut Wire, usize)| {
        wire(format!("preflight: {name}"), Touches::Fields, move |wire, turn| {
            change(wire, turn.dice.below(4));
            wire.method == "OPTIONS"
        })
    };
    vec![
        certificate("no certificate", |_| None),
        certificate("another certificate", |_| Some(certificates::encoded(1))),
        certificate("another certificate before the right one", |_| {
            Some(certificates::encode(&format!("{}{}", certificates::pem(1), certificates::pem(0))))
        }),
        unsigned("request: a broken certificate", Touches::Binding, |attempt, turn| {
            let good = certificates::encoded(0);
            let broken = [
                "x".to_owned(),
                good.replace("BEGIN", "BEGIN "),
                good.replace("MIIB", "MIIC"),
                format!("x{good}"),
                good.replace('+', " "),
                good.replace("%0A", "%0"),
                good[..good.len() / 2].to_owned(),
                "%FF".to_owned(),
                good.replace("CERTIFICATE", "PUBLIC KEY"),
                good.replace("MII", "MI"),
            ];
            attempt.certificate = Some(turn.dice.pick(&broken).clone());
            true
        }),
        preflight("not of its shape", |wire, choice| match choice {
            0 => wire.headers.retain(|(name, _)| name != "origin"),
            1 => wire.headers.retain(|(name, _)| name != "access-control-request-method"),
            2 => wire
                .headers
                .iter_mut()
                .filter(|(name, _)| name == "origin")
                .for_each(|(_, value)| value.clear()),
            _ => wire.headers.push(("upgrade".to_owned(), b"websocket".to_vec())),
        }),
        preflight("with a body, or who knows", |wire, choice| match choice {
            0 => wire.size = 5,
            1 => wire.headers.push(("content-length".to_owned(), b"5".to_vec())),
            2 => wire.headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
            _ => {
                wire.extensions = None;
                wire.headers.push(("exequatur_body".to_owned(), b"shown".to_vec()));
            }
        }),
    ]
}
