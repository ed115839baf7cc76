//! Where a bootstrap sends its Checks: for who compares it with what Exequatur listens on. Nothing is judged.

use crate::Unreadable;
use crate::reader;
use crate::rules::check::FILTER;
use crate::rules::cluster::{TLS, addresses};
use crate::tree::{Node, Place};

/// How one `ext_authz` filter asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where the filter stands.
    pub place: Place,
    /// The cluster that it names.
    pub cluster: String,
    /// Every address of it in the file: none if there is no such cluster, or its endpoints come from elsewhere.
    pub endpoints: Vec<Endpoint>,
    /// Whether they are reached by TLS.
    pub tls: bool,
    /// Whether a client certificate is shown there.
    pub certificate: bool,
}

/// An address of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address or a name, and a port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(String),
}

/// The ways of all filters, in no order.
///
/// # Errors
/// As for [`crate::lint`].
pub fn ways(text: &str) -> Result<Vec<Way>, Unreadable> {
    let documents = reader::read_all(text)?;
    let static_ones =
        |root: &Node| root.at("static_resources").map(|resources| resources.list("clusters").to_vec());
    let clusters: Vec<Node> = documents.iter().filter_map(static_ones).flatten().collect();
    let mut found = Vec::new();
    let mut open: Vec<&Node> = documents.iter().collect();
    while let Some(node) = open.pop() {
        if let Some((FILTER, filter)) = node.typed()
            && let Some(name) = filter.at("grpc_service.envoy_grpc.cluster_name").and_then(Node::text)
        {
            found.push(way(node.place, name, &clusters));
        }
        open.extend(node.items());
        open.extend(node.entries().iter().map(|entry| &entry.value));
    }
    Ok(found)
}

fn way(place: Place, name: &str, clusters: &[Node]) -> Way {
    let cluster = clusters.iter().find(|cluster| cluster.text_of("name") == name);
    let load = cluster.and_then(|cluster| cluster.get("load_assignment"));
    let socket = cluster.and_then(|cluster| cluster.at("transport_socket.typed_config")?.typed());
    let context = socket.and_then(|(kind, context)| (kind == TLS).then_some(context));
    let shown =
        ["tls_certificates", "tls_certificate_sds_secret_configs", "tls_certificate_provider_instance"];
    let common = context.and_then(|context| context.get("common_tls_context"));
    Way {
        place,
        cluster: name.to_owned(),
        endpoints: load.map(addresses).unwrap_or_default().into_iter().filter_map(endpoint).collect(),
        tls: context.is_some(),
        certificate: common.is_some_and(|common| shown.iter().any(|key| common.get(key).is_some())),
    }
}

fn endpoint(address: &Node) -> Option<Endpoint> {
    if let Some(path) = address.at("pipe.path").and_then(Node::text) {
        return Some(Endpoint::Unix(path.to_owned()));
    }
    let host = address.at("socket_address.address").and_then(Node::text)?;
    let port = address.at("socket_address.port_value").and_then(Node::integer)?;
    Some(Endpoint::Tcp(host.to_owned(), u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: &str) -> Vec<Way> {
        let path = format!("{}/../../envoy/{name}", env!("CARGO_MANIFEST_DIR"));
        ways(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_ways_of_the_examples_are_found() {
        let here = Endpoint::Tcp("127.0.0.1".to_owned(), 9191);
        let plain = example("plain.yaml");
        assert!(!plain.is_empty());
        for way in plain {
            assert_eq!((way.endpoints, way.tls, way.certificate), (vec![here.clone()], false, false));
        }
        let mutual = example("mutual-tls.yaml");
        assert!(!mutual.is_empty() && mutual.iter().all(|way| way.tls && way.certificate), "{mutual:?}");
    }
}
