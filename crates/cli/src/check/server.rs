//! `--server`: the request is sent to a running server, as Envoy would send it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use exequatur_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::answer::Answer;
use super::request::Described;
use crate::exit::Failure;
use crate::output::plain;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// Longest file of certificates or a key that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Who is asked.
#[derive(Args, Debug)]
#[group(id = "asked")]
pub(super) struct Server {
    /// The gRPC listener of a running server: `http://<host>:9191`, `https://…`, or `unix:<path>`.
    #[arg(long = "server", id = "server", value_name = "URL")]
    url: Option<String>,
    /// PEM: the authorities that the server's certificate is trusted by, instead of the system's.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// PEM: your certificate, as Envoy would show its own.
    #[arg(long, value_name = "FILE", requires_all = ["server", "key_file"])]
    certificate_file: Option<PathBuf>,
    /// PEM: its key.
    #[arg(long, value_name = "FILE", requires_all = ["server", "certificate_file"])]
    key_file: Option<PathBuf>,
    /// The name that the server's certificate has, if it is not the host of `--server`.
    #[arg(long, value_name = "NAME", requires = "server")]
    server_name: Option<String>,
    /// Longest wait for the answer, connecting included.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = crate::healthcheck::duration)]
    timeout: Duration,
}

impl Server {
    /// The answer.
    ///
    /// # Errors
    /// [`Failure::Other`] if nobody answers; [`Failure::Usage`] for arguments and files that will not do.
    pub(super) async fn ask(&self, described: &Described) -> Result<Answer, Failure> {
        let url = self.url.as_deref().unwrap_or_default();
        let endpoint = self.endpoint(url)?;
        let asked = async {
            let connecting = endpoint.connect().await;
            let channel = connecting.map_err(|error| nobody(url, &causes(&error)))?;
            ask(channel, described).await.or_else(|status| no_decision(url, &status))
        };
        // Not sent as `grpc-timeout`, which would shorten the server's own deadline.
        let within = tokio::time::timeout(self.timeout, asked).await;
        within.unwrap_or_else(|_elapsed| Err(nobody(url, &format!("no answer within {:?}", self.timeout))))
    }

    fn endpoint(&self, url: &str) -> Result<Endpoint, Failure> {
        let rest = ["http://", "https://", "unix:"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let secured = url.starts_with("https://");
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', '@'])) {
            let message = "--server: `http://<host>:<port>`, `https://<host>:<port>` or `unix:<path>`";
            return Err(Failure::Usage(message.to_owned()));
        }
        if !secured
            && (self.ca_file.is_some() || self.certificate_file.is_some() || self.server_name.is_some())
        {
            let message = "--ca-file, --certificate-file and --server-name are for `https://`";
            return Err(Failure::Usage(message.to_owned()));
        }
        let unfit = |error: tonic::transport::Error| Failure::Usage(format!("--server: {}", causes(&error)));
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unfit)?.connect_timeout(self.timeout);
        if secured { endpoint.tls_config(self.tls()?).map_err(unfit) } else { Ok(endpoint) }
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca_file {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
            None => tls.with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.certificate_file, &self.key_file) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(match &self.server_name {
            Some(name) => tls.domain_name(name),
            None => tls,
        })
    }
}

async fn ask(channel: Channel, described: &Described) -> Result<Answer, Status> {
    let mut client = AuthorizationClient::new(channel).max_decoding_message_size(MAX_ANSWER);
    client.check(message(described)).await.map(|answer| Answer::of(answer.into_inner()))
}

/// As the bootstrap that the documentation shows makes Envoy send it: header fields byte for byte, and a route that says
/// that the whole body, here none, was shown.
fn message(described: &Described) -> CheckRequest {
    let Described { method, host, target, fields, certificate } = described;
    let usual = [(":authority", host), (":method", method), (":path", target)];
    let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
    let headers = usual.chain(fields.iter().cloned()).map(|(key, value)| HeaderValue {
        key,
        value: String::new(),
        raw_value: value.into_bytes(),
    });
    let http = HttpRequest {
        method: method.clone(),
        path: target.clone(),
        host: host.clone(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        header_map: Some(HeaderMap { headers: headers.collect() }),
        ..HttpRequest::default()
    };
    let source = certificate.as_ref().map(|pem| Peer { certificate: pem.clone(), ..Peer::default() });
    CheckRequest {
        attributes: Some(AttributeContext {
            source,
            request: Some(Request { http: Some(http) }),
            context_extensions: [("exequatur_body".to_owned(), "shown".to_owned())].into(),
            ..AttributeContext::default()
        }),
    }
}

/// A connection that broke is nobody; a status of gRPC is an answer, though none that decides.
fn no_decision(url: &str, status: &Status) -> Result<Answer, Failure> {
    if let Some(cause) = status.source() {
        return Err(nobody(url, &causes(cause)));
    }
    Ok(Answer::Undecided(format!("gRPC status {:?}, {}", status.code(), plain(status.message(), 300))))
}

fn nobody(url: &str, why: &str) -> Failure {
    Failure::Other(format!("{}: no server answers: {}", plain(url, 300), plain(why, 500)))
}

/// The last cause says most: the ones before it only that there is one.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE {
        return Err(Failure::Usage(format!("{}: larger than {MAX_FILE} bytes", file.display())));
    }
    std::fs::read(file).map_err(unreadable)
}
