//! What the server keeps resident: idle, for each live proof, for each cached token.

use std::path::Path;

use crate::figure::{Figure, Floor};
use crate::load::{closed, connect};
use crate::scene::{Records, Scene, Size, Subject};
use crate::{Effort, SERVER_CORE};

const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;
/// As many verified tokens as are kept.
const TOKENS: usize = 10_000;

/// `memory_idle_mib`: after the start, before the first request.
pub(crate) async fn idle(folder: &Path) -> Result<Figure, String> {
    let subject = Scene::new(folder, Size::USUAL)?.start(SERVER_CORE).await?;
    let mebibytes = subject.server.resident()? / (1024.0 * 1024.0);
    Ok(Figure::alone("memory_idle_mib", "MiB", &[mebibytes], Some(Floor::AtMost(50.0))))
}

/// `memory_per_proof_b`: a million proofs that are live at once.
pub(crate) async fn per_proof(folder: &Path, effort: Effort) -> Result<Figure, String> {
    let scene = Scene::new(folder, Size { records: Records::Off, ..Size::USUAL })?;
    let subject = scene.start(SERVER_CORE).await?;
    ask(&subject, &scene, 0, effort.requests).await?;
    let before = subject.server.resident()?;
    let mut live = 0;
    while live < effort.live_proofs {
        ask(&subject, &scene, live, effort.requests).await?;
        live += effort.requests;
    }
    let each = (subject.server.resident()? - before) / live as f64;
    Ok(Figure::alone("memory_per_proof_b", "bytes", &[each], Some(Floor::AtMost(110.0))))
}

/// `memory_per_token_b`: as many different tokens as the cache holds.
pub(crate) async fn per_token(folder: &Path) -> Result<Figure, String> {
    let scene =
        Scene::new(folder, Size { tokens: 2 * TOKENS, bound: false, records: Records::Off, ..Size::USUAL })?;
    let subject = scene.start(SERVER_CORE).await?;
    // One token over and over brings buffers and threads to their size.
    let warm: Vec<_> = (0..TOKENS).flat_map(|_| scene.requests_from(0, 1)).collect();
    let clients = connect(subject.grpc, CONNECTIONS).await?;
    closed(&clients, &warm, IN_FLIGHT).await.all_permitted()?;
    let before = subject.server.resident()?;
    ask(&subject, &scene, 1, TOKENS).await?;
    let each = (subject.server.resident()? - before) / TOKENS as f64;
    Ok(Figure::alone("memory_per_token_b", "bytes", &[each], Some(Floor::AtMost(4096.0))))
}

async fn ask(subject: &Subject, scene: &Scene, first: usize, count: usize) -> Result<(), String> {
    let clients = connect(subject.grpc, CONNECTIONS).await?;
    closed(&clients, &scene.requests_from(first, count), IN_FLIGHT).await.all_permitted().map(|_outcome| ())
}
