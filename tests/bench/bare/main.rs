//! The ceiling: a gRPC server that permits everything at once, on one current-thread runtime, alone or after one
//! ES256 verification of the request's proof. Nothing that answers a Check over gRPC can cost less.
//!
//! `bare PORT [verify]`

use std::net::{Ipv4Addr, SocketAddr};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exequatur_proto::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use exequatur_proto::google::rpc;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The key of every proof that is sent here, in uncompressed form; see `bench::scene`.
const KEY_FILE: &str = "BARE_KEY";

struct Bare {
    key: Option<ParsedPublicKey>,
}

#[tonic::async_trait]
impl Authorization for Bare {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        if let Some(key) = &self.key {
            verify(key, request.get_ref()).ok_or_else(|| Status::internal("the proof does not verify"))?;
        }
        // An unset code is OK.
        let status = Some(rpc::Status::default());
        Ok(Response::new(CheckResponse { status, ..CheckResponse::default() }))
    }
}

fn verify(key: &ParsedPublicKey, request: &CheckRequest) -> Option<()> {
    let http = request.attributes.as_ref()?.request.as_ref()?.http.as_ref()?;
    let headers = &http.header_map.as_ref()?.headers;
    let proof = &headers.iter().find(|header| header.key == "dpop")?.raw_value;
    let proof = std::str::from_utf8(proof).ok()?;
    let (input, signature) = proof.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.verify_sig(input.as_bytes(), &signature).ok()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("a port is missing")?.parse()?;
    let key = match arguments.next().as_deref() {
        Some("verify") => {
            let point = URL_SAFE_NO_PAD.decode(std::env::var(KEY_FILE)?)?;
            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_rejected| "the key")?;
            Some(key)
        }
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        tonic::transport::Server::builder()
            .add_service(AuthorizationServer::new(Bare { key }))
            .serve_with_incoming(incoming.with_nodelay(Some(true)))
            .await?;
        Ok(())
    })
}
