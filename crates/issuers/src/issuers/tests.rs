use std::time::Duration;

use super::*;
use crate::config::KeySource;
use crate::testing::{Server, at, clock, jwks, profile};

struct Started {
    issuers: Arc<Issuers>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

fn start(configs: Vec<IssuerConfig>) -> Result<Started, IssuersError> {
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let issuers = Issuers::start(configs, HttpConfig::default(), clock(), &tasks, &cancel)?;
    Ok(Started { issuers, tasks, cancel })
}

fn config(name: &str, url: &str) -> IssuerConfig {
    IssuerConfig::new(profile(name), KeySource::Url { url: url.to_owned() })
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

/// G16: each issuer on its own; one that hangs or fails is no other's trouble.
#[tokio::test]
async fn issuers_do_not_wait_for_each_other() {
    let hanging = Server::start(Vec::new()).await;
    let failing = Server::answering("500 Internal Server Error", b"").await;
    let good = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let configs =
        vec![config("hanging", &hanging.url), config("failing", &failing.url), config("good", &good.url)];
    let Started { issuers, tasks, cancel } = start(configs).unwrap();
    let keys = |name: &str| issuers.find(&format!("https://{name}.example")).unwrap().keys(at(0));
    until(|| keys("good").is_ok() && hanging.requests() == 1 && failing.requests() > 0).await;
    assert!(keys("hanging").is_err() && keys("failing").is_err());
    assert!(!issuers.complete(at(0)));
    let names: Vec<_> = issuers.status(at(0)).into_iter().map(|status| status.name.to_string()).collect();
    assert_eq!(names, ["failing", "good", "hanging"]);

    cancel.cancel();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn an_issuer_is_found_by_its_exact_name_only() {
    let server = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let Started { issuers, .. } = start(vec![config("corp", &server.url)]).unwrap();
    assert!(issuers.find("https://corp.example").is_some());
    for other in ["https://corp.example/", "https://CORP.example", "corp", ""] {
        assert!(issuers.find(other).is_none(), "{other}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_anything_starts() {
    let good = || config("corp", "https://corp.example/jwks");
    let mut same_issuer = config("other", "https://other.example/jwks");
    same_issuer.profile.issuer = good().profile.issuer;
    let mut same_name = good();
    same_name.profile.issuer = "https://other.example".to_owned();
    let insecure = config("corp", "http://corp.example/jwks");
    let said = |configs| start(configs).err().unwrap().to_string();
    assert!(matches!(start(Vec::new()).err(), Some(IssuersError::None)));
    for twin in [good(), same_issuer, same_name] {
        assert!(matches!(start(vec![good(), twin]).err(), Some(IssuersError::Duplicate(_))));
    }
    assert_eq!(
        said(vec![insecure]),
        "issuer corp: the key set's URL is neither https nor http to a loopback host"
    );
}

/// A task that ends by a mistake of ours is noticed; one that has not begun yet is not taken for one.
#[tokio::test]
async fn an_issuer_that_nobody_attends_to_is_told() {
    let server = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let Started { issuers, tasks, cancel } = start(vec![config("corp", &server.url)]).unwrap();
    assert_eq!(issuers.unattended(), None);
    until(|| issuers.complete(at(0))).await;
    assert_eq!(issuers.unattended(), None);
    cancel.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!(issuers.unattended().map(ToString::to_string).as_deref(), Some("corp"));

    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let broken: Clock = Arc::new(|| panic!("as a mistake of ours would"));
    let configs = vec![config("broken", &server.url)];
    let issuers = Issuers::start(configs, HttpConfig::default(), broken, &tasks, &cancel).unwrap();
    until(|| issuers.unattended().is_some()).await;
}
