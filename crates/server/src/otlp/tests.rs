use tempfile::NamedTempFile;

use super::*;

fn file(content: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

fn config() -> OtlpEndpoint {
    OtlpEndpoint {
        endpoint: "https://127.0.0.1:4317".parse().unwrap(),
        plaintext: false,
        ca_file: None,
        headers_file: None,
        timeout: Duration::from_secs(1),
    }
}

#[tokio::test]
async fn headers_go_with_every_call() {
    let file = file(b"# the collector's\nAuthorization: Bearer canary:1\n\n  x-scope-orgid :acme \r\nx-scope-orgid: globex");
    let certificate = rcgen::generate_simple_self_signed(["collector".to_owned()]).unwrap();
    let authority = NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), certificate.cert.pem()).unwrap();
    let otlp = Otlp::new(&OtlpEndpoint {
        headers_file: Some(file.path().into()),
        ca_file: Some(authority.path().into()),
        ..config()
    });
    let mut otlp = otlp.unwrap();
    let (_, request) = otlp.call(());
    assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer canary:1");
    let tenants: Vec<_> = request.metadata().get_all("x-scope-orgid").into_iter().collect();
    assert_eq!(tenants, ["acme", "globex"]);
    assert!(!format!("{otlp:?} {request:?}").contains("canary"));
}

/// C-16: what the files say is gone over to with the next call, and only where they say something else.
#[tokio::test]
async fn what_a_collector_is_reached_with_changes_between_calls() {
    let (headers, authority) = (file(b"authorization: Bearer first"), NamedTempFile::new().unwrap());
    let certify = || {
        let made = rcgen::generate_simple_self_signed(["collector".to_owned()]).unwrap();
        std::fs::write(authority.path(), made.cert.pem()).unwrap();
    };
    certify();
    let config = OtlpEndpoint {
        headers_file: Some(headers.path().into()),
        ca_file: Some(authority.path().into()),
        ..config()
    };
    let mut otlp = Otlp::new(&config).unwrap();
    let collector = otlp.collector();
    let other = || collector.changed(&config, CollectorFiles::read(&config).unwrap());
    assert!(other().unwrap().is_none());
    certify();
    collector.replace(other().unwrap().unwrap());
    assert!(other().unwrap().is_none());

    std::fs::write(headers.path(), "authorization: Bearer second").unwrap();
    let reach = other().unwrap().unwrap();
    let shown = |(_, request): (Channel, Request<()>)| {
        request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(shown(otlp.call(())), "Bearer first", "nothing was gone over to");
    assert_eq!(collector.replace(reach).host(), Some("127.0.0.1"));
    assert_eq!(shown(otlp.call(())), "Bearer second");

    std::fs::write(authority.path(), "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(matches!(CollectorFiles::read(&config), Err(OtlpError::Authorities { .. })));
    assert_eq!(shown(otlp.call(())), "Bearer second");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let many = "a: b\n".repeat(MAX_HEADERS + 1);
    for (content, line) in [
        (&b"canary"[..], 1),
        (b"a: b\ncanary", 2),
        (b"a b: canary", 1),
        (b"a:", 1),
        (b": canary", 1),
        (b"a: canary\xff", 1),
        (b"a: canary\x01", 1),
        (b"a-bin: canary", 1),
        (b"grpc-timeout: 1S", 1),
        (b"Content-Type: text/plain", 1),
        (many.as_bytes(), MAX_HEADERS + 1),
    ] {
        let file = file(content);
        let error =
            Otlp::new(&OtlpEndpoint { headers_file: Some(file.path().into()), ..config() }).unwrap_err();
        let told = format!("{}: line {line}: not a header, `name: value`", file.path().display());
        assert_eq!(error.to_string(), told);
    }
    let missing = OtlpEndpoint { headers_file: Some("/nonexistent".into()), ..config() };
    assert!(matches!(Otlp::new(&missing), Err(OtlpError::Unreadable { .. })));
    let large = file(&vec![b'#'; 1024 * 1024 + 1]);
    let large = OtlpEndpoint { ca_file: Some(large.path().into()), ..config() };
    assert!(matches!(Otlp::new(&large), Err(OtlpError::TooLarge { .. })));
}

#[test]
fn we_say_who_we_are() {
    let said = |configured: Option<&ReplicaName>| {
        let attributes = resource(configured).attributes.into_iter();
        attributes.map(|pair| (pair.key, pair.value.unwrap().value.unwrap())).collect::<Vec<_>>()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), Value::StringValue(value.to_owned()));
    let name = ReplicaName::parse("eu-1").unwrap();
    let expected = [
        pair("service.name", "exequatur"),
        pair("service.version", env!("CARGO_PKG_VERSION")),
        pair("service.instance.id", "eu-1"),
    ];
    assert_eq!(said(Some(&name)), expected);
    assert_eq!(said(None)[..2], expected[..2]);
}

/// A collector whose connection breaks has refused nothing: what it was sent is sent again.
#[tokio::test]
async fn what_breaks_may_pass_and_what_is_refused_may_not() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;

    assert!(!may_pass(&Status::unknown("no")) && !may_pass(&Status::internal("no")));
    assert!(may_pass(&Status::unavailable("not now")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio_util::task::TaskTracker::new().spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    let mut otlp = Otlp::new(&OtlpEndpoint { endpoint, plaintext: true, ..config() }).unwrap();
    let (channel, request) = otlp.call(ExportLogsServiceRequest::default());
    let failure = LogsServiceClient::new(channel).export(request).await.unwrap_err();
    assert!(may_pass(&failure), "{failure:?}");
}
