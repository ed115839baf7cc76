//! `proto/` is a part of Envoy's API: what it knows has the same numbers, types and meaning as in the whole of it, and
//! what it does not know does no harm. The whole is that of the `envoy-types` crate, generated from Envoy's own files.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3 as full_core;
use envoy_types::pb::envoy::data::accesslog::v3 as full_log;
use envoy_types::pb::envoy::service::accesslog::v3 as full_als;
use envoy_types::pb::envoy::service::auth::v3 as full;
use envoy_types::pb::google::protobuf as full_google;
use exequatur_proto::envoy::config::core::v3 as our_core;
use exequatur_proto::envoy::data::accesslog::v3 as our_log;
use exequatur_proto::envoy::service::accesslog::v3 as our_als;
use exequatur_proto::envoy::service::auth::v3 as our;
use exequatur_proto::envoy::r#type::v3::{HttpStatus, StatusCode};
use exequatur_proto::google::rpc::Status;
use proptest::prelude::*;
use prost::Message;

/// Values for fields, all different in one message as long as there are enough.
#[derive(Debug)]
struct Pool {
    words: Vec<String>,
    bytes: Vec<Vec<u8>>,
    taken: usize,
}

impl Pool {
    fn word(&mut self) -> String {
        self.taken += 1;
        let word = &self.words[self.taken % self.words.len()];
        format!("{word}-{}", self.taken)
    }

    fn blob(&mut self) -> Vec<u8> {
        self.taken += 1;
        [&self.bytes[self.taken % self.bytes.len()][..], self.taken.to_string().as_bytes()].concat()
    }

    fn number(&mut self) -> u32 {
        self.taken += 1;
        u32::try_from(self.taken).unwrap()
    }

    fn map(&mut self) -> HashMap<String, String> {
        (0..self.words.len()).map(|_| (self.word(), self.word())).collect()
    }
}

fn pool() -> impl Strategy<Value = Pool> {
    let words = proptest::collection::vec("\\PC{0,12}", 1..5);
    let bytes = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..5);
    (words, bytes).prop_map(|(words, bytes)| Pool { words, bytes, taken: 0 })
}

/// A message with a value in every field of the whole API.
fn request(pool: &mut Pool, pipe: bool) -> full::CheckRequest {
    let metadata = |pool: &mut Pool| full_core::Metadata {
        filter_metadata: [(pool.word(), full_google::Struct { fields: HashMap::new() })].into(),
        typed_filter_metadata: [(
            pool.word(),
            full_google::Any { type_url: pool.word(), value: pool.blob() },
        )]
        .into(),
    };
    let http = full::attribute_context::HttpRequest {
        id: pool.word(),
        method: pool.word(),
        headers: pool.map(),
        header_map: Some(full_core::HeaderMap {
            headers: (0..3)
                .map(|_| full_core::HeaderValue {
                    key: pool.word(),
                    value: pool.word(),
                    raw_value: pool.blob(),
                })
                .collect(),
        }),
        path: pool.word(),
        host: pool.word(),
        scheme: pool.word(),
        query: pool.word(),
        fragment: pool.word(),
        size: -i64::from(pool.number()),
        protocol: pool.word(),
        body: pool.word(),
        raw_body: pool.blob(),
    };
    let request = full::attribute_context::Request {
        time: Some(full_google::Timestamp { seconds: 1_800_000_000, nanos: 5 }),
        http: Some(http),
    };
    let context = full::AttributeContext {
        source: Some(peer(pool, pipe)),
        destination: Some(peer(pool, !pipe)),
        request: Some(request),
        context_extensions: pool.map(),
        metadata_context: Some(metadata(pool)),
        route_metadata_context: Some(metadata(pool)),
        tls_session: Some(full::attribute_context::TlsSession { sni: pool.word() }),
    };
    full::CheckRequest { attributes: Some(context) }
}

fn peer(pool: &mut Pool, pipe: bool) -> full::attribute_context::Peer {
    let address = if pipe {
        full_core::address::Address::Pipe(full_core::Pipe { path: pool.word(), mode: pool.number() })
    } else {
        full_core::address::Address::SocketAddress(full_core::SocketAddress {
            protocol: 1,
            address: pool.word(),
            resolver_name: pool.word(),
            ipv4_compat: true,
            network_namespace_filepath: pool.word(),
            port_specifier: Some(full_core::socket_address::PortSpecifier::PortValue(pool.number())),
        })
    };
    full::attribute_context::Peer {
        address: Some(full_core::Address { address: Some(address) }),
        service: pool.word(),
        labels: pool.map(),
        principal: pool.word(),
        certificate: pool.word(),
    }
}

fn assert_same_peer(full: full::attribute_context::Peer, ours: our::attribute_context::Peer) {
    let our::attribute_context::Peer { address, service, labels, principal, certificate } = ours;
    assert_eq!(
        (service, labels, principal, certificate),
        (full.service, full.labels, full.principal, full.certificate)
    );
    let ours = address.unwrap().address.unwrap();
    match (full.address.unwrap().address.unwrap(), ours) {
        (
            full_core::address::Address::SocketAddress(full),
            our_core::address::Address::SocketAddress(ours),
        ) => {
            assert_eq!(ours.address, full.address);
            let Some(full_core::socket_address::PortSpecifier::PortValue(port)) = full.port_specifier else {
                panic!("no port")
            };
            let expected = our_core::socket_address::PortSpecifier::PortValue(port);
            assert_eq!(ours.port_specifier, Some(expected));
        }
        (full_core::address::Address::Pipe(full), our_core::address::Address::Pipe(ours)) => {
            assert_eq!(ours.path, full.path);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// Each field that we know has the value that was put in under the same name; the others change nothing.
    #[test]
    fn every_field_of_a_request_is_read_as_it_was_written(mut pool in pool(), pipe in any::<bool>()) {
        let full = request(&mut pool, pipe);
        let ours = our::CheckRequest::decode(full.encode_to_vec().as_slice()).unwrap();
        let (full, ours) = (full.attributes.unwrap(), ours.attributes.unwrap());
        let our::AttributeContext { source, destination, request, context_extensions, tls_session } = ours;
        assert_same_peer(full.source.unwrap(), source.unwrap());
        assert_same_peer(full.destination.unwrap(), destination.unwrap());
        prop_assert_eq!(context_extensions, full.context_extensions);
        prop_assert_eq!(tls_session.unwrap().sni, full.tls_session.unwrap().sni);
        let our::attribute_context::Request { http } = request.unwrap();
        let (full, http) = (full.request.unwrap().http.unwrap(), http.unwrap());
        let our::attribute_context::HttpRequest {
            id, method, headers, path, host, scheme, query, fragment, size, protocol, body, raw_body, header_map,
        } = http;
        prop_assert_eq!((id, method, path, host, scheme), (full.id, full.method, full.path, full.host, full.scheme));
        prop_assert_eq!((query, fragment, size), (full.query, full.fragment, full.size));
        prop_assert_eq!((protocol, body, raw_body), (full.protocol, full.body, full.raw_body));
        prop_assert_eq!(headers, full.headers);
        let of_ours = |header: our_core::HeaderValue| (header.key, header.value, header.raw_value);
        let of_full = |header: full_core::HeaderValue| (header.key, header.value, header.raw_value);
        let ours: Vec<_> = header_map.unwrap().headers.into_iter().map(of_ours).collect();
        let full: Vec<_> = full.header_map.unwrap().headers.into_iter().map(of_full).collect();
        prop_assert_eq!(ours, full);
    }

    /// What stands behind a message, of a field that nobody knows yet, is passed over.
    #[test]
    fn fields_of_the_future_are_passed_over(mut pool in pool(), tag in 1_000_u32..10_000) {
        let bytes = request(&mut pool, false).encode_to_vec();
        let known = our::CheckRequest::decode(bytes.as_slice()).unwrap();
        let mut longer = bytes;
        prost::encoding::string::encode(tag, &pool.word(), &mut longer);
        prost::encoding::bytes::encode(tag + 1, &pool.blob(), &mut longer);
        prost::encoding::uint32::encode(tag + 2, &pool.number(), &mut longer);
        prop_assert_eq!(our::CheckRequest::decode(longer.as_slice()).unwrap(), known);
    }

    /// The same of what access logs say: a stream's message, its entries, and what each of them holds.
    #[test]
    fn every_field_of_an_access_log_is_read_as_it_was_written(mut pool in pool(), pipe in any::<bool>()) {
        let full = logged(&mut pool, pipe);
        let log_entry = vec![full.clone(), full_log::HttpAccessLogEntry::default()];
        let stream = full_als::StreamAccessLogsMessage {
            identifier: Some(full_als::stream_access_logs_message::Identifier { node: None, log_name: pool.word() }),
            log_entries: Some(full_als::stream_access_logs_message::LogEntries::HttpLogs(
                full_als::stream_access_logs_message::HttpAccessLogEntries { log_entry },
            )),
        };
        let ours = our_als::StreamAccessLogsMessage::decode(stream.encode_to_vec().as_slice()).unwrap();
        let Some(our_als::stream_access_logs_message::LogEntries::HttpLogs(entries)) = ours.log_entries else {
            panic!("no entries")
        };
        prop_assert_eq!(entries.log_entry.len(), 2);
        let our_log::HttpAccessLogEntry { common_properties, request, response } =
            our_log::HttpAccessLogEntry::decode(entries.log_entry[0].clone()).unwrap();
        let common = full.common_properties.unwrap();
        let our_log::AccessLogCommon {
            time_to_first_upstream_tx_byte: sent,
            time_to_first_upstream_rx_byte: heard,
            upstream_remote_address,
            response_flags,
            metadata,
            duration,
            upstream_request_attempt_count,
            intermediate_log_entry,
            access_log_type,
        } = common_properties.unwrap();
        let ours = |duration: Option<prost_types::Duration>| duration.map(|it| (it.seconds, it.nanos));
        let whole = |duration: Option<full_google::Duration>| duration.map(|it| (it.seconds, it.nanos));
        prop_assert_eq!(ours(sent), whole(common.time_to_first_upstream_tx_byte));
        prop_assert_eq!(ours(heard), whole(common.time_to_first_upstream_rx_byte));
        prop_assert_eq!(ours(duration), whole(common.duration));
        prop_assert_eq!((intermediate_log_entry, access_log_type), (true, common.access_log_type));
        prop_assert_eq!(upstream_request_attempt_count, common.upstream_request_attempt_count);
        assert_same_peer(
            full::attribute_context::Peer {
                address: common.upstream_remote_address,
                ..full::attribute_context::Peer::default()
            },
            our::attribute_context::Peer {
                address: upstream_remote_address,
                ..our::attribute_context::Peer::default()
            },
        );
        assert_same_flags(&common.response_flags.unwrap(), response_flags.unwrap());
        for (name, fields) in common.metadata.unwrap().filter_metadata {
            let read = metadata.as_ref().unwrap().filter_metadata[&name].clone();
            prop_assert_eq!(full_google::Struct::decode(read).unwrap(), fields);
        }
        prop_assert_eq!(request.unwrap().request_body_bytes, full.request.unwrap().request_body_bytes);
        let (full, ours) = (full.response.unwrap(), response.unwrap());
        prop_assert_eq!(ours.response_code, full.response_code.map(|code| code.value));
        prop_assert_eq!(ours.response_body_bytes, full.response_body_bytes);
        prop_assert_eq!(ours.response_code_details, full.response_code_details);
    }

    /// What we answer is what Envoy reads, in every combination of a header's options.
    #[test]
    fn every_field_of_an_answer_is_read_as_it_was_written(mut pool in pool(), options in options(), deny in any::<bool>()) {
        let headers: Vec<_> = options.iter().map(|option| header(&mut pool, option)).collect();
        let removed: Vec<_> = (0..3).map(|_| pool.word()).collect();
        let (body, message) = (pool.word(), pool.word());
        let value = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(pool.word())) };
        let metadata = prost_types::Struct { fields: [("decision".to_owned(), value.clone())].into() };
        let answer = if deny {
            our::check_response::HttpResponse::DeniedResponse(our::DeniedHttpResponse {
                status: Some(HttpStatus { code: StatusCode::Unauthorized.into() }),
                headers: headers.clone(),
                body: body.clone(),
            })
        } else {
            our::check_response::HttpResponse::OkResponse(our::OkHttpResponse {
                headers: headers.clone(),
                headers_to_remove: removed.clone(),
                response_headers_to_add: headers.clone(),
            })
        };
        let ours = our::CheckResponse {
            status: Some(Status { code: 16, message: message.clone() }),
            http_response: Some(answer),
            dynamic_metadata: Some(metadata),
        };
        let full = full::CheckResponse::decode(ours.encode_to_vec().as_slice()).unwrap();
        let status = full.status.unwrap();
        prop_assert_eq!((status.code, status.message, status.details.len()), (16, message, 0));
        let read = &full.dynamic_metadata.unwrap().fields["decision"];
        let Some(full_google::value::Kind::StringValue(read)) = &read.kind else { panic!("{read:?}") };
        prop_assert_eq!(Some(prost_types::value::Kind::StringValue(read.clone())), value.kind);
        match full.http_response.unwrap() {
            full::check_response::HttpResponse::DeniedResponse(denied) => {
                prop_assert!(deny);
                prop_assert_eq!(denied.status.unwrap().code, 401);
                prop_assert_eq!(denied.body, body);
                assert_same_headers(&denied.headers, &headers);
            }
            full::check_response::HttpResponse::OkResponse(ok) => {
                prop_assert!(!deny);
                assert_same_headers(&ok.headers, &headers);
                assert_same_headers(&ok.response_headers_to_add, &headers);
                prop_assert_eq!(ok.headers_to_remove, removed);
                prop_assert!(ok.query_parameters_to_set.is_empty() && ok.query_parameters_to_remove.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

fn took(pool: &mut Pool) -> Option<full_google::Duration> {
    Some(full_google::Duration { seconds: i64::from(pool.number()), nanos: 7 })
}

fn logged_flags(pool: &mut Pool) -> full_log::ResponseFlags {
    // The wire itself sets every other flag: field numbers 1 to 28, of which one is a message.
    let mut bytes = Vec::new();
    for tag in (1..=28).filter(|tag| *tag != 13) {
        prost::encoding::bool::encode(tag, &pool.number().is_multiple_of(2), &mut bytes);
    }
    full_log::ResponseFlags {
        unauthorized_details: Some(full_log::response_flags::Unauthorized { reason: 1 }),
        ..full_log::ResponseFlags::decode(bytes.as_slice()).unwrap()
    }
}

/// An entry with a value in every field of the whole API that holds one, but for those of TLS.
#[expect(deprecated, reason = "older versions of Envoy set `intermediate_log_entry` alone")]
fn logged(pool: &mut Pool, pipe: bool) -> full_log::HttpAccessLogEntry {
    let metadata = full_core::Metadata {
        filter_metadata: [(
            pool.word(),
            full_google::Struct {
                fields: [(
                    pool.word(),
                    full_google::Value { kind: Some(full_google::value::Kind::StringValue(pool.word())) },
                )]
                .into(),
            },
        )]
        .into(),
        typed_filter_metadata: HashMap::new(),
    };
    let common = full_log::AccessLogCommon {
        sample_rate: 0.5,
        start_time: Some(full_google::Timestamp { seconds: 1_800_000_000, nanos: 5 }),
        time_to_last_rx_byte: took(pool),
        time_to_first_upstream_tx_byte: took(pool),
        time_to_last_upstream_tx_byte: took(pool),
        time_to_first_upstream_rx_byte: took(pool),
        upstream_remote_address: peer(pool, pipe).address,
        upstream_local_address: peer(pool, !pipe).address,
        upstream_cluster: pool.word(),
        response_flags: Some(logged_flags(pool)),
        metadata: Some(metadata),
        upstream_transport_failure_reason: pool.word(),
        route_name: pool.word(),
        custom_tags: pool.map(),
        duration: took(pool),
        upstream_request_attempt_count: pool.number(),
        stream_id: pool.word(),
        intermediate_log_entry: true,
        upstream_wire_bytes_received: 32,
        access_log_type: i32::try_from(pool.number() % 14).unwrap(),
        ..full_log::AccessLogCommon::default()
    };
    let request = full_log::HttpRequestProperties {
        request_method: 1,
        path: pool.word(),
        user_agent: pool.word(),
        original_path: pool.word(),
        request_headers_bytes: pool.number().into(),
        request_body_bytes: pool.number().into(),
        request_headers: pool.map(),
        ..full_log::HttpRequestProperties::default()
    };
    let response = full_log::HttpResponseProperties {
        response_code: Some(full_google::UInt32Value { value: pool.number() }),
        response_headers_bytes: pool.number().into(),
        response_body_bytes: pool.number().into(),
        response_headers: pool.map(),
        response_code_details: pool.word(),
        ..full_log::HttpResponseProperties::default()
    };
    full_log::HttpAccessLogEntry {
        common_properties: Some(common),
        protocol_version: 2,
        request: Some(request),
        response: Some(response),
    }
}

/// Each flag by its name: our message as the whole API reads it.
fn assert_same_flags(full: &full_log::ResponseFlags, ours: our_log::ResponseFlags) {
    let read = full_log::ResponseFlags::decode(ours.encode_to_vec().as_slice()).unwrap();
    let without = full_log::ResponseFlags {
        unauthorized_details: Some(full_log::response_flags::Unauthorized::default()),
        ..*full
    };
    assert_eq!(read, without);
}

type Options = (Option<bool>, i32, bool);

fn options() -> impl Strategy<Value = Vec<Options>> {
    proptest::collection::vec((any::<Option<bool>>(), 0..4, any::<bool>()), 0..6)
}

fn header(pool: &mut Pool, (append, action, keep): &Options) -> our_core::HeaderValueOption {
    our_core::HeaderValueOption {
        header: Some(our_core::HeaderValue { key: pool.word(), value: pool.word(), raw_value: pool.blob() }),
        append: *append,
        append_action: *action,
        keep_empty_value: *keep,
    }
}

#[expect(deprecated, reason = "older versions of Envoy look at nothing but `append` (G21)")]
fn assert_same_headers(full: &[full_core::HeaderValueOption], ours: &[our_core::HeaderValueOption]) {
    assert_eq!(full.len(), ours.len());
    for (full, ours) in full.iter().zip(ours) {
        let (value, expected) = (full.header.as_ref().unwrap(), ours.header.as_ref().unwrap());
        assert_eq!(
            (&value.key, &value.value, &value.raw_value),
            (&expected.key, &expected.value, &expected.raw_value)
        );
        let append = full.append.as_ref().map(|append| append.value);
        assert_eq!(
            (append, full.append_action, full.keep_empty_value),
            (ours.append, ours.append_action, ours.keep_empty_value)
        );
    }
}

/// The numbers behind the words that we use.
#[test]
fn words_have_the_same_numbers() {
    use envoy_types::pb::envoy::r#type::v3::StatusCode as FullStatus;
    use full_core::header_value_option::HeaderAppendAction as FullAction;
    use our_core::header_value_option::HeaderAppendAction as OurAction;
    for (ours, full) in [
        (OurAction::AppendIfExistsOrAdd, FullAction::AppendIfExistsOrAdd),
        (OurAction::AddIfAbsent, FullAction::AddIfAbsent),
        (OurAction::OverwriteIfExistsOrAdd, FullAction::OverwriteIfExistsOrAdd),
        (OurAction::OverwriteIfExists, FullAction::OverwriteIfExists),
    ] {
        assert_eq!((ours as i32, ours.as_str_name()), (full as i32, full.as_str_name()));
    }
    for number in 0..20 {
        let (ours, full) =
            (our_log::AccessLogType::try_from(number).ok(), full_log::AccessLogType::try_from(number).ok());
        assert_eq!(ours.map(|ours| ours.as_str_name()), full.map(|full| full.as_str_name()), "{number}");
    }
    for (ours, full) in [
        (StatusCode::Empty, FullStatus::Empty),
        (StatusCode::Ok, FullStatus::Ok),
        (StatusCode::BadRequest, FullStatus::BadRequest),
        (StatusCode::Unauthorized, FullStatus::Unauthorized),
        (StatusCode::Forbidden, FullStatus::Forbidden),
        (StatusCode::NotFound, FullStatus::NotFound),
        (StatusCode::PayloadTooLarge, FullStatus::PayloadTooLarge),
        (StatusCode::TooManyRequests, FullStatus::TooManyRequests),
        (StatusCode::ServiceUnavailable, FullStatus::ServiceUnavailable),
    ] {
        assert_eq!((ours as i32, ours.as_str_name()), (full as i32, full.as_str_name()));
    }
}

/// A message of ours without a status would be a permit to Envoy: the default must never be sent.
#[test]
fn an_empty_answer_is_status_ok() {
    let full = full::CheckResponse::decode(our::CheckResponse::default().encode_to_vec().as_slice()).unwrap();
    assert_eq!(full.status.unwrap_or_default().code, 0);
}
