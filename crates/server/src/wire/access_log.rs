//! Envoy's access-log entry → the outcome of a decision. What a caller may write as he likes (path, query, header fields,
//! names, the words of an error) is not even decoded, but for the one word that says who answered.

use std::net::{IpAddr, SocketAddr};

use exequatur_audit::{AbortedBy, AnsweredBy, Outcome, Text};
use exequatur_proto::envoy::config::core::v3::{Address, Metadata, address, socket_address};
use exequatur_proto::envoy::data::accesslog::v3::{
    AccessLogCommon, AccessLogType, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
    ResponseFlags,
};
use jiff::Timestamp;
use prost::Message as _;
use prost_types::Struct;
use prost_types::value::Kind;
use tonic::codegen::Bytes;
use uuid::{Uuid, Variant};

use super::metadata::{DECISION, PERMIT, VERDICT};

/// Whose metadata holds the decision: Envoy's name of the filter, which it writes them under.
const FILTER: &str = "envoy.filters.http.ext_authz";
/// How `response_code_details` says that the upstream answered.
const VIA_UPSTREAM: &str = "via_upstream";
const CUT_BY_UPSTREAM: &str = "upstream_reset_after_response_started";
/// That of an answer which the caller was not sent: Envoy follows it itself, with another request.
const REDIRECTED: &str = "internal_redirect";
/// Most bytes of our own metadata that are read. What we write has some hundred.
const MOST_METADATA: usize = 8 * 1024;
/// Longest path of a Unix socket that is kept, in bytes: what a socket's address has room for.
const MAX_SOCKET_PATH: usize = 108;

/// Why an entry leaves no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It is no entry of the protocol.
    Unreadable,
    /// The request goes on, or the entry is of one attempt at an upstream.
    NotFinal,
    /// Nobody asked about the request.
    NoDecision,
    /// What stands where a decision of ours should is none.
    NotOurs,
    /// The decision was no permit: what came of it is Envoy's own answer.
    Denied,
}

/// What an entry says, at the time that it was reported.
///
/// # Errors
/// [`Passed`]
pub(crate) fn outcome(entry: Bytes, now: Timestamp) -> Result<Outcome<'static>, Passed> {
    let HttpAccessLogEntry { common_properties, request, response } =
        HttpAccessLogEntry::decode(entry).or(Err(Passed::Unreadable))?;
    let AccessLogCommon {
        time_to_first_upstream_tx_byte,
        time_to_first_upstream_rx_byte,
        upstream_remote_address,
        response_flags,
        metadata,
        duration,
        upstream_request_attempt_count,
        intermediate_log_entry,
        access_log_type,
    } = common_properties.ok_or(Passed::NoDecision)?;
    if intermediate_log_entry || !is_final(access_log_type) {
        return Err(Passed::NotFinal);
    }
    let mut outcome = Outcome::new(now, Text::from(permitted(metadata)?));
    let HttpRequestProperties { request_body_bytes } = request.unwrap_or_default();
    let HttpResponseProperties { response_code, response_body_bytes, response_code_details } =
        response.unwrap_or_default();
    let (flags, aborted_by) = flags(response_flags.unwrap_or_default());
    outcome.status = response_code.filter(|_code| response_code_details != REDIRECTED).and_then(status);
    outcome.answered_by = outcome
        .status
        .and_then(|_sent| answered_by(&response_code_details, time_to_first_upstream_rx_byte.is_some()));
    outcome.reached_upstream =
        reached(time_to_first_upstream_tx_byte.is_some(), upstream_request_attempt_count);
    outcome.upstream = upstream_remote_address.and_then(host).map(Text::from);
    outcome.request_body_bytes = request_body_bytes;
    outcome.response_body_bytes = response_body_bytes;
    outcome.duration_us = duration.and_then(microseconds);
    outcome.aborted_by = aborted_by;
    outcome.flags = flags.into_iter().map(Text::from).collect();
    Ok(outcome)
}

/// Envoy begins its times anew with each attempt, so that of earlier ones nothing is known.
fn reached(last: bool, attempts: u32) -> Option<bool> {
    (last || attempts <= 1).then_some(last)
}

/// Older versions do not say when an entry was made.
fn is_final(access_log_type: i32) -> bool {
    [AccessLogType::NotSet, AccessLogType::DownstreamEnd].map(i32::from).contains(&access_log_type)
}

/// The id of the permit that the metadata name.
fn permitted(metadata: Option<Metadata>) -> Result<String, Passed> {
    let Metadata { mut filter_metadata } = metadata.unwrap_or_default();
    let ours = filter_metadata.remove(FILTER).ok_or(Passed::NoDecision)?;
    if ours.len() > MOST_METADATA {
        return Err(Passed::NotOurs);
    }
    let Struct { mut fields } = Struct::decode(ours).or(Err(Passed::Unreadable))?;
    let mut text = |name: &str| match fields.remove(name)?.kind? {
        Kind::StringValue(text) => Some(text),
        Kind::NullValue(_)
        | Kind::NumberValue(_)
        | Kind::BoolValue(_)
        | Kind::StructValue(_)
        | Kind::ListValue(_) => None,
    };
    let id = text(DECISION).filter(|id| is_ours(id)).ok_or(Passed::NotOurs)?;
    match text(VERDICT) {
        Some(verdict) if verdict == PERMIT => Ok(id),
        Some(_other) => Err(Passed::Denied),
        None => Err(Passed::NotOurs),
    }
}

/// A UUID of version 7, spelled as we spell it.
fn is_ours(id: &str) -> bool {
    Uuid::try_parse(id).is_ok_and(|uuid| {
        uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122 && uuid.to_string() == id
    })
}

/// Envoy says 0 where no answer was begun.
fn status(code: u32) -> Option<u16> {
    u16::try_from(code).ok().filter(|code| (100..1000).contains(code))
}

/// Where the caller went away during an answer, or a time ended it, Envoy's word for that stands in the place of whose answer it
/// was; then it is known only if no upstream had said anything.
fn answered_by(details: &str, heard_upstream: bool) -> Option<AnsweredBy> {
    if details == VIA_UPSTREAM || details.starts_with(CUT_BY_UPSTREAM) {
        return Some(AnsweredBy::Upstream);
    }
    (!heard_upstream).then_some(AnsweredBy::Proxy)
}

fn host(address: Address) -> Option<String> {
    match address.address? {
        address::Address::SocketAddress(socket) => {
            let ip = socket.address.parse::<IpAddr>().ok()?;
            let port = match socket.port_specifier {
                Some(socket_address::PortSpecifier::PortValue(port)) => u16::try_from(port).ok()?,
                Some(socket_address::PortSpecifier::NamedPort(_)) | None => return None,
            };
            Some(SocketAddr::new(ip, port).to_string())
        }
        address::Address::Pipe(pipe) => {
            let plain = pipe.path.len() <= MAX_SOCKET_PATH && pipe.path.bytes().all(|b| b.is_ascii_graphic());
            plain.then(|| format!("unix:{}", pipe.path))
        }
    }
}

/// Nothing if it is negative.
fn microseconds(duration: prost_types::Duration) -> Option<u64> {
    let seconds = u64::try_from(duration.seconds).ok()?.checked_mul(1_000_000)?;
    seconds.checked_add(u64::try_from(duration.nanos).ok()? / 1000)
}

/// Envoy's short words for the flags that are set, and who broke the exchange off by them. Of several the caller comes first, then
/// the upstream: what Envoy does itself may follow from either.
fn flags(flags: ResponseFlags) -> (Vec<&'static str>, Option<AbortedBy>) {
    const CALLER: Option<AbortedBy> = Some(AbortedBy::Caller);
    const UPSTREAM: Option<AbortedBy> = Some(AbortedBy::Upstream);
    const PROXY: Option<AbortedBy> = Some(AbortedBy::Proxy);
    let table = [
        (flags.failed_local_healthcheck, "LH", None),
        (flags.no_healthy_upstream, "UH", None),
        (flags.upstream_request_timeout, "UT", PROXY),
        (flags.local_reset, "LR", PROXY),
        (flags.upstream_remote_reset, "UR", UPSTREAM),
        (flags.upstream_connection_failure, "UF", None),
        (flags.upstream_connection_termination, "UC", UPSTREAM),
        (flags.upstream_overflow, "UO", None),
        (flags.no_route_found, "NR", None),
        (flags.delay_injected, "DI", None),
        (flags.fault_injected, "FI", None),
        (flags.rate_limited, "RL", None),
        (flags.unauthorized_details.is_some(), "UAEX", None),
        (flags.rate_limit_service_error, "RLSE", None),
        (flags.downstream_connection_termination, "DC", CALLER),
        (flags.upstream_retry_limit_exceeded, "URX", None),
        (flags.stream_idle_timeout, "SI", PROXY),
        (flags.invalid_envoy_request_headers, "IH", None),
        (flags.downstream_protocol_error, "DPE", CALLER),
        (flags.upstream_max_stream_duration_reached, "UMSDR", PROXY),
        (flags.response_from_cache_filter, "RFCF", None),
        (flags.no_filter_config_found, "NFCF", None),
        (flags.duration_timeout, "DT", PROXY),
        (flags.upstream_protocol_error, "UPE", UPSTREAM),
        (flags.no_cluster_found, "NC", None),
        (flags.overload_manager, "OM", PROXY),
        (flags.dns_resolution_failure, "DF", None),
        (flags.downstream_remote_reset, "DR", CALLER),
    ];
    let set = || table.iter().filter(|(set, ..)| *set);
    let aborted = [CALLER, UPSTREAM, PROXY].into_iter().find(|who| set().any(|(.., by)| by == who));
    (set().map(|(_, word, _)| *word).collect(), aborted.flatten())
}

#[cfg(test)]
mod tests;
