//! What decisions notice of a flood at the listener for orders: guesses, long bodies, slow callers, and orders as fast as
//! they are taken, with a million revocations in force.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use exequatur_decide::Revocable;
use exequatur_store::{
    EmbeddedRevocations, Form, Note, Revocation, RevocationKind, RevocationLimits, RevocationStore as _,
    StateFolder,
};
use exequatur_tests::tls;
use jiff::Timestamp;
use reqwest::{Certificate, Client};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::sleep;

use crate::capacity::at;
use crate::figure::{Figure, Floor};
use crate::load::{connect, open};
use crate::process::Server;
use crate::scene::{Scene, Size};
use crate::{Effort, LOAD_CORE, SERVER_CORE};

/// Set in the process that floods: the port, and an operator's token.
pub(crate) const FLOOD: &str = "EXEQUATUR_BENCH_FLOOD";
/// Decisions a second while it is flooded: about a fifth of what one core decides.
const RATE: f64 = 1500.0;
const REVOCATIONS: u64 = 1_000_000;
/// Revocations that are written at once, when the scene is made.
const AT_ONCE: u64 = 256;

/// `orders_flood_p99_us`: the 99th of a hundred decisions while the listener for orders is flooded, against before.
pub(crate) async fn measure(folder: &Path, effort: Effort) -> Result<Figure, String> {
    let scene = Scene::new(folder, Size { orders: true, ..Size::USUAL })?;
    tls::write(folder)?;
    revoke_a_million(&folder.join("state")).await?;
    let subject = scene.start(SERVER_CORE).await?;
    let clients = connect(subject.grpc, 4).await?;
    let token = scene.operators_token();
    let mut pairs = Vec::new();
    for round in 0..=effort.pairs {
        let mut p99 = [0.0; 2];
        for (p99, flooded) in p99.iter_mut().zip([false, true]) {
            let flood = if flooded { Some(flood(folder, subject.admin, &token)?) } else { None };
            if flooded {
                sleep(Duration::from_secs(1)).await;
            }
            let outcome = open(&clients, &scene.requests(effort.requests / 2), RATE).await.all_permitted()?;
            *p99 = at(&outcome.latency, 0.99).as_secs_f64() * 1e6;
            drop(flood);
        }
        if round > 0 {
            pairs.push((p99[0], p99[1]));
        }
    }
    let ratio = |before: f64, during: f64| during / before;
    Ok(Figure::of_pairs("orders_flood_p99_us", "us, p99", &pairs, ratio, Floor::AtMost(1.2)))
}

/// This program, flooding from the load's core in what time the load leaves.
fn flood(folder: &Path, port: u16, token: &str) -> Result<Server, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    // In what time the load leaves, whose latencies are measured beside it.
    let mut command = Command::new("chrt");
    command.args(["--idle", "0"]).arg(this).current_dir(folder).env(FLOOD, format!("{port} {token}"));
    Server::start(LOAD_CORE, &command, &folder.join("flood.log"))
}

async fn revoke_a_million(folder: &Path) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let now = Timestamp::now();
    let opened = StateFolder::open(folder).map_err(|error| text(&error))?;
    let limits = RevocationLimits { max_revocations: NonZeroU32::MAX, ..RevocationLimits::default() };
    let store =
        EmbeddedRevocations::open(Some(Arc::new(opened)), limits, now).map_err(|error| text(&error))?;
    for first in (0..REVOCATIONS).step_by(AT_ONCE as usize) {
        let mut waiting = Vec::new();
        for number in first..(first + AT_ONCE).min(REVOCATIONS) {
            let name = format!("i0:gone-{number}");
            let what = Revocable::parse(RevocationKind::User, &name).map_err(|error| text(&error))?;
            let note = Note::new(name, "a flood".to_owned(), "local:0".to_owned(), now);
            let note = note.map_err(|error| text(&error))?;
            waiting.push(Revocation { target: what.target(), form: Form::Total, until: None, note });
        }
        let mut orders = Vec::new();
        for revocation in &waiting {
            orders.push(store.revoke(revocation, now));
        }
        for order in crate::revocation::join(orders).await {
            order.map_err(|error| text(&error))?;
        }
    }
    Ok(())
}

/// Floods until it is ended.
pub(crate) async fn run(aim: &str) -> Result<(), String> {
    let (port, token) = aim.split_once(' ').ok_or("a port and a token")?;
    let port: u16 = port.parse().map_err(|_no_port| "no port".to_owned())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let authority = tls::authority(Path::new("."))?;
    for number in 0..64 {
        tokio::spawn(slow(address, number));
    }
    let client = |from: u8| client(&authority, from, port);
    // Guesses, from sixteen addresses: a forged token costs the most.
    let (head, _) = token.rsplit_once('.').ok_or("a token")?;
    let forged = format!("{head}.{}", "A".repeat(86));
    for from in 1..=16 {
        let (client, forged) = (client(from)?, forged.clone());
        tokio::spawn(async move {
            loop {
                drop(client.get(url(port, "/v1/revocations")).bearer_auth(&forged).send().await);
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    // Long bodies, and orders, by somebody who may.
    let (long, orders) = (client(101)?, client(102)?);
    let (held, body) = (token.to_owned(), "x".repeat(10 * 1024 * 1024));
    tokio::spawn(async move {
        loop {
            let post = long.post(url(port, "/v1/kill")).header("content-type", "application/json");
            drop(post.bearer_auth(&held).body(body.clone()).send().await);
            sleep(Duration::from_millis(50)).await;
        }
    });
    let held = token.to_owned();
    tokio::spawn(async move {
        for number in 0_u64.. {
            let body = json!({ "kind": "user", "name": format!("i0:more-{number}"), "reason": "a flood" })
                .to_string();
            let post = orders.post(url(port, "/v1/revocations")).header("content-type", "application/json");
            drop(post.bearer_auth(&held).body(body).send().await);
        }
    });
    pending().await
}

fn client(authority: &Certificate, from: u8, port: u16) -> Result<Client, String> {
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([authority.clone()])
        .local_address(Some(Ipv4Addr::new(127, 0, 4, from).into()))
        .resolve("localhost", (Ipv4Addr::LOCALHOST, port).into());
    client.build().map_err(|error| error.to_string())
}

fn url(port: u16, path: &str) -> String {
    format!("https://localhost:{port}{path}")
}

/// Connects, and says a byte now and then.
async fn slow(address: SocketAddr, number: u8) {
    loop {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::new(127, 0, 5, number + 1), 0).into())?;
            socket.connect(address).await
        };
        if let Ok(mut stream) = connected.await {
            while stream.write_all(b"\x16").await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
