//! Security events at the public listener (RFC 8935), and the streams that they belong to.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use exequatur_audit::{Recorder, Redaction};
use exequatur_issuers::{HttpConfig, IssuersError, Place, Renewal, Signers};
use exequatur_signals::{
    Authorization, Delivery, ErrorCode, MAX_SET_BYTES, Poller, Push, PushAuthorization, PushRefusal,
    Receiver, ReceiverParts, Refusal, Rules, Secret, SecretError, StateSecret, StreamConfig, Unavailable,
};
use exequatur_store::{AttributeStore, Rate, RatePer, RevocationStore, SourceKey, SourceLimits};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::duties::Duties;
use crate::http::Peer;
use crate::metrics;

/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// Sets of one source that fail, at once and a second, before none of it is looked at.
const FAILURES: u32 = 50;
const FAILURES_A_SECOND: u32 = 5;
/// When what is not available now may be.
const RETRY_AFTER: &str = "5";

/// Why streams cannot be received.
#[derive(Debug, Error)]
pub enum SignalsError {
    /// How records show whom events are about.
    #[error(transparent)]
    Records(#[from] crate::receipts::ReceiptsError),
    /// Their transmitters' keys.
    #[error("{0}")]
    Keys(#[from] IssuersError),
    /// A secret.
    #[error("{}: {error}", file.display())]
    Secret {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: SecretError,
    },
    /// The endpoint of a poll; the configuration was checked for it.
    #[error("the endpoint of a poll is {0}")]
    Endpoint(#[from] exequatur_issuers::AddressProblem),
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Streams {
    signers: Signers,
    receivers: Vec<Arc<Receiver>>,
    /// Of each receiver, in their order.
    secrets: Vec<SecretsInUse>,
    pushed: Vec<Pushed>,
    pollers: Vec<Poller>,
}

/// Where sets of a stream are posted to, and what is asked for there.
#[derive(Debug)]
struct Pushed {
    path: String,
    receiver: Arc<Receiver>,
    /// `None`: nothing is asked for.
    authorization: Option<Arc<ArcSwap<Authorization>>>,
}

/// What the files of a stream's secrets say. A token for polls is none of them: it is read when it is needed, and one that
/// is missing is nobody else's business.
pub(crate) struct StreamSecrets {
    /// What its transmitter shows, where that is asked for.
    authorization: Option<Authorization>,
    /// What verification requests are known by.
    states: Option<StateSecret>,
    digest: [u8; 32],
}

impl std::fmt::Debug for StreamSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamSecrets").finish_non_exhaustive()
    }
}

impl StreamSecrets {
    /// Reads them.
    ///
    /// # Errors
    /// [`SignalsError::Secret`]
    pub(crate) fn read(config: &StreamConfig) -> Result<Self, SignalsError> {
        let mut digest = Sha256::new();
        let mut read = |file: &PathBuf| {
            let failed = |error| SignalsError::Secret { file: file.clone(), error };
            let lines = Secret::read_lines(file).map_err(failed)?;
            // Of fixed length, so that nothing moves from one line or file to the other unseen.
            lines.iter().for_each(|line| digest.update(Sha256::digest(line.expose())));
            digest.update([0; 32]);
            Ok::<_, SignalsError>(lines)
        };
        let authorization = match &config.delivery {
            Delivery::Push(Push { authorization: PushAuthorization::File(file), .. }) => {
                Some(Authorization::new(&read(file)?))
            }
            Delivery::Push(Push { authorization: PushAuthorization::NotAsked, .. }) | Delivery::Poll(_) => {
                None
            }
        };
        let states = config.own_secret_of_states().map(&mut read).transpose()?;
        let states = states.and_then(|lines| lines.into_iter().next());
        let states = states.map(|secret| StateSecret::new(secret.expose().as_bytes(), config.name()));
        Ok(Self { authorization, states, digest: digest.finalize().into() })
    }

    /// SHA-256 of what they say.
    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// The secrets of one stream.
struct SecretsInUse {
    authorization: Option<Arc<ArcSwap<Authorization>>>,
    rules: Arc<ArcSwap<Rules>>,
    digest: ArcSwap<[u8; 32]>,
}

impl std::fmt::Debug for SecretsInUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretsInUse").finish_non_exhaustive()
    }
}

impl SecretsInUse {
    fn new(config: &StreamConfig) -> Result<Self, SignalsError> {
        let StreamSecrets { authorization, states, digest } = StreamSecrets::read(config)?;
        let states = match (states, config.secret_of_states()) {
            (Some(states), _) => Some(states),
            (None, Some(file)) => {
                let failed = |error| SignalsError::Secret { file: file.clone(), error };
                let secret = Secret::read(file).map_err(failed)?;
                Some(StateSecret::new(secret.expose().as_bytes(), config.name()))
            }
            (None, None) => None,
        };
        Ok(Self {
            authorization: authorization.map(|shown| Arc::new(ArcSwap::from_pointee(shown))),
            rules: Arc::new(ArcSwap::from_pointee(rules(config, states))),
            digest: ArcSwap::from_pointee(digest),
        })
    }

    /// Whether they say something else, which counts from now on.
    fn renew(&self, config: &StreamConfig, found: StreamSecrets) -> bool {
        let StreamSecrets { authorization, states, digest } = found;
        if **self.digest.load() == digest {
            return false;
        }
        if let Some((used, found)) = self.authorization.as_ref().zip(authorization) {
            used.store(Arc::new(found));
        }
        if states.is_some() {
            self.rules.store(Arc::new(rules(config, states)));
        }
        self.digest.store(Arc::new(digest));
        true
    }
}

/// What streams share.
pub(crate) struct Shared<'a> {
    pub(crate) revocations: &'a Arc<dyn RevocationStore>,
    pub(crate) attributes: &'a Arc<dyn AttributeStore>,
    pub(crate) recorder: &'a Option<Recorder>,
    pub(crate) clock: &'a Clock,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) stop: &'a CancellationToken,
}

impl<'a> Shared<'a> {
    /// Where what events do is kept and recorded, by which time, and what keeps their transmitters' keys.
    pub(crate) const fn of(
        (revocations, attributes): (&'a Arc<dyn RevocationStore>, &'a Arc<dyn AttributeStore>),
        recorder: &'a Option<Recorder>,
        clock: &'a Clock,
        (tasks, stop): (&'a TaskTracker, &'a CancellationToken),
    ) -> Self {
        Self { revocations, attributes, recorder, clock, tasks, stop }
    }
}

impl Streams {
    /// Begins to keep the transmitters' keys.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub(crate) fn open(
        configs: &[StreamConfig],
        redaction: &Arc<Redaction>,
        shared: &Shared<'_>,
    ) -> Result<Self, SignalsError> {
        let keys = configs.iter().map(|config| config.keys.clone()).collect();
        let http = HttpConfig::default();
        let signers = Signers::start(keys, http, Arc::clone(shared.clock), shared.tasks, shared.stop)?;
        let mut streams = Self {
            signers,
            receivers: Vec::new(),
            secrets: Vec::new(),
            pushed: Vec::new(),
            pollers: Vec::new(),
        };
        let kept: Vec<_> = streams.signers.iter().map(Arc::clone).collect();
        for (config, keys) in configs.iter().zip(kept) {
            let secrets = SecretsInUse::new(config)?;
            let receiver = Arc::new(Receiver::new(ReceiverParts {
                name: config.name().to_owned(),
                expected: config.expected.clone(),
                rules: Arc::clone(&secrets.rules),
                keys,
                revocations: Arc::clone(shared.revocations),
                attributes: Arc::clone(shared.attributes),
                recorder: shared.recorder.clone(),
                redaction: Arc::clone(redaction),
                clock: Arc::clone(shared.clock),
            }));
            streams.receivers.push(Arc::clone(&receiver));
            match &config.delivery {
                Delivery::Push(push) => {
                    let authorization = secrets.authorization.clone();
                    streams.pushed.push(Pushed { path: push.path.clone(), receiver, authorization });
                }
                Delivery::Poll(poll) => match &poll.url {
                    Some(url) => {
                        let caller = streams.signers.caller(&config.keys.transport)?;
                        let (place, token) = (Place::named(url)?, config.token_file.clone());
                        streams.pollers.push(Poller::new(receiver, caller, place, poll.clone(), token));
                    }
                    None => tracing::warn!(
                        stream = config.name(),
                        "no security events are fetched: `delivery.poll.url` is not set"
                    ),
                },
            }
            streams.secrets.push(secrets);
        }
        Ok(streams)
    }

    /// The places that sets are posted to.
    pub(crate) fn router(&self) -> Router {
        let mut router = Router::new();
        let failures = Arc::new(SourceLimits::new(failures()));
        for Pushed { path, receiver, authorization } in &self.pushed {
            let endpoint = Arc::new(Endpoint {
                receiver: Arc::clone(receiver),
                authorization: authorization.clone(),
                failures: Arc::clone(&failures),
            });
            router = router.route(path, post(pushed).with_state(endpoint));
        }
        router
    }

    /// Begins what fetches, and what counts.
    pub(crate) fn begin(&mut self, duties: &Duties, stop: &CancellationToken) {
        for poller in self.pollers.drain(..) {
            duties.begin("signals", stop, poller.run(stop.clone()));
        }
    }

    /// Makes what is needed to go over to what the files of the transmitters' connections say now.
    ///
    /// # Errors
    /// A client cannot be made.
    pub(crate) fn renewal(&self, configs: &[StreamConfig]) -> Result<Renewal<'_>, IssuersError> {
        self.signers.renewal(configs.iter().map(|config| &config.keys.transport))
    }

    /// Goes over to what the files of the streams' secrets say now. Gives the names of those streams whose say something else.
    pub(crate) fn renew_secrets(&self, configs: &[StreamConfig], found: Vec<StreamSecrets>) -> Vec<String> {
        let each = self.secrets.iter().zip(configs).zip(found);
        let renewed = each.filter_map(|((used, config), found)| {
            used.renew(config, found).then(|| config.name().to_owned())
        });
        renewed.collect()
    }

    /// Publishes what was counted.
    pub(crate) fn measure(&self, now: jiff::Timestamp) {
        self.receivers.iter().for_each(|receiver| metrics::signals(receiver.name(), receiver.tally()));
        for status in self.signers.status(now) {
            metrics::signals_keys(status.name.as_str(), status.keys_age, status.loads.failed());
        }
    }

    /// A transmitter whose keys nobody keeps any more.
    pub(crate) fn unattended(&self) -> Option<&exequatur_token::IssuerName> {
        self.signers.unattended()
    }
}

fn rules(config: &StreamConfig, states: Option<StateSecret>) -> Rules {
    Rules {
        speakers: config.speakers.clone(),
        credential_change: config.credential_change,
        token_claims_change: config.token_claims_change,
        attributes_for: config.attributes_for,
        stream_id: config.stream_id.clone(),
        states,
    }
}

fn failures() -> Rate {
    let [rate, burst] = [FAILURES_A_SECOND, FAILURES].map(|n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
    // INVARIANT: both are far below what a rate may be.
    Rate::new(rate, RatePer::Second, burst).unwrap_or_else(exequatur_decide::default_unauthenticated)
}

/// Where the sets of one stream are posted to.
struct Endpoint {
    receiver: Arc<Receiver>,
    /// `None`: nothing is asked for.
    authorization: Option<Arc<ArcSwap<Authorization>>>,
    failures: Arc<SourceLimits>,
}

/// RFC 8935 §2. Who sent it is asked before its body is read, and how often he failed before its signature is looked at.
async fn pushed(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let tally = endpoint.receiver.tally();
    if !endpoint.admits(&parts.headers) {
        tally.refused(ErrorCode::AuthenticationFailed);
        return refused(
            ErrorCode::AuthenticationFailed,
            "the Authorization header is not the one that was agreed",
        );
    }
    if !is_set(&parts.headers) {
        tally.turned_away(PushRefusal::ContentType);
        return closing(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    // Whoever shows what was agreed is bounded apart from those who do not, and cannot be kept out by them.
    let (source, now) = (endpoint.source(peer), endpoint.receiver.now());
    match endpoint.failures.look(source, now) {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => {
            tally.turned_away(PushRefusal::Limited);
            return again(StatusCode::TOO_MANY_REQUESTS);
        }
    }
    let text = match read(body).await {
        Ok(text) => text,
        Err(status) => {
            tally.turned_away(PushRefusal::Body);
            return closing(status);
        }
    };
    // What is not UTF-8 is no set.
    let taken = endpoint.receiver.receive(std::str::from_utf8(&text).unwrap_or_default()).await;
    match taken {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Refusal::Set(error)) => {
            if endpoint.failures.charge(source, now).is_err() {
                tracing::error!("failures of sources are not counted any more");
            }
            refused(error.code(), &error.to_string())
        }
        Err(Refusal::Unavailable(why)) => {
            // Whoever names one unknown key after the other has us wait for each.
            if matches!(why, Unavailable::KeysLoading) && endpoint.failures.charge(source, now).is_err() {
                tracing::error!("failures of sources are not counted any more");
            }
            tally.turned_away(PushRefusal::Unavailable);
            again(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

impl Endpoint {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(authorization) = &self.authorization else { return true };
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (Some(shown), None) => authorization.load().accepts(shown.as_bytes()),
            (None, _) | (Some(_), Some(_)) => false,
        }
    }

    /// An IPv4 address, or the first half of an IPv6 address, at this stream.
    fn source(&self, peer: SocketAddr) -> SourceKey {
        let mut hash = Sha256::new().chain_update(self.receiver.name()).chain_update([0]);
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update((address.to_bits() >> 64_u32).to_be_bytes()),
        }
        let mut key = [0; 16];
        key.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        SourceKey(key)
    }
}

/// RFC 8935 §2.1: a set, and nothing else, has this type. Parameters are not looked at.
fn is_set(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let Ok(text) = one.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/secevent+jwt")
}

async fn read(body: Body) -> Result<Bytes, StatusCode> {
    match tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, MAX_SET_BYTES)).await {
        Ok(Ok(text)) => Ok(text),
        // Too large, or the connection broke; then nobody hears it.
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_elapsed) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// RFC 8935 §2.3. The description is ours alone: nothing of the request is in it.
fn refused(code: ErrorCode, description: &str) -> Response {
    let body = serde_json::json!({ "err": code.as_str(), "description": description }).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_LANGUAGE, "en"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::BAD_REQUEST, headers, body).into_response()
}

/// What is left of the body is not read.
fn closing(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}

fn again(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close"), (header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::config::{Source, from_text};

    const FIRST: &str = "the first secret of this stream";
    const SECOND: &str = "another secret of this stream";

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn stream(folder: &Path, delivery: &str) -> StreamConfig {
        let text = format!(
            "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
issuers:
  - name: corp
    issuer: https://a.example.com
    jwks: {{ file: k }}
    audiences: [https://api.example.com]
    claims: {{ agent: client_id, user: sub }}
signals:
  - name: idp
    transmitter: https://idp.example.com
    jwks: {{ file: k }}
    audience: https://api.example.com
    subjects_of: [corp]
    {delivery}
store: {{ embedded: {{ path: state }} }}
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
"
        );
        let source = Source { path: folder.join("exequatur.yaml"), text: text.into() };
        from_text(source).unwrap().signals.remove(0)
    }

    /// Whether a verification request that was made with this secret is known.
    fn knows(used: &SecretsInUse, secret: &str) -> bool {
        let state = StateSecret::new(secret.as_bytes(), "idp").issue(Timestamp::UNIX_EPOCH, [1; 8]);
        used.rules.load().states.as_ref().unwrap().knows(&state, Timestamp::UNIX_EPOCH)
    }

    /// C-16, V03: requests are known by what the file says now.
    #[test]
    fn verification_requests_are_known_by_the_secret_that_counts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "push", &format!("Bearer {FIRST}"));
        write(folder, "states", FIRST);
        let config =
            stream(folder, "delivery: { push: { authorization_file: push } }\n    state_secret_file: states");
        let used = SecretsInUse::new(&config).unwrap();
        let renew = || used.renew(&config, StreamSecrets::read(&config).unwrap());
        assert!(knows(&used, FIRST) && !knows(&used, SECOND) && !renew());
        write(folder, "states", SECOND);
        assert!(renew() && !renew());
        assert!(!knows(&used, FIRST) && knows(&used, SECOND));
        // Another order of the same lines is another secret: the first line is what requests are made with.
        write(folder, "states", &format!("{FIRST}\n{SECOND}"));
        assert!(renew() && knows(&used, FIRST));
        write(folder, "states", &format!("{SECOND}\n{FIRST}"));
        assert!(renew() && knows(&used, SECOND));
        // Nothing moves from one file to the other unseen.
        write(folder, "push", &format!("{SECOND}\n{FIRST}"));
        write(folder, "states", SECOND);
        assert!(renew());
        std::fs::remove_file(folder.join("states")).unwrap();
        assert!(matches!(StreamSecrets::read(&config), Err(SignalsError::Secret { .. })));
    }

    /// A token for polls is renewed by others, and may be away for a while: that holds up nothing, and changes nothing here.
    #[test]
    fn a_token_for_polls_is_no_secret_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "token", FIRST);
        let delivery = "delivery: { poll: { url: https://idp.example.com/poll } }\n    token_file: token";
        let config = stream(folder, delivery);
        let used = SecretsInUse::new(&config).unwrap();
        assert!(knows(&used, FIRST));
        write(folder, "token", SECOND);
        assert!(!used.renew(&config, StreamSecrets::read(&config).unwrap()));
        std::fs::remove_file(folder.join("token")).unwrap();
        assert!(!used.renew(&config, StreamSecrets::read(&config).unwrap()));
        assert!(knows(&used, FIRST));
    }
}
