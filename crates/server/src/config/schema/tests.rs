//! Reader and schema against each other: over examples, and over every example with one thing changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value as Json, json};
use tempfile::NamedTempFile;

use super::super::reader::{Node, Notes, Value};
use super::super::tests::{SMALL, WHOLE};
use super::super::{Config, Problems, Source, document, from_text, show};
use super::schema;

/// A value of a mistaken type, as YAML has them.
const TYPES: &[&str] = &["null", "true", "7", "1.5", "\"\"", "\"\\u0007 %\"", "[]", "{}", "[[]]", "[{}]"];

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).expect("a schema of draft 2020-12")
}

fn read(json: &Json) -> Result<Config, Problems> {
    // Every JSON text is YAML.
    from_text(Source { path: "/etc/exequatur/config.yaml".into(), text: json.to_string().into() })
}

fn messages(json: &Json) -> Vec<String> {
    read(json)
        .err()
        .map_or_else(Vec::new, |problems| problems.iter().map(|problem| problem.message.clone()).collect())
}

fn json(text: &str) -> Json {
    fn convert(node: &Node) -> Json {
        match &node.value {
            Value::Null | Value::Unusable | Value::Float => Json::Null,
            Value::Bool(value) => json!(value),
            Value::Integer(value) => json!(value),
            Value::Text(text) => json!(text),
            Value::List(items) => items.iter().map(convert).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), convert(&entry.value))).collect())
            }
        }
    }
    convert(&document::parse(text, &Notes::default()).expect("YAML"))
}

/// A file that uses every key, those included of which only one can be in a place. With it the secrets that it names.
fn every_key() -> (Json, [NamedTempFile; 3]) {
    let file = |content: &str| {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        file
    };
    let client = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let (certificate, key) = (file(&client.cert.pem()), file(&client.signing_key.serialize_pem()));
    let secret = file("me:secret word");
    let mut whole = json(WHOLE);
    let mut second = whole["issuers"][0].clone();
    second["name"] = json!("other");
    second["issuer"] = json!("https://other.example.com");
    second["jwks"] = json!("https://other.example.com/jwks");
    second["leeway"] = json!("5s");
    second["accept_typ_jwt"] = json!(true);
    second["cooldown"] = json!("10s");
    second["max_stale"] = json!("2h");
    second["tenants"] = json!("any");
    let beside = |name: &str| format!("{}/src/config/schema/{name}", env!("CARGO_MANIFEST_DIR"));
    second["tenant"] = json!({
        "certificate": { "ca_file": beside("authority.pem"), "uri": "spiffe://example.com/{tenant}/**" },
    });
    let mut third = second.clone();
    third["name"] = json!("third");
    third["issuer"] = json!("https://third.example.com");
    third["jwks"] = json!({ "discover": "openid" });
    third.as_object_mut().expect("a map").remove("tenants");
    third["tenant"] = json!("initech");
    third["ca_file"] = json!(beside("authority.pem"));
    third["proxy"] = json!("http://proxy.example.com:3128");
    third["proxy_credentials_file"] = json!(secret.path());
    whole["issuers"][0]["tenants"] = json!(["acme", "globex"]);
    whole["issuers"][0]["status_lists"] = json!({
        "uris": ["https://sts.example.com/lists/"], "required": true, "refresh": "1m", "cooldown": "7s",
        "max_stale": "30m", "wait": "2ms", "max_lists": 3, "max_list_bytes": 4096,
    });
    whole["issuers"][0]["introspection"] = json!({
        "endpoint": "https://sts.example.com/introspect", "tokens": "all", "prefix": "corp_", "response": "json",
        "client_id": "exequatur", "cache": "7s", "wait": "2ms", "timeout": "2s", "max_in_flight": 7,
        "private_key_jwt": {
            "key_file": key.path(), "algorithm": "ES256", "key_id": "k-1", "audience": "endpoint",
        },
    });
    third["introspection"] = json!({
        "endpoint": { "discover": "openid" }, "prefix": "third_", "client_id": "exequatur",
        "mtls": { "certificate_file": certificate.path(), "key_file": key.path() },
    });
    whole["issuers"].as_array_mut().expect("issuers").extend([second, third]);
    // Half of it is what decisions wait for answers, by default.
    whole["deadline"] = json!("200ms");
    whole["listen"]["grpc_peers"] = json!([101, 102]);
    whole["routes"][1]["credentials"] = json!("strip");
    whole["routes"][1]["access"] = json!("guarded");
    let mut third = whole["signals"][1].clone();
    third["name"] = json!("third");
    third["jwks"] = json!({ "file": "jwks.json" });
    third["subjects_of"] = json!(["corp"]);
    third["delivery"] = json!({ "push": { "authorization": "none" } });
    let mut fourth = whole["signals"][1].clone();
    fourth["name"] = json!("fourth");
    fourth["ca_file"] = json!(beside("authority.pem"));
    fourth["proxy"] = json!("http://proxy.example.com:3128");
    fourth["proxy_credentials_file"] = json!(secret.path());
    fourth["cooldown"] = json!("10s");
    fourth["max_stale"] = json!("2h");
    whole["signals"].as_array_mut().expect("signals").extend([third, fourth]);
    let dpop = &mut whole["sender_constraint"]["dpop"];
    dpop["future"] = json!("1s");
    dpop["algorithms"] = json!(["ES256", "EdDSA"]);
    (whole, [secret, certificate, key])
}

/// The store elsewhere, and the gRPC listener over TCP: the one in a document that has the URL, the other in one that has its
/// file. In both, what is fetched comes before what is pushed.
fn on_redis(whole: &Json) -> [Json; 2] {
    let mut whole = whole.clone();
    whole["signals"].as_array_mut().expect("signals").swap(0, 1);
    let ca_file = format!("{}/src/config/schema/authority.pem", env!("CARGO_MANIFEST_DIR"));
    let redis = json!({
        "sentinels": ["redis://127.0.0.1:26379"], "ca_file": ca_file, "prefix": "gate", "timeout": "20ms",
        "limits_without": "deny", "replicas": 3, "max_staleness": "4s", "stale": "degrade", "degrade_for": "10m", "max_revocations": 9, "max_per_tenant": 8, "max_per_key": 3,
    });
    let listen = json!({
        "grpc": "10.0.0.2:9191",
        "grpc_tls": {
            "certificate_file": "grpc.crt", "key_file": "grpc.key", "client_ca_file": "envoys.crt",
            "clients": [{ "uri": "spiffe://example.com/envoy" }, { "dns": "envoy.example.com" }],
        },
    });
    let whole = changed(&whole, "/listen", listen);
    let with = |key: &str, value: &str| {
        let mut redis = redis.clone();
        redis[key] = json!(value);
        changed(&whole, "/store", json!({ "redis": redis }))
    };
    let mut cluster = with("url_file", "/run/secrets/redis-url");
    let redis = cluster["store"]["redis"].as_object_mut().expect("a map");
    redis.remove("sentinels");
    redis.insert("cluster".to_owned(), json!(true));
    [with("url", "rediss://primary/0"), cluster]
}

/// Every place in a document, as a JSON pointer, outermost first.
fn pointers(json: &Json) -> Vec<String> {
    fn walk(json: &Json, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match json {
            Json::Object(map) => {
                for (key, value) in map {
                    walk(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Json::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(value, &format!("{at}/{index}"), found);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(json, "", &mut found);
    found
}

/// Every key that the schema knows: `issuers.jwks.file`.
fn keys_of_schema() -> BTreeSet<String> {
    fn walk(schema: &Json, at: &str, found: &mut BTreeSet<String>) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let key = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            walk(value, &key, found);
            found.insert(key);
        }
        let of_items = [&schema["items"], &schema["additionalProperties"]];
        for inner in of_items.into_iter().chain(schema["oneOf"].as_array().into_iter().flatten()) {
            if inner.is_object() {
                walk(inner, at, found);
            }
        }
        if schema["$ref"] == "#/$defs/attribute" {
            found.extend(["entity", "id"].map(|key| format!("{at}.{key}")));
        }
    }
    let mut found = BTreeSet::new();
    walk(&schema(), "", &mut found);
    found
}

/// Maps whose keys are the user's own words.
const FREE: [&str; 3] = ["attributes", "when", "unless"];

/// The keys of a document in the same form. What stands in a map of the user's own words is no key of the format.
fn keys_of(json: &Json) -> BTreeSet<String> {
    let indices = |part: &&str| part.parse::<usize>().is_err();
    let named = |pointer: String| {
        let parts: Vec<&str> = pointer.split('/').skip(1).filter(indices).collect();
        let tenants = (parts.first() == Some(&"tenants")).then_some(0);
        match tenants.or_else(|| parts.iter().position(|part| FREE.contains(part))) {
            Some(at) => parts.iter().enumerate().filter(|(i, _)| *i != at + 1).map(|(_, p)| *p).collect(),
            None => parts,
        }
        .join(".")
    };
    pointers(json).into_iter().map(named).filter(|key| !key.is_empty()).collect()
}

/// Whatever the reader takes, the schema takes. What the reader says of it.
fn agree(validator: &Validator, json: &Json, what: &str) -> Vec<String> {
    let messages = messages(json);
    if messages.is_empty() {
        let errors: Vec<_> = validator.iter_errors(json).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{what}: read, and not valid under the schema");
    }
    messages
}

fn changed(json: &Json, pointer: &str, value: Json) -> Json {
    let mut json = json.clone();
    *json.pointer_mut(pointer).expect("a place") = value;
    json
}

#[test]
fn the_example_uses_every_key() {
    let (whole, _secret) = every_key();
    assert_eq!(messages(&whole), Vec::<String>::new());
    let mut example = keys_of(&whole);
    for other in on_redis(&whole) {
        assert_eq!(messages(&other), Vec::<String>::new());
        example.extend(keys_of(&other));
    }
    let known = keys_of_schema();
    assert_eq!(
        known.difference(&example).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "add a new key to the example of this test"
    );
    assert_eq!(example.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn examples_are_valid() {
    let validator = validator();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut blocks = 0;
    for page in ["README.md".into(), "policies/README.md".into()].into_iter().chain(pages(&root.join("docs")))
    {
        let text = std::fs::read_to_string(root.join(&page)).expect("a page");
        for block in yaml_blocks(&text) {
            let json = json(&block);
            if json.get("routes").is_some() {
                blocks += 1;
                let mistakes = agree(&validator, &json, &page.display().to_string());
                assert_eq!(mistakes, Vec::<String>::new(), "{}", page.display());
            }
        }
    }
    assert!(blocks > 0, "README has a configuration");
    for text in [WHOLE, SMALL] {
        let shown = show(&read(&json(text)).expect("valid"));
        for text in [text, &shown] {
            assert_eq!(agree(&validator, &json(text), text), Vec::<String>::new());
        }
    }
    let (whole, _secret) = every_key();
    agree(&validator, &whole, "every key");
}

/// What stands between fences of YAML, also within the item of a list.
fn yaml_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(fence) = lines.find(|line| line.trim_start() == "```yaml") {
        let indent = fence.len() - fence.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect());
    }
    blocks
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            pages.extend(self::pages(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            pages.push(entry);
        }
    }
    pages
}

#[test]
fn an_unknown_key_is_refused_by_both() {
    let (validator, (whole, _secret)) = (validator(), every_key());
    // Names in these are the operator's.
    let free = |at: &String| at == "/tenants" || at.rsplit('/').next().is_some_and(|key| FREE.contains(&key));
    for pointer in pointers(&whole).into_iter().filter(|at| !free(at)) {
        let Some(Json::Object(map)) = whole.pointer(&pointer) else { continue };
        let mut map: Map<String, Json> = map.clone();
        map.insert("zzzz".to_owned(), json!(1));
        let json = changed(&whole, &pointer, Json::Object(map));
        let refused = messages(&json).iter().any(|message| message == "key `zzzz` is not known here");
        assert!(refused, "{pointer}: the reader");
        assert!(!validator.is_valid(&json), "{pointer}: the schema");
    }
}

#[test]
fn both_agree_on_what_may_be_left_out() {
    let (validator, (whole, _secret)) = (validator(), every_key());
    let [by_url, by_file] = on_redis(&whole);
    let places = |json: &Json| pointers(json).into_iter().skip(1).collect::<Vec<_>>();
    let store =
        |json: &Json| places(json).into_iter().filter(|at| at.starts_with("/store/")).collect::<Vec<_>>();
    let all = [(&whole, places(&whole)), (&by_url, store(&by_url)), (&by_file, store(&by_file))];
    for (whole, pointer) in all.into_iter().flat_map(|(json, at)| at.into_iter().map(move |at| (json, at))) {
        let (outer, key) = pointer.rsplit_once('/').expect("a path");
        let mut json = whole.clone();
        match json.pointer_mut(outer) {
            Some(Json::Object(map)) => drop(map.remove(key)),
            Some(Json::Array(items)) => drop(items.remove(key.parse().expect("an index"))),
            _ => continue,
        }
        let mistakes = agree(&validator, &json, &pointer);
        let missing = mistakes.iter().any(|m| m.ends_with("` is missing") || m == "at least one is needed");
        // Beside another issuer tenants must be said, and of two keys one; a schema cannot say so.
        if !["/tenants", "issuers/2/tenant", "/url", "/url_file"].iter().any(|key| pointer.ends_with(key)) {
            assert_eq!(missing, !validator.is_valid(&json), "{pointer}: {mistakes:?}");
        }
    }
}

#[test]
fn a_wrong_type_is_refused_by_both() {
    let (validator, (whole, _secret)) = (validator(), every_key());
    let [by_url, by_file] = on_redis(&whole);
    let store =
        |json: &Json| pointers(json).into_iter().filter(|at| at.starts_with("/store/")).collect::<Vec<_>>();
    let all = [(&whole, pointers(&whole)), (&by_url, store(&by_url)), (&by_file, store(&by_file))];
    for (whole, pointer) in all.into_iter().flat_map(|(json, at)| at.into_iter().map(move |at| (json, at))) {
        let mut taken = 0;
        for value in TYPES {
            let json = changed(whole, &pointer, serde_json::from_str(value).expect("JSON"));
            let mistakes = agree(&validator, &json, &format!("{pointer} = {value}"));
            if mistakes.iter().any(|message| message.contains(" expected, ")) {
                assert!(!validator.is_valid(&json), "{pointer} = {value}: {mistakes:?}");
            }
            taken += usize::from(mistakes.is_empty());
        }
        assert!(taken < TYPES.len(), "{pointer} is in the table and is not read");
    }
}

#[test]
fn words_of_the_schema_are_the_readers() {
    let (validator, (whole, _secret)) = (validator(), every_key());
    let schema = schema();
    let mut words: BTreeSet<String> = ["none", "HS256", "ES512", "Ed448", "ES256K"].map(String::from).into();
    for pointer in pointers(&schema) {
        if let Some((_, "enum")) = pointer.rsplit_once('/') {
            let these = schema.pointer(&pointer).and_then(Json::as_array).expect("words");
            words.extend(these.iter().filter_map(Json::as_str).map(str::to_owned));
        }
    }
    words.extend(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "HS512"].map(String::from));
    // Where the schema has a list of words, the example has one of them.
    let is_word =
        |at: &String| whole.pointer(at).and_then(Json::as_str).is_some_and(|text| words.contains(text));
    for pointer in pointers(&whole).into_iter().filter(is_word) {
        for word in &words {
            let json = changed(&whole, &pointer, json!(word));
            let mistakes = agree(&validator, &json, &format!("{pointer} = {word}"));
            let unknown = |m: &String| m.contains("is not known here") || m.ends_with("is not accepted");
            if mistakes.iter().any(unknown) {
                assert!(!validator.is_valid(&json), "{pointer} = {word}: {mistakes:?}");
            }
        }
    }
}

/// A default that the schema names is what the reader takes when the key is left out.
#[test]
fn defaults_are_the_readers() {
    fn walk(schema: &Json, at: &str, found: &mut Vec<(String, String, Json)>) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(default) = value.get("default") {
                found.push((at.to_owned(), key.clone(), default.clone()));
            }
            walk(value, &format!("{at}/{key}"), found);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{at}/0"), found);
        }
        for inner in schema["oneOf"].as_array().into_iter().flatten() {
            walk(inner, at, found);
        }
    }
    let mut defaults = Vec::new();
    walk(&schema(), "", &mut defaults);
    assert!(defaults.len() > 20, "{defaults:?}");
    let shown = |json: &Json, what: &str| {
        let config = read(json).unwrap_or_else(|problems| panic!("{what}: {}", problems.render(false)));
        show(&config).lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    let (mut whole, _secret) = every_key();
    whole["listen"]["public"] = json!("0.0.0.0:19192");
    // They are of a Unix socket, which is not the default.
    whole["listen"].as_object_mut().expect("a map").remove("grpc_peers");
    let [on_redis, _] = on_redis(&whole);
    for (at, key, default) in defaults {
        // Each sink is of one kind.
        let of_kind = |n: usize| at.replace("/sinks/0/", &format!("/sinks/{n}/"));
        let at = (0..8).map(of_kind).find(|at| whole.pointer(at).is_some()).unwrap_or(at);
        let whole = if whole.pointer(&at).is_some() { &whole } else { &on_redis };
        let mut with = whole.clone();
        let map = with.pointer_mut(&at).and_then(Json::as_object_mut).expect("a map");
        let mut without = map.clone();
        without.remove(&key);
        map.insert(key.clone(), default);
        let without = changed(whole, &at, Json::Object(without));
        assert_eq!(shown(&with, &key), shown(&without, &key), "{at}/{key}");
    }
}

/// The page for operators names every key, and no other.
#[test]
fn the_documentation_names_every_key() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(page).expect("docs/reference/configuration.md");
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut section = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches('`').trim_end_matches("[]").to_owned();
        } else if let Some((key, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once("` |")) {
            let key = if section == "Top level" { key.to_owned() } else { format!("{section}.{key}") };
            rows.push((key, rest.to_owned()));
        }
    }
    let known = keys_of_schema();
    for (key, _) in &rows {
        assert!(known.contains(key), "docs/reference/configuration.md names `{key}`, which is no key");
    }
    for key in &known {
        let named = |(row, rest): &(String, String)| {
            let inside = key.strip_prefix(row.as_str()).and_then(|rest| rest.strip_prefix('.'));
            row == key
                || row.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('.'))
                || inside.and_then(|inside| inside.rsplit('.').next()).is_some_and(|last| rest.contains(last))
                    && row.contains('.')
        };
        assert!(rows.iter().any(named), "docs/reference/configuration.md does not name `{key}`");
    }
}

/// The copy that editors use.
#[test]
fn the_copy_is_the_schema() {
    let copy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.schema.json");
    let copy = std::fs::read_to_string(copy).expect("docs/reference/config.schema.json");
    let copy: Json = serde_json::from_str(&copy).expect("JSON");
    assert!(
        copy == schema(),
        "docs/reference/config.schema.json is out of date: \
         cargo run -p exequatur-cli -- config schema > docs/reference/config.schema.json"
    );
}

/// What the page says of each key of the top level: whether a process that runs goes over to a change of it.
#[test]
fn what_a_change_needs_is_as_the_table_says() {
    let (whole, _secret) = every_key();
    let places = [
        ("listen", "/listen/metrics", json!("[::1]:9999")),
        ("admin", "/admin/listen", json!("10.0.0.1:9999")),
        ("policies", "/policies", json!("./others")),
        ("protected_resources", "/protected_resources/0/scopes", json!(["documents:read"])),
        ("issuers", "/issuers/1/leeway", json!("6s")),
        ("tenants", "/tenants", json!({ "acme": { "region": "elsewhere" } })),
        ("federations", "/federations", json!([])),
        ("sender_constraint", "/sender_constraint/dpop/future", json!("2s")),
        ("store", "/store/embedded/max_per_key", json!(7)),
        ("routes", "/routes/1/credentials", json!({ "forward": { "audience": "https://up.example.com" } })),
        ("limits", "/limits", json!([])),
        ("unauthenticated", "/unauthenticated/burst", json!(77)),
        ("signals", "/signals/0/refresh", json!("7m")),
        ("records", "/records/mode", json!("best_effort")),
        ("traces", "/traces/max_per_second", json!(77)),
        ("deadline", "/deadline", json!("201ms")),
        ("max_token_bytes", "/max_token_bytes", json!(7777)),
        ("workers", "/workers", json!(7)),
        ("replica", "/replica/name", json!("another")),
    ];
    let known: Vec<_> = schema()["properties"].as_object().expect("keys").keys().cloned().collect();
    let tried: BTreeSet<_> = places.iter().map(|(key, _, _)| (*key).to_owned()).collect();
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), tried);
    let fixed = |json: &Json, what: &str| {
        let read = read(json).unwrap_or_else(|problems| panic!("{what}: {}", problems.render(false)));
        crate::generations::fixed_part(&read)
    };
    let before = fixed(&whole, "every key");
    for (key, at, value) in places {
        assert_ne!(whole.pointer(at), Some(&value), "{key}: no change");
        let mut other = whole.clone();
        let (outer, inner) = at.rsplit_once('/').expect("a place");
        let map = other.pointer_mut(outer).and_then(Json::as_object_mut).unwrap_or_else(|| panic!("{at}"));
        map.insert(inner.to_owned(), value);
        let changed = fixed(&other, key);
        assert_eq!(changed == before, crate::generations::RELOADED.contains(&key), "{key}");
    }
}
