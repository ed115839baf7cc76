//! `token inspect`.

use std::fs;
use std::path::Path;

use crate::{Run, run_in};

const CONFIG: &str = "policies: p
protected_resources: [{ resource: https://api.example.com }]
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: { file: jwks.json }
    audiences: [https://api.example.com]
    algorithms: [ES256]
    max_lifetime: 15m
routes:
  - name: read
    match: { path: /x, methods: [GET] }
    action: Read
    resource: { type: File, id: a }
    sender_constraint: dpop
";
/// A shell-safe control: the title of the terminal, a reversal, a tag.
const HOSTILE: &str = r#"sub="\u001b]0;x\u0007\u202eecila\udb40\udc41""#;

/// A folder with a configuration, the issuer's key set and a key to bind tokens to.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("c.yaml"), CONFIG).unwrap();
    let kid = header(at, &mint(at, &[]))["kid"].clone();
    // A proof carries its key, so one with the issuer's key shows that.
    let proof = ["dev", "proof", "--key", "issuer.pem", "--url", "https://x.example.com/", "--token", "x"];
    let mut key = header(at, &run_in(at, &proof, b"").ended(0).out)["jwk"].clone();
    key["kid"] = kid;
    fs::write(at.join("jwks.json"), serde_json::json!({ "keys": [key, ed25519()] }).to_string()).unwrap();
    folder
}

/// RFC 8037, appendix A.2.
fn ed25519() -> serde_json::Value {
    serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn header(at: &Path, token: &str) -> serde_json::Value {
    inspect(at, &[], token.as_bytes()).ended(0).json()["token"]["header"].clone()
}

fn mint(at: &Path, more: &[&str]) -> String {
    let usual = [
        "dev",
        "token",
        "--issuer",
        "https://sts.example.com",
        "--audience",
        "https://api.example.com",
        "--agent",
        "crm-bot",
    ];
    run_in(at, &[&usual[..], more].concat(), b"").ended(0).out
}

fn bound(at: &Path, more: &[&str]) -> String {
    mint(at, &[&["--bind", "agent.pem"][..], more].concat())
}

fn inspect(at: &Path, more: &[&str], token: &[u8]) -> Run {
    run_in(at, &[&["token", "inspect", "--output", "json"][..], more].concat(), token)
}

fn judged(at: &Path, token: &str, code: i32) -> Vec<String> {
    let json = inspect(at, &["-c", "c.yaml"], token.as_bytes()).ended(code).json();
    assert_eq!(json["judgement"]["accepted"], code == 0);
    let steps = json["judgement"]["steps"].as_array().unwrap().iter();
    let steps = steps.map(|step| match step["reason"].as_str() {
        None => step["step"].as_str().unwrap().to_owned(),
        Some(reason) => format!("{}: {reason}", step["step"].as_str().unwrap()),
    });
    steps.collect()
}

#[test]
fn a_token_is_shown_unverified_and_says_so() {
    let folder = place();
    let token = bound(folder.path(), &["--tenant", "acme"]);
    let shown = run_in(folder.path(), &["token", "inspect"], token.as_bytes()).ended(0);
    assert!(shown.out.starts_with("NOT VERIFIED"), "{}", shown.out);
    for part in
        ["  typ        \"at+jwt\"", "  tenant     \"acme\"", "in 4 min", "signature: 64 bytes, not shown"]
    {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let signature = token.trim().rsplit('.').next().unwrap();
    let json = inspect(folder.path(), &[], format!("Authorization: DPoP {token}").as_bytes()).ended(0);
    for output in [&shown.out, &shown.err, &json.out] {
        assert!(!output.contains(signature) && !output.contains(&signature[..16]), "{output}");
    }
    assert_eq!(json.json()["verified"], false);
    assert_eq!(json.json()["token"]["claims"]["tenant"], "acme");

    fs::write(folder.path().join("t"), &token).unwrap();
    assert_eq!(
        run_in(folder.path(), &["token", "inspect", "t"], b"").ended(0).out.lines().count(),
        shown.out.lines().count()
    );
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let folder = place();
    let token = mint(folder.path(), &[]);
    let shown = run_in(folder.path(), &["token", "inspect", token.trim()], b"").ended(2);
    assert!(shown.err.contains("does not belong on the command line"), "{}", shown.err);
    assert!(!shown.err.contains(&token[..20]) && shown.out.is_empty(), "{}", shown.err);
}

#[test]
fn a_token_cannot_play_with_the_terminal() {
    let folder = place();
    let long = format!("x=\"{}\"", "y".repeat(2000));
    let name = "\u{85}\u{202e}n=1";
    let token = mint(folder.path(), &["--claim", HOSTILE, "--claim", &long, "--claim", name]);
    for arguments in [&["token", "inspect"][..], &["token", "inspect", "--output", "json"][..]] {
        let shown = run_in(folder.path(), arguments, token.as_bytes()).ended(0);
        let controls = |c: char| (c.is_control() && c != '\n') || ['\u{202e}', '\u{e0041}'].contains(&c);
        assert!(!shown.out.contains(controls), "{}", shown.out);
        assert!(shown.out.contains(r"\u202eecila\udb40\udc41"), "{}", shown.out);
    }
    let shown = run_in(folder.path(), &["token", "inspect"], token.as_bytes()).ended(0);
    assert!(shown.out.lines().all(|line| line.chars().count() < 700), "{}", shown.out);
}

#[test]
fn what_is_no_token_is_told() {
    let folder = place();
    for (input, code) in [("", 2), ("  \n", 2), ("abc", 1), ("a.b.c", 1), ("a.b.c.d.e", 1), ("e30.e30.", 0)] {
        let shown = run_in(folder.path(), &["token", "inspect"], input.as_bytes()).ended(code);
        assert!(code == 2 || shown.out.starts_with("NOT VERIFIED"), "{input}: {}", shown.out);
    }
    run_in(folder.path(), &["token", "inspect"], &[0xff, 0xfe]).ended(2);
    run_in(folder.path(), &["token", "inspect"], &b"a".repeat(70_000)).ended(5);
    run_in(folder.path(), &["token", "inspect", "none"], b"").ended(5);
    let unsigned = run_in(folder.path(), &["token", "inspect"], b"e30.e30.").ended(0);
    assert!(unsigned.out.contains("the token is not signed"), "{}", unsigned.out);
}

/// A private key in a header or a claim is somebody's mistake, and is not printed.
#[test]
fn private_keys_are_masked() {
    let folder = place();
    let token = mint(folder.path(), &["--claim", r#"k={"kty":"EC","d":"c2VjcmV0","x":"a"}"#]);
    for arguments in [&["token", "inspect"][..], &["token", "inspect", "--output", "json"][..]] {
        let shown = run_in(folder.path(), arguments, token.as_bytes()).ended(0);
        assert!(!shown.out.contains("c2VjcmV0") && shown.out.contains("not shown"), "{}", shown.out);
    }
}

/// Each token differs by one thing from the first, which holds.
#[test]
fn a_token_is_judged_step_by_step() {
    let folder = place();
    let at = folder.path();
    let all = [
        "form",
        "issuer",
        "keys",
        "type",
        "algorithm",
        "claims",
        "times",
        "key",
        "signature",
        "audience",
        "binding",
    ];
    assert_eq!(judged(at, &bound(at, &[]), 0), all);
    let refused = |token: &str, step: &str, reason: &str| {
        let steps = judged(at, token, 1);
        let before = all.iter().position(|known| *known == step).unwrap();
        assert_eq!(steps[..before], all[..before]);
        assert_eq!(steps[before..], [format!("{step}: {reason}")]);
    };
    let other = |name: &str, value: &str| {
        let mut usual = vec![
            "--issuer",
            "https://sts.example.com",
            "--audience",
            "https://api.example.com",
            "--bind",
            "agent.pem",
        ];
        match usual.iter().position(|known| *known == name) {
            Some(at) => usual[at + 1] = value,
            None => usual.extend([name, value]),
        }
        run_in(at, &[&["dev", "token", "--agent", "crm-bot"][..], &usual].concat(), b"").ended(0).out
    };
    let good = bound(at, &[]);
    refused(&good.trim().replace('.', ".."), "form", "token_malformed");
    refused(&other("--issuer", "https://other.example.com"), "issuer", "token_issuer_unknown");
    refused(&other("--claim", "jti=7"), "claims", "token_claim_invalid");
    refused(&other("--claim", "client_id=null"), "claims", "token_claim_invalid");
    refused(&other("--lifetime", "901"), "times", "token_claim_invalid");
    refused(&other("--claim", "exp=1"), "times", "token_claim_invalid");
    refused(&other("--claim", "nbf=99999999999"), "times", "token_not_yet_valid");
    refused(&other("--key", "another.pem"), "key", "token_key_unknown");
    let (signed, _) = good.trim().rsplit_once('.').unwrap();
    let (_, signature) =
        other("--tenant", "acme").trim().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    refused(&format!("{signed}.{signature}"), "signature", "token_signature_invalid");
    refused(&other("--audience", "https://other.example.com"), "audience", "token_audience_mismatch");
    refused(&mint(at, &[]), "binding", "token_binding_required");

    // The type is judged as soon as the header is read.
    let proof = ["dev", "proof", "--key", "issuer.pem", "--url", "https://x.example.com/", "--token", "x"];
    let proof = run_in(at, &proof, b"").ended(0).out;
    assert_eq!(judged(at, &proof, 1), ["form", "type: token_type_invalid"]);

    let later =
        inspect(at, &["-c", "c.yaml", "--at", "2100-01-01T00:00:00Z"], good.as_bytes()).ended(1).json();
    assert_eq!(later["judgement"]["steps"][6]["reason"], "token_expired");
    assert_eq!((&later["verified"], &later["at"]), (&false.into(), &"2100-01-01T00:00:00Z".into()));

    fs::write(at.join("c.yaml"), CONFIG.replace("[ES256]", "[EdDSA]")).unwrap();
    refused(&good, "algorithm", "token_alg_not_allowed");
    fs::write(at.join("c.yaml"), CONFIG.replace("[GET] }\n", "[GET] }\n    hidden: true\n")).unwrap();
    let broken = run_in(at, &["token", "inspect", "-c", "c.yaml"], good.as_bytes()).ended(3);
    assert!(broken.err.contains("key `hidden` is not known here"), "{}", broken.err);
}

#[test]
fn a_judged_token_is_shown_for_people() {
    let folder = place();
    let at = folder.path();
    let shown = run_in(at, &["token", "inspect", "-c", "c.yaml"], bound(at, &[]).as_bytes()).ended(0);
    assert!(shown.out.starts_with("The signature holds"), "{}", shown.out);
    assert!(shown.out.contains("\nbinding    holds  to a key"), "{}", shown.out);
    let shown =
        run_in(at, &["token", "inspect", "-c", "c.yaml"], mint(at, &["--key", "b.pem"]).as_bytes()).ended(1);
    assert!(shown.out.starts_with("NOT VERIFIED"), "{}", shown.out);
    assert!(shown.out.contains("\nkey        FAILS  token_key_unknown: "), "{}", shown.out);
    assert!(shown.out.ends_with("Exequatur would refuse it.\n"), "{}", shown.out);
}

/// V10: a token that names a status list is looked up, after all else holds; what stands against it is the last step.
#[test]
fn v10_a_status_list_is_the_last_step() {
    let folder = place();
    let status = r#"status={"status_list":{"idx":1,"uri":"https://127.0.0.1:1/lists/1"}}"#;
    let listed = bound(folder.path(), &["--claim", status]);
    let last = |expected: &str| {
        let steps = judged(folder.path(), &listed, 1);
        assert_eq!(steps.last().map(String::as_str), Some(expected), "{steps:?}");
        assert!(steps.contains(&"binding".to_owned()), "{steps:?}");
    };
    last("status: status_list_invalid");
    let lists = "    max_lifetime: 15m\n    status_lists: { uris: [https://127.0.0.1:1/lists/] }\n";
    let config = CONFIG.replace("    max_lifetime: 15m\n", lists);
    fs::write(folder.path().join("c.yaml"), config).unwrap();
    last("status: status_list_unavailable");
}

/// S03: a token that its issuer is asked about is asked about, once its signature holds.
#[test]
fn s03_a_token_is_asked_about_after_its_signature() {
    let folder = place();
    let token = bound(folder.path(), &[]);
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    fs::write(folder.path().join("client.key"), key).unwrap();
    fs::set_permissions(
        folder.path().join("client.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    // Nobody listens there.
    let asked = "    max_lifetime: 15m\n    introspection: { endpoint: \"https://127.0.0.1:1/\", tokens: jwt, \
                 client_id: exequatur, private_key_jwt: { key_file: client.key, algorithm: EdDSA } }\n";
    let config = CONFIG.replace("    max_lifetime: 15m\n", asked);
    fs::write(folder.path().join("c.yaml"), config).unwrap();
    let steps = judged(folder.path(), &token, 1);
    let last = steps.last().map(String::as_str);
    assert_eq!(last, Some("introspection: introspection_unavailable"), "{steps:?}");
    assert!(steps.contains(&"signature".to_owned()), "{steps:?}");
}
