//! `CheckRequest` → what was presented.

use std::collections::HashMap;
use std::net::IpAddr;

use exequatur_decide::{BodySeen, Denial, Malformed, RawRequest};
use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue, address, socket_address};
use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use prost::Message as _;
use tonic::codegen::Bytes;

use super::trace_context::TraceParent;

/// The context extension by which a route of Envoy's says, with `shown`, that it has `with_request_body`. A body
/// without a declared length (chunked, or HTTP/2) is not noticed otherwise.
const BODY_EXTENSION: &str = "exequatur_body";

/// By which Envoy says whether the body that it shows is all of it. It overwrites what a caller sends.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// A Check as it came. Decoded it holds many times its length, so it is decoded only when its turn has come.
#[derive(Debug)]
pub(crate) struct Message(Bytes);

impl Message {
    pub(crate) fn encoded(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<CheckRequest> for Message {
    fn from(request: CheckRequest) -> Self {
        Self(request.encode_to_vec().into())
    }
}

/// What Envoy said of the request, owned.
#[derive(Debug)]
pub(crate) struct Described {
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    certificate: Option<String>,
    body: BodySeen,
    /// The body, where Envoy shows all of it and byte for byte.
    whole_body: Option<Vec<u8>>,
    peer: Option<IpAddr>,
}

/// What the answer depends on beside the decision.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caller {
    /// The connection's source address.
    pub(crate) peer: Option<IpAddr>,
    /// Whether it speaks gRPC, as Envoy sees it.
    pub(crate) grpc: bool,
    /// The trace that it says the request belongs to.
    pub(crate) trace: Option<TraceParent>,
}

impl Described {
    /// The header fields, their names in lower case.
    pub(crate) fn fields(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The request in decide's terms.
    pub(crate) fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    pub(crate) fn caller(&self) -> Caller {
        let grpc = |(name, value): &(String, Vec<u8>)| {
            let rest = value.strip_prefix(b"application/grpc");
            name == "content-type"
                && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        };
        Caller { peer: self.peer, grpc: self.headers.iter().any(grpc), trace: TraceParent::of(&self.headers) }
    }

    /// The target as Envoy shows it.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The body, where it is known to be all of it.
    pub(crate) fn whole_body(&self) -> Option<&[u8]> {
        self.whole_body.as_deref()
    }

    /// The values of the fields of a name, which is in lower case.
    pub(crate) fn field<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn raw<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> RawRequest<'a> {
        RawRequest {
            method: &self.method,
            host: &self.host,
            target: &self.target,
            headers,
            certificate: self.certificate.as_deref(),
            body: self.body,
            peer: self.peer,
        }
    }
}

/// Takes the message apart.
///
/// # Errors
/// [`Malformed::Incomplete`] for a message that is none, or describes no HTTP request, or describes its headers in two
/// ways at once: which of them the upstream sees cannot be known.
pub(crate) fn extract(message: Message) -> Result<Described, Denial> {
    const INCOMPLETE: Denial = Denial::Malformed(Malformed::Incomplete);
    let Message(bytes) = message;
    let request = CheckRequest::decode(bytes).or(Err(INCOMPLETE))?;
    let attributes = request.attributes.ok_or(INCOMPLETE)?;
    // Said by the operator in Envoy's configuration, never by the caller: the filter buffers the body here.
    let shown = attributes.context_extensions.get(BODY_EXTENSION).is_some_and(|value| value == "shown");
    let Request { http } = attributes.request.ok_or(INCOMPLETE)?;
    // Every field is named, so that a new one cannot be overlooked. `scheme` is what the client or a
    // balancer claims, never what `htu` is compared with (N04); `query` and `fragment` stay empty (N03).
    let HttpRequest {
        id: _,
        method,
        headers,
        path,
        host,
        scheme: _,
        query,
        fragment,
        size,
        protocol: _,
        body,
        raw_body,
        header_map,
    } = http.ok_or(INCOMPLETE)?;
    if !query.is_empty() || !fragment.is_empty() {
        return Err(INCOMPLETE);
    }
    let headers = read_headers(headers, header_map).ok_or(INCOMPLETE)?;
    let declared = headers.iter().any(|(name, value)| {
        name == "transfer-encoding" || (name == "content-length" && value.as_slice() != b"0")
    });
    // A request that asks for an upgrade is not buffered, so that a body behind it is not shown either.
    let shown = shown && !headers.iter().any(|(name, _)| name == "upgrade");
    let body_seen = match (declared || size > 0 || !body.is_empty() || !raw_body.is_empty(), shown) {
        (true, _) => BodySeen::Present,
        (false, true) => BodySeen::Absent,
        (false, false) => BodySeen::Unknown,
    };
    let (peer, certificate) = attributes.source.map_or((None, None), read_peer);
    let whole_body = whole(body_seen, shown, raw_body, &headers);
    Ok(Described { method, host, target: path, headers, certificate, body: body_seen, whole_body, peer })
}

/// The body, if it is certain that this is all of it, and as it was sent: `body`, which is text, may have been mended.
fn whole(seen: BodySeen, shown: bool, raw: Vec<u8>, headers: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut partial = headers.iter().filter(|(name, _)| name == PARTIAL_BODY).map(|(_, value)| value);
    let complete = partial.next().is_some_and(|value| value == b"false") && partial.next().is_none();
    match seen {
        BodySeen::Absent => Some(Vec::new()),
        BodySeen::Present => (shown && complete && !raw.is_empty()).then_some(raw),
        BodySeen::Unknown => None,
    }
}

/// Envoy fills `header_map` under `encode_raw_headers`, else `headers`; never both.
fn read_headers(joined: HashMap<String, String>, raw: Option<HeaderMap>) -> Option<Vec<(String, Vec<u8>)>> {
    let raw = raw.map(|map| map.headers).unwrap_or_default();
    if raw.is_empty() {
        return Some(joined.into_iter().map(|(name, value)| (lower(name), value.into_bytes())).collect());
    }
    if !joined.is_empty() {
        return None;
    }
    raw.into_iter().map(read_header).collect()
}

fn read_header(header: HeaderValue) -> Option<(String, Vec<u8>)> {
    let HeaderValue { key, value, raw_value } = header;
    let value = match (value.is_empty(), raw_value.is_empty()) {
        (true, _) => raw_value,
        (false, true) => value.into_bytes(),
        (false, false) => return None,
    };
    Some((lower(key), value))
}

fn lower(mut name: String) -> String {
    name.make_ascii_lowercase();
    name
}

fn read_peer(peer: Peer) -> (Option<IpAddr>, Option<String>) {
    let address = peer.address.and_then(|address| address.address).and_then(|address| match address {
        address::Address::SocketAddress(socket) => {
            let (None
            | Some(
                socket_address::PortSpecifier::PortValue(_) | socket_address::PortSpecifier::NamedPort(_),
            )) = socket.port_specifier;
            socket.address.parse().ok()
        }
        address::Address::Pipe(_) => None,
    });
    (address, Some(peer.certificate).filter(|certificate| !certificate.is_empty()))
}

#[cfg(test)]
mod tests {
    use exequatur_proto::envoy::service::auth::v3::AttributeContext;

    use super::*;

    fn seen(extension: Option<&str>, headers: &[(&str, &str)], body: &str) -> BodySeen {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let http =
            HttpRequest { headers: headers.collect(), body: body.to_owned(), ..HttpRequest::default() };
        let extension = extension.map(|value| (BODY_EXTENSION.to_owned(), value.to_owned()));
        let attributes = AttributeContext {
            request: Some(Request { http: Some(http) }),
            context_extensions: extension.into_iter().collect(),
            ..AttributeContext::default()
        };
        extract(CheckRequest { attributes: Some(attributes) }.into()).unwrap().body
    }

    /// Half of a body, or one that Envoy was not told to show, is not taken for what was asked with.
    #[test]
    fn a_body_is_whole_only_where_envoy_says_so() {
        let field = |value: &str| (PARTIAL_BODY.to_owned(), value.as_bytes().to_vec());
        let body = || b"{}".to_vec();
        assert_eq!(whole(BodySeen::Present, true, body(), &[field("false")]), Some(body()));
        assert_eq!(whole(BodySeen::Absent, true, Vec::new(), &[]), Some(Vec::new()));
        for (seen, shown, raw, headers) in [
            (BodySeen::Present, true, body(), vec![field("true")]),
            (BodySeen::Present, true, body(), vec![]),
            (BodySeen::Present, true, body(), vec![field("false"), field("false")]),
            (BodySeen::Present, false, body(), vec![field("false")]),
            (BodySeen::Present, true, Vec::new(), vec![field("false")]),
            (BodySeen::Unknown, false, Vec::new(), vec![field("false")]),
        ] {
            assert_eq!(whole(seen, shown, raw, &headers), None, "{seen:?} {shown} {headers:?}");
        }
    }

    /// G29: that there is no body is believed of an Envoy that shows bodies, and of a request that it buffers.
    #[test]
    fn a_body_is_absent_only_where_it_would_be_shown() {
        let shown = Some("shown");
        assert_eq!(seen(shown, &[], ""), BodySeen::Absent);
        assert_eq!(seen(shown, &[("content-length", "0")], ""), BodySeen::Absent);
        assert_eq!(seen(shown, &[("Upgrade", "websocket")], ""), BodySeen::Unknown);
        for extension in [None, Some(""), Some("hidden")] {
            assert_eq!(seen(extension, &[], ""), BodySeen::Unknown, "{extension:?}");
        }
        // A caller's header is not Envoy's configuration.
        assert_eq!(seen(None, &[(BODY_EXTENSION, "shown")], ""), BodySeen::Unknown);
        for (headers, body) in
            [(&[("content-length", "1")][..], ""), (&[("transfer-encoding", "chunked")], ""), (&[], "a")]
        {
            assert_eq!(seen(shown, headers, body), BodySeen::Present, "{headers:?} {body:?}");
        }
    }
}
