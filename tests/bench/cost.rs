//! What a decision costs, in processor time of the server, against the bare server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_tests::ports::Reserved;

use crate::figure::{Figure, Floor, median};
use crate::load::{closed, connect};
use crate::process::{Server, listening};
use crate::scene::{Records, Scene, Size, Subject};
use crate::{Effort, SERVER_CORE};

/// Requests under way at once, over [`CONNECTIONS`].
pub(crate) const IN_FLIGHT: usize = 64;
pub(crate) const CONNECTIONS: usize = 4;
/// By how much the bare server may cost more than the verification in it, in microseconds: beyond that it is
/// not the ceiling that it is taken for.
const BARE_OVERHEAD_US: f64 = 20.0;

/// A bare server that answers.
pub(crate) async fn bare(scene: &Scene, verify: bool, cores: &str) -> Result<Subject, String> {
    let reserved = Reserved::block().map_err(|error| error.to_string())?;
    let [port, ..] = reserved.all();
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this.with_file_name("bare"));
    command.arg(port.to_string());
    if verify {
        command.arg("verify").env("BARE_KEY", scene.agent_point());
    }
    let server = Server::start(cores, &command, &scene.folder.join("bare.log"))?;
    listening(port).await?;
    Ok(Subject { server, grpc: port, public: 0, admin: 0, _reserved: reserved })
}

/// Processor time of each decision, in microseconds.
pub(crate) async fn cost(subject: &Subject, requests: &[CheckRequest]) -> Result<f64, String> {
    let clients = connect(subject.grpc, CONNECTIONS).await?;
    let before = subject.server.cpu();
    let outcome = closed(&clients, requests, IN_FLIGHT).await.all_permitted()?;
    let spent = subject.server.cpu() - before;
    Ok(spent.as_secs_f64() * 1e6 / outcome.permitted as f64)
}

/// `dpop_memory`: a whole decision with a fresh proof, against the bare server with one verification.
pub(crate) async fn dpop_memory(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let scene = Scene::new(folder, Size::USUAL)?;
    let bare = bare(&scene, true, SERVER_CORE).await?;
    let Measured { pairs, verifications } = against_bare(&scene, &bare, effort).await?;
    let ceiling = median(pairs.iter().map(|pair| pair.0));
    let verification = median(verifications);
    let ratio = |bare: f64, ours: f64| bare / ours;
    Ok(vec![
        Figure::of_pairs("dpop_memory", "us/decision", &pairs, ratio, Floor::AtLeast(0.70)),
        // Beyond this the bare server would not be the ceiling that it is taken for, and the run fails.
        Figure::alone(
            "bare_overhead_us",
            "us/decision",
            &[ceiling - verification],
            Some(Floor::AtMost(BARE_OVERHEAD_US)),
        ),
    ])
}

/// `bearer_cached`: a whole decision with a bearer token seen before, against the bare server.
pub(crate) async fn bearer_cached(folder: &Path, effort: Effort) -> Result<Figure, String> {
    let scene = Scene::new(folder, Size { bound: false, records: Records::Off, ..Size::USUAL })?;
    let bare = bare(&scene, false, SERVER_CORE).await?;
    let Measured { pairs, verifications: _ } = against_bare(&scene, &bare, effort.times(3)).await?;
    Ok(Figure::of_pairs(
        "bearer_cached",
        "us/decision",
        &pairs,
        |bare, ours| bare / ours,
        Floor::AtLeast(0.35),
    ))
}

/// Pairs of costs, bare and whole, and beside each pair the time of one verification.
struct Measured {
    pairs: Vec<(f64, f64)>,
    verifications: Vec<f64>,
}

async fn against_bare(scene: &Scene, bare: &Subject, effort: Effort) -> Result<Measured, String> {
    let subject = scene.start(SERVER_CORE).await?;
    let (mut pairs, mut verifications) = (Vec::new(), Vec::new());
    for round in 0..=effort.pairs {
        let requests = scene.requests(effort.requests);
        let pair = (cost(bare, &requests).await?, cost(&subject, &requests).await?);
        // The first one fills caches.
        if round > 0 {
            pairs.push(pair);
            verifications.push(verification_alone());
        }
    }
    Ok(Measured { pairs, verifications })
}

/// A figure of two sizes of a scene: the big one against the small one.
pub(crate) async fn growth(
    folder: &Path,
    name: &'static str,
    small: Size,
    big: Size,
    effort: Effort,
) -> Result<Figure, String> {
    let small = Scene::new(&folder.join("small"), small)?;
    let big = Scene::new(&folder.join("big"), big)?;
    let (with_small, with_big) = (small.start(SERVER_CORE).await?, big.start(SERVER_CORE).await?);
    let mut pairs = Vec::new();
    for round in 0..=effort.pairs {
        let first = round * effort.requests;
        let few = small.requests_from(first, effort.requests);
        let many = big.requests_from(first, effort.requests);
        let pair = (cost(&with_small, &few).await?, cost(&with_big, &many).await?);
        if round > 0 {
            pairs.push(pair);
        }
    }
    Ok(Figure::of_pairs(name, "us/decision", &pairs, |small, big| big / small, Floor::AtMost(1.15)))
}

/// The median time of one ES256 verification with a key that is parsed already, in microseconds.
fn verification_alone() -> f64 {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .expect("a key pair");
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).expect("a key pair");
    let key =
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).expect("a public key");
    let message = [7_u8; 400];
    let signature = pair.sign(&SystemRandom::new(), &message).expect("a signature");
    median((0..2000).map(|_| {
        let begun = std::time::Instant::now();
        key.verify_sig(&message, signature.as_ref()).expect("it verifies");
        Duration::as_secs_f64(&begun.elapsed()) * 1e6
    }))
}
