//! What the servers of a store say of themselves, to whoever looks for what is wrong. Nothing is judged here, and nothing
//! changed there: what writes is tried on a key that is not there, in a form that makes none.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ConnectionAddr, Value};
use tokio::time::Instant;

use super::address::Address;
use super::cluster::Cluster;
use super::keys::Prefix;
use super::link::unreachable_server;
use crate::admission::StoreError;

/// Longest answer to `INFO` that is taken apart, in bytes.
const MAX_INFO: usize = 64 * 1024;
/// Trips whose quickest one counts.
const TRIPS: usize = 5;

/// What one server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// Which node of a cluster it is; `None` for a server alone.
    pub node: Option<String>,
    /// Of a cluster: whether this server was asked alone, since it did not tell the nodes.
    pub alone: bool,
    /// What `CLUSTER INFO` says of `cluster_state`; `None` if it is not asked, or may not be.
    pub cluster_state: Option<String>,
    /// The fields of `INFO`.
    pub info: BTreeMap<String, String>,
    /// What `CONFIG GET` says of `save`; `None` if it may not be asked.
    pub save: Option<String>,
    /// Its clock, in microseconds since 1970, and for how long it was asked for.
    pub time: Option<(i64, Duration)>,
    /// The quickest of some trips.
    pub trip: Duration,
    /// Commands that this user may not give, or not for keys of the prefix.
    pub denied: Vec<&'static str>,
    /// Whether it is reached by TLS, or by a socket or the loopback.
    pub secured: bool,
}

/// Asks the server at `address`, or each primary of its cluster.
///
/// # Errors
/// [`StoreError::Unavailable`] if none answers within `within`.
pub async fn examine(
    address: &Address,
    prefix: &Prefix,
    within: Duration,
) -> Result<Vec<Examination>, StoreError> {
    if !address.is_of_cluster() {
        return Ok(vec![one(address, None, prefix, within).await?]);
    }
    let cluster = std::sync::Arc::new(Cluster::new(address.clone(), within));
    let Ok(nodes) = cluster.all().await else {
        // It may be no cluster at all, which it says itself.
        let server = one(address, None, prefix, within).await?;
        return Ok(vec![Examination { alone: true, ..server }]);
    };
    let mut found = Vec::new();
    for links in nodes {
        let node = links.node().map(ToString::to_string);
        found.push(one(links.address(), node, prefix, within).await?);
    }
    Ok(found)
}

async fn one(
    address: &Address,
    node: Option<String>,
    prefix: &Prefix,
    within: Duration,
) -> Result<Examination, StoreError> {
    let asked = async {
        let client = address.primary(within).await?;
        let secured = match client.get_connection_info().addr() {
            ConnectionAddr::TcpTls { .. } | ConnectionAddr::Unix(_) => true,
            ConnectionAddr::Tcp(host, _) => is_loopback(host),
            _ => false,
        };
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(within));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| unreachable_server(&error))?;
        let mut examined = Examination { node, secured, ..Examination::default() };
        let mut again = connection.clone();
        examined.ask(connection, prefix).await?;
        if address.is_of_cluster() {
            let asked = redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut again).await;
            examined.cluster_state = asked.ok().and_then(|said| fields(&said).remove("cluster_state"));
        }
        Ok(examined)
    };
    tokio::time::timeout(within, asked).await.unwrap_or(Err(StoreError::Unavailable))
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

impl Examination {
    async fn ask(
        &mut self,
        mut connection: MultiplexedConnection,
        prefix: &Prefix,
    ) -> Result<(), StoreError> {
        let info = self.say::<String>(&mut connection, "INFO", &redis::cmd("INFO")).await?;
        self.info = info.map(|info| fields(&info)).unwrap_or_default();
        let mut save = redis::cmd("CONFIG");
        save.arg("GET").arg("save");
        let save = save.query_async::<Vec<String>>(&mut connection).await;
        self.save = save.ok().and_then(|pair| pair.into_iter().nth(1));
        for trip in 0..TRIPS {
            let asked = Instant::now();
            let time = self.say::<(i64, i64)>(&mut connection, "TIME", &redis::cmd("TIME")).await?;
            let took = asked.elapsed();
            if trip == 0 || took < self.trip {
                self.trip = took;
                self.time = time.map(|(seconds, micros)| {
                    (seconds.saturating_mul(1_000_000).saturating_add(micros), took)
                });
            }
        }
        for (name, command) in harmless(&absent(prefix, self.node.is_some())) {
            self.say::<Value>(&mut connection, name, &command).await?;
        }
        Ok(())
    }

    /// The answer, if the user may ask. Another error than that is an answer too.
    async fn say<T: redis::FromRedisValue>(
        &mut self,
        connection: &mut MultiplexedConnection,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Option<T>, StoreError> {
        match command.query_async::<T>(connection).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.code() == Some("NOPERM") => {
                if !self.denied.contains(&name) {
                    self.denied.push(name);
                }
                Ok(None)
            }
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(unreachable_server(&error)),
        }
    }
}

/// A key that nothing makes.
fn absent(prefix: &Prefix, of_cluster: bool) -> String {
    // A node says of a slot of another's that it has moved, and looks at no permission before.
    let tag = if of_cluster { "revocations" } else { "doctor" };
    format!("{}:{{{tag}}}:doctor", prefix.as_str())
}

/// What the scripts use, as far as it can be said without changing anything.
fn harmless(key: &str) -> Vec<(&'static str, Cmd)> {
    let said = |words: &[&'static str]| {
        let mut words = words.iter();
        let name = *words.next().unwrap_or(&"PING");
        let mut command = redis::cmd(name);
        command.arg(key);
        for word in words {
            command.arg(*word);
        }
        (name, command)
    };
    let mut script = redis::cmd("EVAL");
    script.arg("return 1").arg(1).arg(key);
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1).arg("STREAMS").arg(key).arg("0");
    let mut commands: Vec<_> = [
        &["GET"][..],
        &["SET", "0", "XX"],
        &["DEL"],
        &["PEXPIRE", "1000"],
        &["HGET", "0"],
        &["HGETALL"],
        &["HLEN"],
        &["HDEL", "0"],
        &["GETBIT", "0"],
        &["BITPOS", "1"],
        &["XADD", "NOMKSTREAM", "*", "0", "0"],
        &["XDEL", "0-1"],
        &["XRANGE", "-", "+", "COUNT", "1"],
    ]
    .into_iter()
    .map(said)
    .collect();
    commands.extend([("EVAL", script), ("XREAD", read)]);
    commands
}

fn fields(info: &str) -> BTreeMap<String, String> {
    let info = info.get(..info.len().min(MAX_INFO)).unwrap_or_default();
    let field =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    info.lines().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_info_are_read() {
        let read = fields("# Server\r\nredis_version:7.0.15\r\nslave0:ip=1,lag=2\r\n\r\nbroken\r\n");
        assert_eq!(read.len(), 2);
        assert_eq!(read["redis_version"], "7.0.15");
        assert_eq!(read["slave0"], "ip=1,lag=2");
    }

    /// Of a doctor: each is tried on a key that is not there, and makes none.
    #[test]
    fn what_is_tried_is_tried_on_one_key() {
        let key = absent(&Prefix::default(), false);
        assert!(key.starts_with("exequatur:"), "{key}");
        for (name, command) in harmless(&key) {
            let packed = String::from_utf8(command.get_packed_command()).unwrap();
            assert!(packed.contains(&key) && packed.contains(name), "{packed}");
        }
    }
}
