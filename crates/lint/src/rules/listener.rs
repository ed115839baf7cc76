//! Listeners and their filter chains: no way in that does not pass a Check.

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::{cluster, connection, fields, logs, tls};
use crate::tree::{Node, shortened};

pub(crate) const CONNECTION_MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

static UNGUARDED: Rule = Rule::new(
    Severity::Hole,
    "unguarded-listener",
    &["B-15"],
    "what comes in here reaches its upstream without a decision",
    "put the ext_authz filter in; or allow it with a reason, if nothing protected is behind it",
)
.allowable();
static PASSES_BYTES: Rule = Rule::new(
    Severity::Hole,
    "passes-bytes",
    &["B-15"],
    "bytes go to an upstream without anybody reading the requests in them",
    "use an HTTP connection manager with ext_authz; or allow it with a reason",
)
.allowable();
static NETWORK_FILTER: Rule = Rule::new(
    Severity::Unknown,
    "network-filter",
    &["B-15"],
    "what this filter does with the bytes is not known here",
    "leave it out; or allow it with a reason",
)
.allowable();
static DYNAMIC_CHAINS: Rule = Rule::new(
    Severity::Unknown,
    "dynamic-filter-chains",
    &["B-15"],
    "filter chains that arrive while Envoy runs may have no ext_authz",
    "write the chains out; or allow it with a reason",
)
.allowable();
pub(crate) static PLAINTEXT: Rule = Rule::new(
    Severity::Hole,
    "listener-plaintext",
    &["S06"],
    "tokens and proofs cross the network in the clear",
    "give the filter chain a TLS `transport_socket`; or allow it, where a balancer in front ends TLS",
)
.allowable();
static SOURCE_ADDRESS: Rule = Rule::new(
    Severity::Weak,
    "proxy-protocol",
    &["B-06"],
    "who may connect here may claim any source address",
    "leave the `proxy_protocol` listener filter out; or allow it, where only a balancer can connect",
)
.allowable();

pub(crate) static RULES: &[&Rule] =
    &[&UNGUARDED, &PASSES_BYTES, &NETWORK_FILTER, &DYNAMIC_CHAINS, &PLAINTEXT, &SOURCE_ADDRESS];

/// Network filters that let bytes pass only to what stands behind them, or end the connection.
const GATES: [&str; 7] = [
    "envoy.extensions.filters.network.rbac.v3.RBAC",
    "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
    "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
    "envoy.extensions.filters.network.ratelimit.v3.RateLimit",
    "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
    "envoy.extensions.filters.network.direct_response.v3.Config",
    "envoy.extensions.filters.network.set_filter_state.v3.Config",
];
/// Listener filters that only look, or limit.
const INSPECTORS: [&str; 5] = [
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    "envoy.extensions.filters.listener.original_src.v3.OriginalSrc",
    "envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit",
];
/// Network filters that know an upstream of their own.
const PROXIES: [&str; 8] = [
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy",
    "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy",
    "envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy",
    "envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy",
    "envoy.extensions.filters.network.generic_proxy.v3.GenericProxy",
    "envoy.extensions.filters.network.zookeeper_proxy.v3.ZooKeeperProxy",
    "envoy.extensions.filters.network.reverse_tunnel.v3.ReverseTunnel",
];

/// What the parts of a listener have to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Around<'n> {
    pub(crate) clusters: &'n [Node],
    /// The listener's name, as it is shown.
    pub(crate) name: &'n str,
}

/// Judges one listener with all its chains.
pub(crate) fn judge(listener: &Node, clusters: &[Node], linter: &mut Linter<'_>) {
    let name = shortened(listener.text_of("name"));
    let around = Around { clusters, name: &name };
    linter.within(listener, |linter| {
        fields::judge(&fields::LISTENER, listener, linter);
        listener_filters(listener, linter);
        for log in listener.list("access_log") {
            logs::judge(log, linter);
        }
        // A `filter_chain_matcher` only chooses between the chains below, all of which are judged.
        if let Some(dynamic) = listener.get("fcds_config") {
            let message = format!("filter chains of `{name}` come from elsewhere");
            linter.report(&DYNAMIC_CHAINS, dynamic.place, message);
        }
        if let Some(api) = listener.at("api_listener.api_listener") {
            match api.typed() {
                Some((CONNECTION_MANAGER, manager)) => connection::judge(manager, around, linter),
                _ => linter.report(
                    &NETWORK_FILTER,
                    api.place,
                    format!("`{name}` has an API listener of an unknown kind"),
                ),
            }
        }
        let chains = listener.list("filter_chains").iter().chain(listener.get("default_filter_chain"));
        let exposed = exposed(listener);
        for chain in chains {
            linter.within(chain, |linter| judge_chain(chain, exposed, around, linter));
        }
    });
}

/// Whether anybody but this machine can connect.
fn exposed(listener: &Node) -> bool {
    let further = listener.list("additional_addresses").iter().filter_map(|each| each.get("address"));
    listener.get("address").into_iter().chain(further).any(|address| !cluster::is_local(address))
}

fn listener_filters(listener: &Node, linter: &mut Linter<'_>) {
    for filter in listener.list("listener_filters") {
        let kind = filter.get("typed_config").and_then(Node::typed).map(|(kind, _)| kind);
        if kind == Some("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol") {
            linter.report(
                &SOURCE_ADDRESS,
                filter.place,
                "the source address is taken from the PROXY protocol",
            );
        } else if kind.is_none_or(|kind| !INSPECTORS.contains(&kind)) {
            let kind = shortened(kind.unwrap_or("without a `typed_config`"));
            linter.report(&NETWORK_FILTER, filter.place, format!("listener filter `{kind}`"));
        }
    }
}

fn judge_chain(chain: &Node, exposed: bool, around: Around<'_>, linter: &mut Linter<'_>) {
    let name = around.name;
    fields::judge(&fields::CHAIN, chain, linter);
    if let Some(proxy) = chain.get("use_proxy_proto").filter(|proxy| proxy.truth() != Some(false)) {
        linter.report(&SOURCE_ADDRESS, proxy.place, "the source address is taken from the PROXY protocol");
    }
    match chain.get("transport_socket") {
        Some(socket) => tls::judge(socket, exposed, linter),
        None if exposed => {
            linter.report(&PLAINTEXT, chain.place, format!("a filter chain of `{name}` has no TLS"));
        }
        None => {}
    }
    for filter in chain.list("filters") {
        fields::judge(&fields::NETWORK_FILTER, filter, linter);
        let typed = filter.get("typed_config").and_then(Node::typed);
        match typed {
            Some((CONNECTION_MANAGER, manager)) => {
                connection::judge(manager, around, linter);
            }
            Some((kind, _)) if GATES.contains(&kind) => {}
            Some((kind, _)) if PROXIES.contains(&kind) => {
                linter.report(&PASSES_BYTES, filter.place, format!("`{name}` has a `{kind}`"));
            }
            Some((kind, _)) => {
                let kind = shortened(kind);
                linter.report(&NETWORK_FILTER, filter.place, format!("`{name}` has a filter `{kind}`"));
            }
            None => {
                let message = format!("`{name}` has a filter whose configuration is not in this file");
                linter.report(&NETWORK_FILTER, filter.place, message);
            }
        }
    }
}

/// Notes a transport in the clear that others can reach.
pub(crate) fn plaintext(socket: &Node, linter: &mut Linter<'_>) {
    linter.report(&PLAINTEXT, socket.place, "the transport socket is `raw_buffer`");
}

/// Notes a connection manager through which something passes without a Check.
pub(crate) fn unguarded(manager: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    linter.report(&UNGUARDED, manager.place, format!("`{}` has no ext_authz filter", around.name));
}
