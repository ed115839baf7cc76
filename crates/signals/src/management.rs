//! What a receiver asks of a transmitter about its stream (SSF §8.1): to make one, to send a verification event, and what
//! state it is in.

use std::time::Duration;

use exequatur_issuers::{
    Caller, Discovery, DownloadError, HttpConfig, IssuersError, MetadataError, Question, Reply,
};
use exequatur_token::json::{self, Object, Value};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::config::{Delivery, PushAuthorization, StreamConfig};
use crate::event::{EventKind, StreamState};
use crate::secret::{Secret, SecretError};
use crate::state::StateSecret;

/// Time for an answer: a person waits.
const WITHIN: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

const PUSH: &str = "urn:ietf:rfc:8935";
const POLL: &str = "urn:ietf:rfc:8936";

/// Asks about one stream.
#[derive(Debug)]
pub struct Management<'a> {
    config: &'a StreamConfig,
    caller: Caller,
}

/// A stream that the transmitter made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// What the transmitter calls it: the `stream_id` of the configuration.
    pub stream_id: String,
    /// Where its sets are fetched from, if they are: the `url` of the configuration.
    pub poll_url: Option<String>,
    /// What was agreed, and not.
    pub agreed: Agreed,
}

/// Whether a stream is what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// `iss` is the configured transmitter.
    pub issuer: bool,
    /// `aud` has the configured audience.
    pub audience: bool,
    /// The delivery is the one that was asked for.
    pub delivery: bool,
    /// Whether events of each kind will come.
    pub events: Vec<(EventKind, bool)>,
}

impl Agreed {
    /// Whether sets of this stream will be accepted.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.issuer && self.audience && self.delivery
    }
}

/// The state of a stream, as the transmitter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// Whether events come.
    pub state: StreamState,
    /// Why, if it says so; printable.
    pub reason: Option<String>,
}

/// Why nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    /// The transmitter's metadata.
    #[error("metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// The metadata names no such place.
    #[error("the transmitter's metadata has no `{0}`")]
    NoEndpoint(&'static str),
    /// A secret that is needed.
    #[error("{0}: {1}")]
    Secret(&'static str, SecretError),
    /// No secret that a state could be made with.
    #[error("no `state_secret_file`, `authorization_file` or `token_file` to make a state with")]
    NoSecret,
    /// The configuration does not know the stream's id.
    #[error("no `stream_id` in the configuration: `create` prints it")]
    NoStreamId,
    /// Events are pushed, and nobody said where to.
    #[error("sets are pushed, and it was not said where the transmitter reaches this service")]
    NoEndpointUrl,
    /// No whole answer.
    #[error("{0}")]
    Answer(#[from] DownloadError),
    /// A refusal.
    #[error("the transmitter answered with status {0}")]
    Status(u16),
    /// An answer that is none.
    #[error("the transmitter's answer is malformed")]
    Malformed,
    /// No random bytes.
    #[error("no randomness for a state")]
    NoRandomness,
}

impl<'a> Management<'a> {
    /// Of this stream.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn of(config: &'a StreamConfig) -> Result<Self, IssuersError> {
        Ok(Self { config, caller: Caller::new(&config.keys.transport, HttpConfig::default())? })
    }

    /// Asks for a stream of the events that have an effect here; if they are pushed, to `endpoint`.
    ///
    /// # Errors
    /// [`ManagementError`]; there may be a stream all the same if its answer was lost.
    pub async fn create(&self, endpoint: Option<&str>) -> Result<Created, ManagementError> {
        let (method, delivery) = match &self.config.delivery {
            Delivery::Poll(_) => (POLL, json!({ "method": POLL })),
            Delivery::Push(push) => {
                let endpoint = endpoint.ok_or(ManagementError::NoEndpointUrl)?;
                let mut delivery = json!({ "method": PUSH, "endpoint_url": endpoint });
                if let (PushAuthorization::File(file), Some(object)) =
                    (&push.authorization, delivery.as_object_mut())
                {
                    let secret = Secret::read(file);
                    let secret =
                        secret.map_err(|error| ManagementError::Secret("authorization_file", error))?;
                    object.insert("authorization_header".to_owned(), json!(secret.expose()));
                }
                (PUSH, delivery)
            }
        };
        let events: Vec<_> = EventKind::REQUESTED.into_iter().filter_map(EventKind::uri).collect();
        let description = format!("Exequatur, {}", self.config.name());
        let request = json!({ "delivery": delivery, "events_requested": events, "description": description });
        let text = Zeroizing::new(request.to_string());
        let reply = self.ask("configuration_endpoint", None, Some(&text)).await?;
        let answer = object(&reply, &[200, 201])?;
        let text =
            |object: &Object, name: &str| object.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let stream_id =
            text(&answer, "stream_id").filter(|id| printable(id)).ok_or(ManagementError::Malformed)?;
        let agreed_delivery = answer.get("delivery").and_then(Value::as_object);
        let poll_url =
            agreed_delivery.filter(|_| method == POLL).and_then(|delivery| text(delivery, "endpoint_url"));
        Ok(Created {
            stream_id,
            poll_url: poll_url.filter(|url| printable(url)),
            agreed: Agreed {
                issuer: text(&answer, "iss").as_ref() == Some(&self.config.expected.issuer),
                audience: has(answer.get("aud"), &self.config.expected.audience),
                delivery: agreed_delivery.and_then(|delivery| text(delivery, "method")).as_deref()
                    == Some(method),
                events: EventKind::REQUESTED
                    .into_iter()
                    .map(|kind| {
                        (kind, kind.uri().is_some_and(|uri| has(answer.get("events_delivered"), uri)))
                    })
                    .collect(),
            },
        })
    }

    /// Asks for a verification event with a state that every replica knows for an hour.
    ///
    /// # Errors
    /// [`ManagementError`]
    pub async fn verify(&self, now: Timestamp) -> Result<(), ManagementError> {
        let stream = self.config.stream_id.as_deref().ok_or(ManagementError::NoStreamId)?;
        let file = self.config.secret_of_states().ok_or(ManagementError::NoSecret)?;
        let secret =
            Secret::read(file).map_err(|error| ManagementError::Secret("secret of states", error))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).or(Err(ManagementError::NoRandomness))?;
        let state = StateSecret::new(secret.expose().as_bytes(), self.config.name()).issue(now, random);
        let request = json!({ "stream_id": stream, "state": state }).to_string();
        let reply = self.ask("verification_endpoint", None, Some(&request)).await?;
        if [200, 202, 204].contains(&reply.status) {
            Ok(())
        } else {
            Err(ManagementError::Status(reply.status))
        }
    }

    /// Asks for the stream's state.
    ///
    /// # Errors
    /// [`ManagementError`]
    pub async fn status(&self) -> Result<StreamStatus, ManagementError> {
        let stream = self.config.stream_id.as_deref().ok_or(ManagementError::NoStreamId)?;
        let reply = self.ask("status_endpoint", Some(stream), None).await?;
        let answer = object(&reply, &[200])?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let state = text("status").and_then(StreamState::from_word).ok_or(ManagementError::Malformed)?;
        let reason = text("reason").filter(|reason| printable(reason)).map(ToOwned::to_owned);
        Ok(StreamStatus { state, reason })
    }

    async fn ask(
        &self,
        endpoint: &'static str,
        stream: Option<&str>,
        json: Option<&str>,
    ) -> Result<Reply, ManagementError> {
        let metadata = self.caller.discover(Discovery::SharedSignals, &self.config.expected.issuer).await?;
        let place = metadata.place(endpoint)?.ok_or(ManagementError::NoEndpoint(endpoint))?;
        let place = match stream {
            Some(stream) => place.with_query("stream_id", stream),
            None => place,
        };
        let authorization = match &self.config.token_file {
            Some(file) => {
                let token =
                    Secret::read(file).map_err(|error| ManagementError::Secret("token_file", error))?;
                Some(Zeroizing::new(format!("Bearer {}", token.expose())))
            }
            None => None,
        };
        let authorization = authorization.as_ref().map(|text| text.as_str());
        let question = Question { place: &place, authorization, json, within: WITHIN, max_bytes: MAX_ANSWER };
        Ok(self.caller.ask(question).await?)
    }
}

fn object(reply: &Reply, statuses: &[u16]) -> Result<Object, ManagementError> {
    if !statuses.contains(&reply.status) {
        return Err(ManagementError::Status(reply.status));
    }
    let limits = json::Limits { bytes: MAX_ANSWER, depth: 16, members: 256 };
    match json::parse(&reply.body, limits) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            Err(ManagementError::Malformed)
        }
    }
}

/// Whether `text` is the value or one of its members.
fn has(value: Option<&Value>, text: &str) -> bool {
    let Some(value) = value else { return false };
    let members = value.as_array().unwrap_or_else(|| std::slice::from_ref(value));
    members.iter().any(|member| member.as_str() == Some(text))
}

/// What is shown at a terminal has no control characters, and is no novel.
fn printable(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control)
}
