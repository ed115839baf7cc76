//! The compact text of a token or a proof, after it was signed (D02, J11, A-11, A-14).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::base64url;
use crate::operator::{Operator, Turn, compact};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn parts(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

/// One part changed.
fn in_part(
    text: &str,
    turn: &mut Turn<'_>,
    change: impl Fn(&str, &mut Turn<'_>) -> Option<String>,
) -> Option<String> {
    let mut parts = parts(text);
    let chosen = turn.dice.below(3);
    // Another change may have left nothing of it.
    if parts[chosen].is_empty() {
        return None;
    }
    parts[chosen] = change(&parts[chosen], turn)?;
    Some(parts.join("."))
}

fn of_signature(text: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> Option<String> {
    let (input, signature) = text.rsplit_once('.')?;
    let old = URL_SAFE_NO_PAD.decode(signature).ok().filter(|old| !old.is_empty())?;
    let changed = change(old)?;
    Some(format!("{input}.{}", base64url(&changed)))
}

/// With this put in somewhere, not before everything: a space there belongs to the scheme.
fn inserted(text: &str, what: &str, turn: &mut Turn<'_>) -> String {
    let at = 1 + turn.dice.below(text.len());
    format!("{}{what}{}", &text[..at], &text[at..])
}

pub(crate) fn operators() -> Vec<Operator> {
    [forms(), characters(), signatures()].into_iter().flatten().flatten().collect()
}

fn forms() -> Vec<[Operator; 2]> {
    vec![
        compact("two parts swapped", |text, turn| {
            let mut parts = parts(text);
            let first = turn.dice.below(3);
            parts.swap(first, (first + 1) % 3);
            Some(parts.join("."))
        }),
        compact("a part twice", |text, turn| {
            let mut parts = parts(text);
            let chosen = turn.dice.below(3);
            parts.insert(chosen, parts[chosen].clone());
            Some(parts.join("."))
        }),
        compact("a part removed", |text, turn| {
            let mut parts = parts(text);
            parts.remove(turn.dice.below(3));
            Some(parts.join("."))
        }),
        compact("a part emptied", |text, turn| in_part(text, turn, |_, _| Some(String::new()))),
        compact("only dots", |_, turn| {
            Some((turn.dice.text(&["..", ".", "...", "a..b", "a.b."])).to_owned())
        }),
        compact("five parts", |text, _| Some(format!("{text}.AAAA.AAAA"))),
        compact("four parts", |text, _| Some(format!("{text}.AAAA"))),
        compact("json serialisation", |text, _| {
            let parts = parts(text);
            Some(format!(
                r#"{{"payload":"{}","protected":"{}","signature":"{}"}}"#,
                parts[1], parts[0], parts[2]
            ))
        }),
        compact("cut short", |text, turn| Some(text[..1 + turn.dice.below(text.len() - 1)].to_owned())),
        compact("too long", |text, turn| {
            Some(format!("{text}{}", "A".repeat(*turn.dice.pick(&[4096, 8192, 17_000, 40_000]))))
        }),
        compact("twice, with a comma", |text, _| Some(format!("{text},{text}"))),
        compact("a part that is another json value", |text, turn| {
            in_part(text, turn, |_, turn| {
                Some(base64url(turn.dice.text(&["[]", "null", "\"x\"", "1", "", " ", "{", "{}x"]).as_bytes()))
            })
        }),
        compact("a byte order mark", |text, turn| {
            in_json(text, turn, |json| Some([b"\xef\xbb\xbf", json].concat()))
        }),
        compact("utf-16", |text, turn| {
            in_json(text, turn, |json| Some(json.iter().flat_map(|byte| [*byte, 0]).collect()))
        }),
        compact("no utf-8", |text, turn| {
            in_json(text, turn, |json| Some([&json[..json.len() - 1], b",\"a\":\"\xff\"}"].concat()))
        }),
        compact("half a surrogate pair", |text, turn| {
            in_json(text, turn, |json| Some([&json[..json.len() - 1], br#","a":"\ud800"}"#].concat()))
        }),
    ]
}

/// Header or payload decoded, changed and encoded, under the old signature.
fn in_json(text: &str, turn: &mut Turn<'_>, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<String> {
    let mut parts = parts(text);
    let chosen = turn.dice.below(2);
    let json = URL_SAFE_NO_PAD.decode(&parts[chosen]).ok().filter(|json| !json.is_empty())?;
    parts[chosen] = base64url(&change(&json)?);
    Some(parts.join("."))
}

fn characters() -> Vec<[Operator; 2]> {
    vec![
        compact("another character", |text, turn| {
            in_part(text, turn, |part, turn| {
                let at = turn.dice.below(part.len());
                let other = char::from(*turn.dice.pick(ALPHABET));
                let old = part[at..].chars().next()?;
                (old != other).then(|| format!("{}{other}{}", &part[..at], &part[at + 1..]))
            })
        }),
        compact("a bit flipped", |text, turn| {
            in_part(text, turn, |part, turn| {
                let mut bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
                let at = turn.dice.below(bytes.len());
                bytes[at] ^= 1 << turn.dice.below(8);
                Some(base64url(&bytes))
            })
        }),
        compact("the other case", |text, turn| {
            let at = turn.dice.below(text.len());
            let old = text[at..].chars().next()?;
            let other =
                if old.is_ascii_lowercase() { old.to_ascii_uppercase() } else { old.to_ascii_lowercase() };
            (old != other).then(|| format!("{}{other}{}", &text[..at], &text[at + 1..]))
        }),
        compact("the other alphabet", |text, _| {
            let other = text.replace('-', "+").replace('_', "/");
            (other != text).then_some(other)
        }),
        compact("padding", |text, turn| {
            in_part(text, turn, |part, turn| Some(format!("{part}{}", turn.dice.text(&["=", "==", "%3D"]))))
        }),
        compact("trailing bits", |text, turn| {
            in_part(text, turn, |part, turn| {
                let unused = match part.len() % 4 {
                    2 => 16,
                    3 => 4,
                    _ => return None,
                };
                let last = *part.as_bytes().last()?;
                let place = ALPHABET.iter().position(|c| *c == last)?;
                let other = ALPHABET[place + 1 + turn.dice.below(unused - 1)];
                Some(format!("{}{}", &part[..part.len() - 1], char::from(other)))
            })
        }),
        compact("white space", |text, turn| {
            let what = turn.dice.text(&[" ", "\t", "\n", "\r\n", "\u{b}", "\u{a0}", "\r\n "]);
            Some(inserted(text, what, turn))
        }),
        compact("a foreign character", |text, turn| {
            let what =
                turn.dice.text(&["\0", "%", "é", "\u{ff21}", "\"", "{", "~", ":", ";", "\u{200b}", "!"]);
            Some(inserted(text, what, turn))
        }),
    ]
}

fn signatures() -> Vec<[Operator; 2]> {
    vec![
        compact("signature of zeros", |text, _| of_signature(text, |old| Some(vec![0; old.len()]))),
        compact("signature of ones", |text, _| of_signature(text, |old| Some(vec![0xff; old.len()]))),
        compact("halves of the signature swapped", |text, _| {
            of_signature(text, |old| {
                let (r, s) = old.split_at(old.len() / 2);
                Some([s, r].concat())
            })
        }),
        compact("half of the signature zero", |text, turn| {
            let first = turn.dice.one_in(2);
            of_signature(text, |mut old| {
                let half = old.len() / 2;
                if first {
                    old[..half].fill(0)
                } else {
                    old[half..].fill(0)
                }
                Some(old)
            })
        }),
        compact("a byte more", |text, turn| {
            let front = turn.dice.one_in(2);
            of_signature(text, |old| {
                Some(if front { [&[0], &old[..]].concat() } else { [&old[..], &[0]].concat() })
            })
        }),
        compact("a byte less", |text, turn| {
            let front = turn.dice.one_in(2);
            of_signature(text, |old| {
                Some(if front { old[1..].to_vec() } else { old[..old.len() - 1].to_vec() })
            })
        }),
        compact("signature in der", |text, _| of_signature(text, |old| (old.len() == 64).then(|| der(&old)))),
        compact("signature of something else", |text, turn| {
            let other = turn.ring.keys[*turn.dice.pick(&turn.ring.agents)].sign(b"something else");
            of_signature(text, |_| Some(other.clone()))
        }),
    ]
}

/// `SEQUENCE { INTEGER r, INTEGER s }` (G19).
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = digits.first().is_none_or(|first| *first >= 0x80);
        let digits = if sign { [&[0], &digits[..]].concat() } else { digits };
        [&[2, u8::try_from(digits.len()).expect("short")], &digits[..]].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, u8::try_from(body.len()).expect("short")], &body[..]].concat()
}
