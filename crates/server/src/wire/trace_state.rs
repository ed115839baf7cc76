//! What else is said of the trace that a request belongs to (W3C Trace Context): `tracestate`, and what the proxy says with
//! its own call.

use tonic::codegen::http::HeaderMap;

use super::trace_context::TraceParent;

const FIELD: &str = "tracestate";
/// As many bytes as everybody is to carry on (section 3.3.1.5).
const MAX_BYTES: usize = 512;
/// Section 3.3.1.1.
const MAX_MEMBERS: usize = 32;
/// Of a key and of a value (sections 3.3.1.3.1 and 3.3.1.3.2).
const MAX_PART: usize = 256;

/// Where something belongs in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The span that it belongs to.
    pub(crate) parent: TraceParent,
    /// What others say of the trace, as they said it; empty if they say nothing.
    pub(crate) state: String,
}

impl Lineage {
    /// Of a call: a proxy that traces says with it in which span of its own it asks. What the caller said stands in the
    /// request that the call describes, and may be of before.
    pub(crate) fn of_call(fields: &HeaderMap) -> Option<Self> {
        let values = |name: &str| fields.get_all(name).into_iter().map(|value| value.as_bytes());
        let parent = TraceParent::only(values("traceparent"))?;
        Some(Self { parent, state: state(values(FIELD)) })
    }
}

/// The state in header fields, whose names are in lower case.
pub(crate) fn state_of(headers: &[(String, Vec<u8>)]) -> String {
    state(headers.iter().filter(|(name, _)| name == FIELD).map(|(_, value)| value.as_slice()))
}

/// The whole of it, or nothing: one that is not as the specification has it, or longer than everybody carries on, is not
/// carried on in part.
fn state<'a>(values: impl Iterator<Item = &'a [u8]>) -> String {
    let (mut whole, mut keys): (String, Vec<&str>) = (String::new(), Vec::new());
    for value in values {
        let Ok(value) = str::from_utf8(value) else { return String::new() };
        if value.len() > MAX_BYTES {
            return String::new();
        }
        for member in value.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let Some(key) = key_of(member).filter(|key| !keys.contains(key)) else { return String::new() };
            keys.push(key);
            if !whole.is_empty() {
                whole.push(',');
            }
            whole.push_str(member);
            if keys.len() > MAX_MEMBERS || whole.len() > MAX_BYTES {
                return String::new();
            }
        }
    }
    whole
}

/// The key of a `key=value` as section 3.3.1.3 has it.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let of_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let begins = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let key_fits =
        key.len() <= MAX_PART && key.bytes().all(of_key) && key.as_bytes().first().is_some_and(begins);
    let of_value = |byte: u8| matches!(byte, 0x20..=0x2b | 0x2d..=0x3c | 0x3e..=0x7e);
    let value_fits = (1..=MAX_PART).contains(&value.len()) && value.bytes().all(of_value);
    (key_fits && value_fits).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        state(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn what_others_say_is_carried_on() {
        for (values, expected) in [
            (&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"][..], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            (&["rojo=1", "congo=2"], "rojo=1,congo=2"),
            (&["rojo=1 ,\t congo=2,,", ""], "rojo=1,congo=2"),
            (&["fw529a3039@dt=FfHPzQ4P;3,ot=th:c;rv:1"], "fw529a3039@dt=FfHPzQ4P;3,ot=th:c;rv:1"),
            (&["a=1 2"], "a=1 2"),
            (&[], ""),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
        let most: Vec<_> = (0..MAX_MEMBERS).map(|n| format!("k{n}=v")).collect();
        assert_eq!(of(&[&most.join(",")]), most.join(","));
        let long = format!("a={}", "v".repeat(MAX_PART));
        assert_eq!(of(&[&long]), long);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_not_carried_on_at_all() {
        let many: Vec<_> = (0..=MAX_MEMBERS).map(|n| format!("k{n}=v")).collect();
        let member = |name: &str| format!("{name}={}", "v".repeat(250));
        let (one, two, three) = (member("a"), member("b"), member("c"));
        for values in [
            &["a"][..],
            &["=1"],
            &["a="],
            &["A=1"],
            &["a=1,b"],
            &["a=1=2"],
            &["a=1\u{1}"],
            &["a=é"],
            &["a=1,a=2"],
            &["a=1", "a=2"],
            &["_a=1"],
            &["@a=1"],
            &[&many.join(",")],
            &[&format!("a={}", "v".repeat(MAX_PART + 1))],
            &[&format!("a{}=1", "k".repeat(MAX_PART))],
            &[&format!("a={}", "v".repeat(10_000))],
            &[&" ".repeat(MAX_BYTES + 1)],
            &[&one, &two, &three],
        ] {
            assert_eq!(of(values), "", "{values:?}");
        }
        assert_eq!(state([b"a=1\xff".as_slice()].into_iter()), "");
    }

    #[test]
    fn a_call_says_where_it_belongs() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let call = |fields: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, value.parse().unwrap());
            }
            Lineage::of_call(&map).map(|lineage| (lineage.parent.span.to_string(), lineage.state))
        };
        let span = || "b7ad6b7169203331".to_owned();
        assert_eq!(call(&[("traceparent", parent)]), Some((span(), String::new())));
        let both = [("traceparent", parent), ("tracestate", "a=1"), ("tracestate", "b=2")];
        assert_eq!(call(&both), Some((span(), "a=1,b=2".to_owned())));
        assert_eq!(call(&[("traceparent", parent), ("tracestate", "!")]), Some((span(), String::new())));
        assert_eq!(call(&[("tracestate", "a=1")]), None);
        assert_eq!(call(&[("traceparent", parent), ("traceparent", parent)]), None);
        assert_eq!(call(&[("traceparent", "00")]), None);
    }
}
