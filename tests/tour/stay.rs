//! `--stay`: everything keeps running, for requests by hand.

use exequatur_tests::{Agent, Stack};

use crate::attacks;

/// Prints what to try, and a fresh command each time Enter is pressed, until interrupted.
pub(crate) async fn until_interrupted(stack: &Stack) -> Result<(), String> {
    let agent = Agent::new();
    let ports = &stack.ports;
    println!("\nEverything keeps running. Its files: {}", stack.folder().display());
    println!("  records        tail -f {}/decisions.jsonl", stack.folder().display());
    println!("  metrics        curl http://127.0.0.1:{}/metrics", ports.metrics);
    println!("  Envoy's stats  curl -s http://127.0.0.1:{}/stats?filter=ext_authz", ports.envoy_admin);
    println!("\nWithout a token:\n  curl -i {}", stack.url("/tenants/acme/documents/plan"));
    println!("\nWith a token and a proof, good once and for 60 s (send it twice to see a replay):");
    println!("  {}", attacks::curl(stack, &agent).await?);
    println!("\nEnter prints a fresh one, Ctrl-C ends.");
    let mut enters = enters();
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(|error| error.to_string()),
            Some(()) = enters.recv() => println!("  {}\n", attacks::curl(stack, &agent).await?),
        }
    }
}

/// Lines of standard input; none where there is no terminal.
fn enters() -> tokio::sync::mpsc::Receiver<()> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() || sender.blocking_send(()).is_err() {
                break;
            }
        }
    });
    receiver
}
