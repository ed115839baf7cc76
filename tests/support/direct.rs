//! Envoy's part, played by hand: Checks straight to Exequatur's gRPC listener.

use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use exequatur_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use serde_json::Value;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// A connection to the gRPC listener.
#[derive(Clone, Debug)]
pub struct Direct(AuthorizationClient<Channel>);

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request may pass.
    Permit,
    /// It may not: the status and reason of the answer.
    Deny(u16, String),
}

impl Decision {
    /// The reason of a denial; empty for a permit.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Permit => "",
            Self::Deny(_, reason) => reason,
        }
    }
}

impl Direct {
    /// Connects to `port` of the loopback.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(port: u16) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
        let endpoint = endpoint.map_err(|error| error.to_string())?.tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        Ok(Self(AuthorizationClient::new(channel)))
    }

    /// Asks.
    ///
    /// # Errors
    /// When there is no decision.
    pub async fn ask(&self, check: CheckRequest) -> Result<Decision, Status> {
        Ok(decision(&self.0.clone().check(check).await?.into_inner()))
    }
}

fn decision(answer: &CheckResponse) -> Decision {
    if answer.status.as_ref().is_some_and(|status| status.code == 0) {
        return Decision::Permit;
    }
    let Some(HttpResponse::DeniedResponse(denied)) = &answer.http_response else {
        return Decision::Deny(0, String::new());
    };
    let status = denied.status.as_ref().and_then(|status| u16::try_from(status.code).ok());
    let problem = serde_json::from_str::<Value>(&denied.body).unwrap_or_default();
    Decision::Deny(status.unwrap_or_default(), problem["reason"].as_str().unwrap_or_default().to_owned())
}

/// What Envoy asks about a request for `host` without a body.
#[must_use]
pub fn check(method: &str, host: &str, target: &str, fields: &[(&str, &str)]) -> CheckRequest {
    let usual = [(":authority", host), (":method", method), (":path", target), (":scheme", "http")];
    let headers = usual.iter().chain(fields).map(|(name, value)| HeaderValue {
        key: (*name).to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec(),
    });
    let http = HttpRequest {
        id: "1".to_owned(),
        method: method.to_owned(),
        path: target.to_owned(),
        host: host.to_owned(),
        scheme: "http".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        header_map: Some(HeaderMap { headers: headers.collect() }),
        ..HttpRequest::default()
    };
    let request = Some(Request { http: Some(http) });
    CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) }
}
