use super::*;

fn certificate() -> String {
    rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap().cert.pem()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn authorities_are_pem_certificates() {
    let (one, two) = (certificate(), certificate());
    let read = |content: &str| Authorities::read(file(content).path());
    for (content, count) in [(one.clone(), 1), (format!("# ours\n{one}\n{two}"), 2)] {
        assert_eq!(read(&content).unwrap().certificates().unwrap().len(), count);
    }
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let cases = [
        (String::new(), AuthoritiesProblem::None),
        ("not PEM".to_owned(), AuthoritiesProblem::None),
        (format!("{one}{key}"), AuthoritiesProblem::PrivateKey),
        (one.replace("MII", "!!!"), AuthoritiesProblem::Malformed),
        (one.replace("MII", "AAA"), AuthoritiesProblem::Malformed),
        (" ".repeat(1024 * 1024 + 1), AuthoritiesProblem::TooLarge),
    ];
    for (content, problem) in cases {
        assert_eq!(read(&content).err(), Some(problem), "{content:.60}");
    }
    let missing = Authorities::read(Path::new("/nonexistent/ca.pem"));
    assert_eq!(missing.err(), Some(AuthoritiesProblem::Unreadable(ErrorKind::NotFound)));
}

/// What a file says is not a part of the configuration, and is told from what it said before.
#[test]
fn a_changed_file_is_the_same_setting() {
    let (authorities, credentials) = (file(&certificate()), file("me:secret word"));
    let read = || Transport {
        authorities: Some(Authorities::read(authorities.path()).unwrap()),
        proxy: Some(
            Proxy::new("http://proxy:3128", Some(ProxyCredentials::read(credentials.path()).unwrap()))
                .unwrap(),
        ),
        identity: None,
    };
    let before = read();
    assert_eq!(read(), before);
    assert_eq!(read().files_that_differ(&before), [""; 0].map(PathBuf::from));
    std::fs::write(authorities.path(), certificate()).unwrap();
    let after = read();
    assert_ne!(after, before);
    assert_eq!(after.files_that_differ(&before), [authorities.path()]);
    std::fs::write(credentials.path(), "me:another word").unwrap();
    let after = read();
    assert_eq!(after.files_that_differ(&before), [authorities.path(), credentials.path()]);
    assert!(after.is_set_like(&before));
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    let elsewhere = file(&certificate());
    let other =
        Transport { authorities: Some(Authorities::read(elsewhere.path()).unwrap()), ..after.clone() };
    assert!(!other.is_set_like(&after));
    assert!(!Transport { proxy: None, ..after.clone() }.is_set_like(&after));
}

#[test]
fn a_proxy_is_a_host_and_a_port() {
    for url in ["http://proxy.example.com:3128", "http://127.0.0.1:3128/", "http://[::1]:3128"] {
        assert_eq!(Proxy::new(url, None).unwrap().url(), url);
    }
    for url in [
        "",
        "proxy.example.com:3128",
        "https://proxy.example.com",
        "socks5://proxy.example.com",
        "http://proxy.example.com/path",
        "http://proxy.example.com?query",
        "http://proxy.example.com#fragment",
    ] {
        assert_eq!(Proxy::new(url, None).err(), Some(ProxyProblem::Malformed), "{url}");
    }
    for url in [
        "http://me@proxy.example.com",
        "http://me:secret@proxy.example.com",
        "http://:secret@proxy.example.com",
    ] {
        assert_eq!(Proxy::new(url, None).err(), Some(ProxyProblem::Credentials), "{url}");
    }
}

/// Credentials are in a file, and nowhere else.
#[test]
fn credentials_are_one_line_and_never_shown() {
    let read = |content: &str| ProxyCredentials::read(file(content).path());
    for content in ["me:secret word", "me:secret word\n", "me:secret word\r\n"] {
        let credentials = read(content).unwrap();
        let header = credentials.header().unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic bWU6c2VjcmV0IHdvcmQ=");
        let proxy = Proxy::new("http://proxy.example.com:3128", Some(credentials)).unwrap();
        let shown = format!("{proxy:?} {header:?} {:?}", proxy.connector().unwrap());
        assert!(!shown.contains("secret") && !shown.contains("bWU6"), "{shown}");
    }
    for content in ["", "\n", "secret", ":secret", "me:a\nyou:b", "me:\u{7}", "mé:secret", &"a:".repeat(2049)]
    {
        assert_eq!(read(content).err(), Some(ProxyProblem::NotCredentials), "{content:.60}");
    }
    let missing = ProxyCredentials::read(Path::new("/nonexistent/credentials"));
    assert_eq!(missing.err(), Some(ProxyProblem::Unreadable(ErrorKind::NotFound)));
}
