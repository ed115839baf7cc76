use std::collections::HashMap;

use exequatur_proto::envoy::config::core::v3::{Pipe, SocketAddress};
use exequatur_proto::envoy::data::accesslog::v3::response_flags::Unauthorized;
use prost_types::{Duration, Value};

use super::*;

const ID: &str = "019abc12-3456-7def-8123-456789abcdef";

fn now() -> Timestamp {
    "2026-11-22T10:11:12Z".parse().unwrap()
}

fn metadata(filter: &str, fields: &[(&str, &str)]) -> Option<Metadata> {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let bytes = Struct { fields }.encode_to_vec();
    Some(Metadata { filter_metadata: HashMap::from([(filter.to_owned(), bytes.into())]) })
}

fn permit() -> Option<Metadata> {
    metadata(FILTER, &[("decision", ID), ("verdict", "permit"), ("agent", "corp:a")])
}

fn common() -> AccessLogCommon {
    AccessLogCommon { metadata: permit(), ..AccessLogCommon::default() }
}

fn read(common: AccessLogCommon, response: HttpResponseProperties) -> Result<Outcome<'static>, Passed> {
    let entry = HttpAccessLogEntry {
        common_properties: Some(common),
        request: Some(HttpRequestProperties { request_body_bytes: 7 }),
        response: Some(response),
    };
    outcome(entry.encode_to_vec().into(), now())
}

fn answer(status: u32, details: &str) -> HttpResponseProperties {
    HttpResponseProperties {
        response_code: Some(status),
        response_body_bytes: 9,
        response_code_details: details.to_owned(),
    }
}

fn took(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration { seconds, nanos })
}

fn socket(address: &str, port: socket_address::PortSpecifier) -> Option<Address> {
    let socket = SocketAddress { address: address.to_owned(), port_specifier: Some(port) };
    Some(Address { address: Some(address::Address::SocketAddress(socket)) })
}

#[test]
fn an_entry_of_a_permit_is_its_outcome() {
    let common = AccessLogCommon {
        time_to_first_upstream_tx_byte: took(0, 1000),
        time_to_first_upstream_rx_byte: took(0, 2000),
        upstream_remote_address: socket("192.0.2.7", socket_address::PortSpecifier::PortValue(8080)),
        duration: took(2, 345_678_901),
        access_log_type: AccessLogType::DownstreamEnd.into(),
        ..common()
    };
    let mut expected = Outcome::new(now(), Text::from(ID));
    expected.status = Some(404);
    expected.answered_by = Some(AnsweredBy::Upstream);
    expected.reached_upstream = Some(true);
    expected.upstream = Some(Text::from("192.0.2.7:8080"));
    (expected.request_body_bytes, expected.response_body_bytes) = (7, 9);
    expected.duration_us = Some(2_345_678);
    assert_eq!(read(common, answer(404, "via_upstream")), Ok(expected));
}

/// Nothing but the id is needed, and whatever is missing or makes no sense is left out.
#[test]
fn what_is_not_known_is_left_out() {
    let mut bare = Outcome::new(now(), Text::from(ID));
    bare.reached_upstream = Some(false);
    let entry = HttpAccessLogEntry { common_properties: Some(common()), ..HttpAccessLogEntry::default() };
    assert_eq!(outcome(entry.encode_to_vec().into(), now()), Ok(bare));
    for status in [0, 99, 1000, 65_736, u32::MAX] {
        let read = read(common(), answer(status, "via_upstream")).unwrap();
        assert_eq!((read.status, read.answered_by), (None, None), "{status}");
    }
    for duration in [took(-1, 0), took(0, -1), took(i64::MAX, 0)] {
        let read = read(AccessLogCommon { duration, ..common() }, answer(200, "")).unwrap();
        assert_eq!(read.duration_us, None, "{duration:?}");
    }
    let port = socket_address::PortSpecifier::PortValue;
    let named = socket_address::PortSpecifier::NamedPort("http".to_owned());
    let pipe =
        |path: &str| Some(Address { address: Some(address::Address::Pipe(Pipe { path: path.to_owned() })) });
    for (address, expected) in [
        (socket("::1", port(80)), Some("[::1]:80")),
        (socket("192.0.2.7", port(65_536)), None),
        (socket("192.0.2.7", named), None),
        (socket("secret.example.com", port(80)), None),
        (pipe("/run/app.sock"), Some("unix:/run/app.sock")),
        (pipe(&"a".repeat(109)), None),
        (pipe("/run/a b"), None),
        (pipe("/run/ä"), None),
        (Some(Address { address: None }), None),
    ] {
        let common = AccessLogCommon { upstream_remote_address: address.clone(), ..common() };
        let read = read(common, answer(200, "")).unwrap();
        assert_eq!(read.upstream.as_ref().map(Text::as_str), expected, "{address:?}");
    }
}

/// Who answered is said only where it is known.
#[test]
fn whose_answer_it_is() {
    for (details, heard, expected) in [
        ("via_upstream", true, Some(AnsweredBy::Upstream)),
        ("upstream_reset_after_response_started{connection_termination}", true, Some(AnsweredBy::Upstream)),
        ("upstream_reset_before_response_started{connection_failure}", false, Some(AnsweredBy::Proxy)),
        ("direct_response", false, Some(AnsweredBy::Proxy)),
        ("downstream_remote_disconnect", true, None),
        ("via_upstream_not", true, None),
        ("", true, None),
        ("", false, Some(AnsweredBy::Proxy)),
    ] {
        let time_to_first_upstream_rx_byte = heard.then_some(Duration { seconds: 0, nanos: 1 });
        let common = AccessLogCommon { time_to_first_upstream_rx_byte, ..common() };
        let read = read(common, answer(200, details)).unwrap();
        assert_eq!(read.answered_by, expected, "{details} {heard}");
    }
}

/// Only what is over, and only the whole of it.
#[test]
fn entries_on_the_way_are_passed_over() {
    for number in 0..20 {
        let read = read(AccessLogCommon { access_log_type: number, ..common() }, answer(200, ""));
        let expected = if matches!(number, 0 | 6) { None } else { Some(Passed::NotFinal) };
        assert_eq!(read.err(), expected, "{number}");
    }
    let common = AccessLogCommon { intermediate_log_entry: true, ..common() };
    assert_eq!(read(common, answer(200, "")), Err(Passed::NotFinal));
}

/// Nothing is written for what carries no permit of ours: forged, malformed, somebody else's.
#[test]
fn only_permits_of_ours_have_outcomes() {
    let with = |fields: &[(&str, &str)]| metadata(FILTER, fields);
    let id = |id: &str| with(&[("decision", id), ("verdict", "permit")]);
    let broken = Metadata { filter_metadata: HashMap::from([(FILTER.to_owned(), vec![0xff].into())]) };
    let number =
        Struct { fields: [("decision".to_owned(), Value { kind: Some(Kind::NumberValue(1.0)) })].into() };
    let number = HashMap::from([(FILTER.to_owned(), number.encode_to_vec().into())]);
    for (metadata, expected) in [
        (permit(), None),
        (None, Some(Passed::NoDecision)),
        (Some(Metadata::default()), Some(Passed::NoDecision)),
        (metadata("envoy.filters.http.jwt_authn", &[("decision", ID)]), Some(Passed::NoDecision)),
        (Some(broken), Some(Passed::Unreadable)),
        (Some(Metadata { filter_metadata: number }), Some(Passed::NotOurs)),
        (with(&[("verdict", "permit")]), Some(Passed::NotOurs)),
        (with(&[("decision", ID)]), Some(Passed::NotOurs)),
        (with(&[("decision", ID), ("verdict", "deny")]), Some(Passed::Denied)),
        (with(&[("decision", ID), ("verdict", "fault")]), Some(Passed::Denied)),
        (id(""), Some(Passed::NotOurs)),
        (id(&"a".repeat(100_000)), Some(Passed::NotOurs)),
        (id(&ID.to_uppercase()), Some(Passed::NotOurs)),
        (id(&ID.replace('-', "")), Some(Passed::NotOurs)),
        (id(&format!("{{{ID}}}")), Some(Passed::NotOurs)),
        (id(&format!("urn:uuid:{ID}")), Some(Passed::NotOurs)),
        (id(&format!("{ID}\n")), Some(Passed::NotOurs)),
        (id(&ID.replace("7def", "4def")), Some(Passed::NotOurs)),
        (id(&ID.replace("-8123", "-c123")), Some(Passed::NotOurs)),
    ] {
        let shown = format!("{metadata:?}");
        let read = read(AccessLogCommon { metadata, ..AccessLogCommon::default() }, answer(200, ""));
        assert_eq!(read.err(), expected, "{}", shown.get(..shown.len().min(300)).unwrap());
    }
    assert_eq!(outcome(vec![0xff, 0xff].into(), now()), Err(Passed::Unreadable));
    assert_eq!(outcome(Bytes::new(), now()), Err(Passed::NoDecision));
}

/// An id that we make is one that we know again.
#[test]
fn the_ids_of_our_decisions_are_ours() {
    for millis in [0, 1, 1_795_000_000_000_u64] {
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[0xff; 10]).into_uuid().to_string();
        assert!(is_ours(&id), "{id}");
    }
}

#[test]
fn flags_have_envoys_words_and_say_who_broke_off() {
    let all = ResponseFlags {
        failed_local_healthcheck: true,
        no_healthy_upstream: true,
        upstream_request_timeout: true,
        local_reset: true,
        upstream_remote_reset: true,
        upstream_connection_failure: true,
        upstream_connection_termination: true,
        upstream_overflow: true,
        no_route_found: true,
        delay_injected: true,
        fault_injected: true,
        rate_limited: true,
        unauthorized_details: Some(Unauthorized {}),
        rate_limit_service_error: true,
        downstream_connection_termination: true,
        upstream_retry_limit_exceeded: true,
        stream_idle_timeout: true,
        invalid_envoy_request_headers: true,
        downstream_protocol_error: true,
        upstream_max_stream_duration_reached: true,
        response_from_cache_filter: true,
        no_filter_config_found: true,
        duration_timeout: true,
        upstream_protocol_error: true,
        no_cluster_found: true,
        overload_manager: true,
        dns_resolution_failure: true,
        downstream_remote_reset: true,
    };
    let (words, aborted_by) = flags(all);
    assert_eq!(
        words.join(","),
        "LH,UH,UT,LR,UR,UF,UC,UO,NR,DI,FI,RL,UAEX,RLSE,DC,URX,SI,IH,DPE,UMSDR,RFCF,NFCF,DT,UPE,NC,OM,DF,DR"
    );
    assert_eq!(aborted_by, Some(AbortedBy::Caller));
    let none = ResponseFlags::default;
    for (set, expected) in [
        (none(), None),
        (ResponseFlags { upstream_connection_failure: true, ..none() }, None),
        (ResponseFlags { upstream_request_timeout: true, ..none() }, Some(AbortedBy::Proxy)),
        (
            ResponseFlags { local_reset: true, upstream_connection_termination: true, ..none() },
            Some(AbortedBy::Upstream),
        ),
        (
            ResponseFlags { downstream_remote_reset: true, local_reset: true, ..none() },
            Some(AbortedBy::Caller),
        ),
    ] {
        assert_eq!(flags(set).1, expected, "{set:?}");
    }
}

/// Envoy's times are of the last attempt alone.
#[test]
fn of_several_attempts_only_the_last_is_known() {
    for (sent, attempts, expected) in [
        (true, 1, Some(true)),
        (true, 3, Some(true)),
        (false, 0, Some(false)),
        (false, 1, Some(false)),
        (false, 2, None),
    ] {
        let common = AccessLogCommon {
            time_to_first_upstream_tx_byte: if sent { took(0, 1000) } else { None },
            upstream_request_attempt_count: attempts,
            ..common()
        };
        let outcome = read(common, answer(503, "upstream_reset_before_response_started")).unwrap();
        assert_eq!(outcome.reached_upstream, expected, "{sent} {attempts}");
    }
}

/// What Envoy follows itself was sent to nobody.
#[test]
fn an_internal_redirect_is_no_answer() {
    assert_eq!(read(common(), answer(302, "internal_redirect")).unwrap().status, None);
    assert_eq!(read(common(), answer(302, "via_upstream")).unwrap().status, Some(302));
}

/// Our own metadata are small; what is not was not written by us.
#[test]
fn metadata_that_are_too_large_are_not_ours() {
    let with = |length: usize| {
        let mut common = common();
        let ours = common.metadata.as_mut().and_then(|all| all.filter_metadata.get_mut(FILTER)).unwrap();
        // A field that is not known, of as many bytes.
        let mut bytes = ours.to_vec();
        bytes.extend([0x7a, 0x80 | u8::try_from(length % 128).unwrap(), u8::try_from(length / 128).unwrap()]);
        bytes.extend(vec![0; length]);
        *ours = bytes.into();
        read(common, answer(200, "via_upstream")).map(|_outcome| ())
    };
    assert_eq!(with(4096), Ok(()));
    assert_eq!(with(8192), Err(Passed::NotOurs));
}
