//! A message as it comes from the network. What is no message is refused by the transport.

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use prost::Message as _;

use super::gate;

/// The laws.
pub fn run(data: &[u8]) {
    if let Ok(request) = CheckRequest::decode(data) {
        let _permitted = gate::pass(&request);
    }
}
