//! The fuzz targets' laws over their kept corpora (`fuzz/corpus/<target>/`): a finding that was mended is
//! an input there, and stays mended.

#[expect(unreachable_pub, reason = "the same files are the library of the package fuzz")]
#[path = "../../fuzz/src/lib.rs"]
mod laws;
mod seeds;

use std::collections::BTreeSet;
use std::path::PathBuf;

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use laws::TARGETS;

fn corpus() -> PathBuf {
    exequatur_tests::binaries::repository().join("fuzz/corpus")
}

/// B-17: no input that was ever kept breaks its law.
#[test]
fn every_kept_input_holds() {
    for (target, law) in TARGETS {
        let folder = corpus().join(target);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}"));
        let mut inputs = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            let input = std::fs::read(&path).expect("an input");
            // The name of the input that fails is the last one printed.
            println!("{}", path.display());
            law(&input);
            inputs += 1;
        }
        assert!(inputs > 0, "{target} has no inputs");
    }
}

/// A folder without a target would never be tried, and a target without a binary never fuzzed.
#[test]
fn corpora_targets_and_binaries_are_the_same() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("an entry").file_name().into_string().expect("text");
            name.strip_suffix(".rs").map_or(name.clone(), str::to_owned)
        };
        entries.map(name).collect()
    };
    assert_eq!(names(corpus()), listed);
    assert_eq!(names(corpus().with_file_name("fuzz_targets")), listed);
}

/// The inputs that the others grow from. `EXEQUATUR_WRITE_SEEDS=1` writes them.
#[test]
fn seeds_are_as_they_are_made() {
    for (target, name, made) in seeds::all() {
        let path = corpus().join(target).join(format!("seed-{name}"));
        if std::env::var_os("EXEQUATUR_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &made).expect("a seed");
        }
        let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kept, made, "{}: run again with EXEQUATUR_WRITE_SEEDS=1", path.display());
    }
}

/// The laws of the two `check_request` targets would hold of a service that refuses everything.
#[test]
fn the_valid_request_passes_once_per_store() {
    let valid: CheckRequest = seeds::valid_message(true);
    assert!(laws::gate::pass(&valid));
    // The gate has renewed its store.
    assert!(laws::gate::pass(&valid));
    assert!(laws::gate::pass(&seeds::valid_message(false)));
    assert!(laws::check_request_structured::passes(seeds::STRUCTURED_VALID));
}

/// D13, D25: a store in doubt lets the valid proof pass only with a nonce, and the denial brings one.
#[test]
fn a_store_in_doubt_hands_out_a_nonce() {
    let answer = laws::gate::answer_in_doubt(&seeds::valid_message(true));
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("{answer:?}") };
    let field = |name: &str| {
        let fields = denied.headers.iter().filter_map(|option| option.header.as_ref());
        fields.filter(|header| header.key == name).map(|header| header.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(answer.status.map(|status| status.code), Some(16));
    assert!(field("www-authenticate")[0].starts_with("DPoP error=\"use_dpop_nonce\""), "{denied:?}");
    let [nonce] = &field("dpop-nonce")[..] else { panic!("{denied:?}") };
    assert!(
        nonce.len() == 76 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
}
