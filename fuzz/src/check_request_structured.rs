//! A message made of parts, most of them those of the valid one: nearer to a permit than random bytes come.

use std::collections::HashMap;

use arbitrary::{Arbitrary, Unstructured};
use exequatur_proto::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress, address};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};

use super::gate::{self, PUBLIC};
use super::signed::{HOST, METHOD, PATH, PROOF, TOKEN};

/// The laws.
pub fn run(data: &[u8]) {
    let _permitted = passes(data);
}

/// Whether the message that `data` stands for is permitted.
pub fn passes(data: &[u8]) -> bool {
    let message = Message::arbitrary_take_rest(Unstructured::new(data));
    message.is_ok_and(|message| gate::pass(&message.into()))
}

/// A text that is usually the valid one.
#[derive(Arbitrary, Debug)]
enum Word {
    Right,
    Public,
    Louder,
    Before(String),
    After(String),
    Without(u16),
    Other(String),
}

impl Word {
    fn of(self, right: &str) -> String {
        match self {
            Self::Right => right.to_owned(),
            Self::Public => PUBLIC.to_owned(),
            Self::Louder => right.to_uppercase(),
            Self::Before(text) => format!("{text}{right}"),
            Self::After(text) => format!("{right}{text}"),
            Self::Without(position) => {
                let position = usize::from(position);
                right.char_indices().filter(|(index, _)| *index != position).map(|(_, c)| c).collect()
            }
            Self::Other(text) => text,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Scheme {
    Dpop,
    Bearer,
    Lower,
    Other(String),
}

#[derive(Arbitrary, Debug)]
struct Message {
    method: Word,
    host: Word,
    path: Word,
    scheme: Scheme,
    token: Word,
    proof: Option<Word>,
    second_proof: Option<Word>,
    second_authorization: Option<Word>,
    more: Vec<(Name, Vec<u8>)>,
    raw: bool,
    both: bool,
    certificate: Option<String>,
    source: Option<String>,
    query: String,
    body: String,
    raw_body: Vec<u8>,
    size: i64,
    extension: Option<String>,
}

#[derive(Arbitrary, Debug)]
enum Name {
    Host,
    Upgrade,
    Origin,
    RequestMethod,
    ContentLength,
    Identity,
    Proof,
    Other(String),
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::Host => "host".to_owned(),
            Self::Upgrade => "upgrade".to_owned(),
            Self::Origin => "origin".to_owned(),
            Self::RequestMethod => "access-control-request-method".to_owned(),
            Self::ContentLength => "content-length".to_owned(),
            Self::Identity => "x-exequatur-agent".to_owned(),
            Self::Proof => "DPoP".to_owned(),
            Self::Other(text) => text,
        }
    }
}

impl From<Message> for CheckRequest {
    fn from(mut message: Message) -> Self {
        let fields = message.fields();
        let Message {
            method,
            host,
            path,
            raw,
            both,
            certificate,
            source,
            query,
            body,
            raw_body,
            size,
            extension,
            ..
        } = message;
        let joined =
            || fields.iter().map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()));
        let listed = || {
            let header = |(key, value): &(String, Vec<u8>)| HeaderValue {
                key: key.clone(),
                value: String::new(),
                raw_value: value.clone(),
            };
            HeaderMap { headers: fields.iter().map(header).collect() }
        };
        let http = HttpRequest {
            method: method.of(METHOD),
            host: host.of(HOST),
            path: path.of(PATH),
            headers: if raw && !both { HashMap::new() } else { joined().collect() },
            header_map: (raw || both).then(listed),
            query,
            body,
            raw_body,
            size,
            ..HttpRequest::default()
        };
        let socket = |address| Address {
            address: Some(address::Address::SocketAddress(SocketAddress {
                address,
                ..SocketAddress::default()
            })),
        };
        let source = Peer {
            address: source.map(socket),
            certificate: certificate.unwrap_or_default(),
            ..Peer::default()
        };
        let extension = extension.map(|value| ("exequatur_body".to_owned(), value));
        Self {
            attributes: Some(AttributeContext {
                source: Some(source),
                request: Some(Request { http: Some(http) }),
                context_extensions: extension.into_iter().collect(),
                ..AttributeContext::default()
            }),
        }
    }
}

impl Message {
    /// The fields, taken out of the message.
    fn fields(&mut self) -> Vec<(String, Vec<u8>)> {
        let scheme = match std::mem::replace(&mut self.scheme, Scheme::Dpop) {
            Scheme::Dpop => "DPoP".to_owned(),
            Scheme::Bearer => "Bearer".to_owned(),
            Scheme::Lower => "dpop".to_owned(),
            Scheme::Other(text) => text,
        };
        let token = std::mem::replace(&mut self.token, Word::Right).of(&TOKEN);
        let mut fields = vec![("authorization".to_owned(), format!("{scheme} {token}").into_bytes())];
        for proof in [self.proof.take(), self.second_proof.take()].into_iter().flatten() {
            fields.push(("dpop".to_owned(), proof.of(&PROOF).into_bytes()));
        }
        if let Some(second) = self.second_authorization.take() {
            fields.push(("authorization".to_owned(), second.of(&TOKEN).into_bytes()));
        }
        fields.extend(std::mem::take(&mut self.more).into_iter().map(|(name, value)| (name.text(), value)));
        fields
    }
}
