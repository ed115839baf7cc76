//! `envoy/rotating.yaml`: Envoy's own certificates change while it runs, and no request fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use exequatur_tests::tls;
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::Value;

const TLS: (&str, &str) = (
    "listen: { grpc:",
    "listen: { grpc_tls: { certificate_file: ./tls/server.crt, key_file: ./tls/server.key, client_ca_file: ./tls/ca.crt }, \
     grpc:",
);

/// What Envoy's administration says of the certificates in use.
async fn certificates(stack: &Stack) -> String {
    let url = format!("http://127.0.0.1:{}/certs", stack.ports.envoy_admin);
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// The serial number of a certificate, as Envoy shows it.
fn serial(file: &Path) -> String {
    let output =
        std::process::Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(file).output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    output.trim().trim_start_matches("serial=").to_ascii_lowercase().trim_start_matches('0').to_owned()
}

/// Both certificates, under requests that go on: towards callers, and towards Exequatur.
#[tokio::test]
async fn certificates_rotate_without_a_failed_request() {
    let options = Options { example: Some("rotating.yaml"), exequatur: vec![TLS], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let holder = Arc::new(stack.holder(&Value::Null).await.unwrap());
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let calling = tokio::spawn({
        let (caller, holder, stop, sent) =
            (stack.raw(Version::Http1), holder.clone(), stop.clone(), sent.clone());
        async move {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match caller.send(&holder.sign(Raw::new("GET", DOCUMENT))).await {
                    Ok(answer) if answer.status == 200 => {}
                    other => failed.push(format!("{other:?}")),
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
            failed
        }
    });
    let folder = stack.folder().join("tls");
    for generation in ["second", "third"] {
        let next = folder.join(generation);
        tls::write_set(&folder, &next).unwrap();
        let link = folder.join("next");
        std::os::unix::fs::symlink(&next, &link).unwrap();
        std::fs::rename(&link, folder.join("current")).unwrap();
        let wanted = ["server", "client"].map(|name| serial(&next.join(format!("{name}.crt"))));
        in_time("both certificates are the new ones", async {
            loop {
                let shown = certificates(&stack).await;
                if wanted.iter().all(|serial| shown.contains(serial)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        })
        .await;
        let before = sent.load(Ordering::Relaxed);
        in_time("requests after the change", async {
            while sent.load(Ordering::Relaxed) < before + 5 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let failed = calling.await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}
