//! Operators that come over TCP, with tokens or certificates.

use std::net::Ipv4Addr;

use reqwest::{Certificate, Client, Identity, Method, Response};
use serde_json::{Value, json};

use crate::jwt::merged;
use crate::ports::Reserved;
use crate::stack::{Options, Stack};
use crate::tls::{Shown, Wanted};
use crate::{Agent, orders};

/// What operators' tokens are for.
pub const AUDIENCE: &str = "https://exequatur.example.com/admin";

/// A stack whose Exequatur takes orders over TCP too.
#[derive(Debug)]
pub struct Guarded {
    /// The stack.
    pub stack: Stack,
    port: u16,
    _ports: Reserved,
}

impl Guarded {
    /// With TLS: tokens with a word in `roles`, of everything; certificates of `spiffe://example.com/oncall` (revoker) and
    /// `spiffe://example.com/acme` (administrator of tenant acme).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self, String> {
        let section = |port: u16| {
            format!(
                "admin:
  listen: \"127.0.0.1:{port}\"
  tls: {{ certificate_file: tls/server.crt, key_file: tls/server.key, client_ca_file: tls/ca.crt }}
  tokens:
    - issuer: corp
      audience: {AUDIENCE}
      claim: roles
      roles: {{ reader: [viewer], revoker: [oncall], approver: [approver], administrator: [platform] }}
      reach: everything
  certificates:
    - {{ uri: \"spiffe://example.com/oncall\", role: revoker, reach: everything }}
    - {{ uri: \"spiffe://example.com/acme\", role: administrator, reach: {{ tenant: acme }} }}
policies: "
            )
        };
        Self::start_with(orders::with_orders(Options::on(true)), section).await
    }

    /// With a section of the configuration that begins with `admin:` and ends with `policies: `.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(
        mut options: Options,
        section: impl FnOnce(u16) -> String,
    ) -> Result<Self, String> {
        let ports = Reserved::block().map_err(|error| error.to_string())?;
        let [port, ..] = ports.all();
        // The few that tests start live as long as the process.
        options.exequatur.push(("policies: ", Box::leak(section(port).into_boxed_str())));
        Ok(Self { stack: Stack::start(options).await?, port, _ports: ports })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A certificate that the listener's authority signed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn certificate(&self, name: &str, uri: &str, self_signed: bool) -> Result<Shown, String> {
        let san = format!("URI:{uri}");
        Shown::make(self.stack.folder(), name, Wanted { self_signed, name: Some(&san), key_of: None })
    }

    /// A client at another address of the loopback: each has a rate of its own.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn client(&self, address: u8, shown: Option<&str>) -> Result<Client, String> {
        let tls = self.stack.folder().join("tls");
        let read = |name: &str| std::fs::read(tls.join(name)).map_err(|error| format!("{name}: {error}"));
        let authority = Certificate::from_pem(&read("ca.crt")?).map_err(|error| error.to_string())?;
        let mut builder = Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .local_address(Some(Ipv4Addr::new(127, 0, 3, address).into()))
            .resolve("localhost", (Ipv4Addr::LOCALHOST, self.port).into());
        if let Some(name) = shown {
            let pem = [read(&format!("{name}.crt"))?, read(&format!("{name}.key"))?].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(|error| error.to_string())?);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// An operator's token, with a word in `roles`; `changes` go over its claims.
    #[must_use]
    pub fn token(&self, role: &str, changes: &Value) -> String {
        let claims =
            json!({ "aud": AUDIENCE, "cnf": null, "sub": "olga", "client_id": "console", "roles": [role] });
        self.stack.tokens.token(&Agent::new(), &with(claims, changes))
    }

    /// Sends a request with that token, if any, and that JSON, if any.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        client: &Client,
        (method, path): (&str, &str),
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = client.request(method, self.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.map_err(|error| format!("{error:?}"))
    }
}

/// As [`merged`], keeping `null`: it removes a claim of the usual token.
fn with(mut claims: Value, changes: &Value) -> Value {
    if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
        claims.extend(changes.clone());
        return Value::Object(std::mem::take(claims));
    }
    merged(claims, &Value::Null)
}
