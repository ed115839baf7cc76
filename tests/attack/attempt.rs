//! A request that is permitted, in parts that can be changed one by one.

use std::collections::{BTreeMap, HashMap};

use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use serde_json::{Value, json};

use crate::certificates;
use crate::dice::Dice;
use crate::jose::{Document, Jws, Seal};
use crate::keys::{Key, digest};
use crate::site::{Site, kid};

/// The `ath` of this token, whatever it will be.
pub(crate) const ATH: &str = "\"@\"";

/// Which part of the configuration a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) route: &'static str,
    pub(crate) audience: &'static str,
    scopes: &'static str,
    bindings: &'static [Binding],
    /// Whether partner's tokens are good for it.
    partner: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    None,
    Dpop,
    Mtls,
    Both,
}

use Binding::{Both, Dpop, Mtls};

const API: &str = "https://api.example.com";
const FILES: &str = "https://files.example.com/v1";
const UP: &str = "https://up.example.com";

const fn place(
    route: &'static str,
    audience: &'static str,
    scopes: &'static str,
    bindings: &'static [Binding],
    partner: bool,
) -> Place {
    Place { route, audience, scopes, bindings, partner }
}

const PLACES: [Place; 9] = [
    place("documents", API, "documents:read", &[Dpop, Both], true),
    place("notes", API, "other notes:write note:7", &[Dpop, Mtls, Both], true),
    place("vault", API, "vault:open", &[Mtls, Both], true),
    place("lists", API, "lists:read lists:write", &[Binding::None, Dpop, Mtls, Both], true),
    place("hidden", API, "documents:read", &[Dpop, Mtls, Both], true),
    place("upstream", UP, "documents:read", &[Dpop, Mtls, Both], false),
    place("files", FILES, "files:read", &[Dpop, Mtls, Both], false),
    place("health", "", "", &[], false),
    place("preflight", "", "", &[], false),
];

/// A request before it is signed and written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) place: Place,
    pub(crate) binding: Binding,
    pub(crate) partner: bool,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: &'static str,
    pub(crate) scheme: String,
    pub(crate) token: Option<Jws>,
    pub(crate) proof: Option<Jws>,
    pub(crate) certificate: Option<String>,
    /// Other fields.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Whether Envoy encodes headers raw.
    pub(crate) raw: bool,
    /// Whether Envoy says that it shows bodies.
    pub(crate) shown: bool,
}

/// The origin under which callers reach a host.
pub(crate) fn origin(host: &str) -> String {
    if host == "files.example.com" {
        "https://files.example.com:8443".to_owned()
    } else {
        format!("https://{host}")
    }
}

impl Attempt {
    pub(crate) fn draw(site: &Site, dice: &mut Dice) -> Self {
        let place = *dice.pick(&PLACES);
        let partner = place.partner && dice.one_in(3);
        let (tenant, host) = match place.route {
            "files" => (dice.text(&["acme", "globex"]), "files.example.com"),
            _ if partner => ("globex", "api.example.com"),
            _ => (dice.text(&["acme", "globex"]), "api.example.com"),
        };
        let kind = dice.text(&["plain", "a~b", "caf%C3%A9", "x:y@z"]);
        let path = match place.route {
            "files" => format!("/files/{kind}/7"),
            "health" => "/healthz".to_owned(),
            "preflight" => format!("/tenants/{tenant}/documents/{kind}/7"),
            route => format!("/tenants/{tenant}/{route}/{kind}/7"),
        };
        let methods: &[_] = match place.route {
            "files" | "health" => &["GET"],
            "preflight" => &["OPTIONS"],
            _ => &["GET", "POST"],
        };
        let mut attempt = Self {
            place,
            binding: Binding::None,
            partner,
            method: (*dice.pick(methods)).to_owned(),
            host: host.to_owned(),
            path,
            query: dice.text(&["", "", "?page=2", "?q=a%2Fb&x"]),
            scheme: String::new(),
            token: None,
            proof: None,
            certificate: None,
            headers: vec![("user-agent".to_owned(), b"agent/1".to_vec())],
            raw: dice.one_in(2),
            shown: true,
        };
        if place.route == "preflight" {
            attempt.header("origin", "https://app.example.com");
            attempt.header("access-control-request-method", "GET");
        }
        if !place.bindings.is_empty() {
            attempt.binding = *dice.pick(place.bindings);
            attempt.credentials(tenant, site, dice);
        }
        attempt
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn credentials(&mut self, tenant: &str, site: &Site, dice: &mut Dice) {
        let ring = &site.ring;
        let agent = ring.draw(&ring.agents, dice);
        let with_proof = matches!(self.binding, Dpop | Both);
        let with_certificate = matches!(self.binding, Mtls | Both);
        self.scheme = if with_proof { "DPoP" } else { "Bearer" }.to_owned();
        let mut cnf = serde_json::Map::new();
        if with_proof {
            cnf.insert("jkt".to_owned(), json!(ring.keys[agent].thumbprint));
            self.proof = Some(proof(&ring.keys[agent], agent, site.seconds()));
        }
        if with_certificate {
            cnf.insert("x5t#S256".to_owned(), json!(certificates::thumbprint(0)));
            self.certificate = Some(certificates::encoded(0));
        } else if dice.one_in(4) {
            // One that no token asks for.
            self.certificate = Some(certificates::encoded(1));
        }
        let token = if self.partner { partner_token(site, dice) } else { corp_token(tenant, site, dice) };
        let mut token = Jws { payload: Document::of(&claims(token.1, self.place, dice)), ..token.0 };
        if !cnf.is_empty() {
            token.payload.set("cnf", Value::Object(cnf));
        }
        self.token = Some(token);
        self.name_target();
    }

    /// Makes the proof name what is asked.
    pub(crate) fn name_target(&mut self) {
        let htu = format!("{}{}", origin(&self.host), self.path);
        if let Some(proof) = &mut self.proof {
            proof.payload.set("htm", self.method.as_str());
            proof.payload.set("htu", htu);
        }
    }

    /// Another proof of the same, never used before.
    pub(crate) fn renew(&mut self, serial: u64) {
        if let Some(proof) = &mut self.proof {
            proof.payload.set("jti", format!("proof-{serial}"));
        }
    }

    pub(crate) fn carry_nonce(&mut self, nonce: &str) {
        if let Some(proof) = &mut self.proof {
            proof.payload.set("nonce", nonce);
        }
    }

    /// Makes the proof one of this second.
    pub(crate) fn freshen_proof(&mut self, site: &Site) {
        if let Some(proof) = &mut self.proof {
            proof.payload.set("iat", site.seconds());
        }
    }

    /// The same request with another agent's token and proof, and the nonce that the first one got.
    pub(crate) fn by_another_agent(&self, site: &Site, serial: u64) -> Option<Self> {
        let mut other = self.clone();
        let ring = &site.ring;
        let proof = other.proof.as_mut()?;
        let index = ring.agents.iter().copied().find(|index| proof.seal != Seal::Key(*index))?;
        proof.header.set("alg", ring.keys[index].alg);
        proof.header.set("jwk", ring.keys[index].jwk.clone());
        proof.seal = Seal::Key(index);
        let Value::Object(mut cnf) = other.token.as_ref()?.payload.value("cnf") else { return None };
        cnf.insert("jkt".to_owned(), json!(ring.keys[index].thumbprint));
        other.token.as_mut()?.payload.set("cnf", Value::Object(cnf));
        other.renew(serial);
        Some(other)
    }

    /// The token as it is sent.
    pub(crate) fn sign_token(&self, ring: &[Key]) -> Option<String> {
        self.token.as_ref().map(|token| token.compact(ring))
    }

    /// The proof as it is sent with this token.
    pub(crate) fn sign_proof(&self, ring: &[Key], token: &str) -> Option<String> {
        let mut proof = self.proof.clone()?;
        // By its place: the name may be written in another way.
        if let Some((_, value)) = proof.payload.members.iter_mut().find(|(_, value)| value == ATH) {
            *value = format!("\"{}\"", digest(token.as_bytes()));
        }
        Some(proof.compact(ring))
    }

    /// What Envoy sees.
    pub(crate) fn write(&self, token: Option<&str>, proof: Option<&str>) -> Wire {
        let mut headers = self.headers.clone();
        if let Some(token) = token {
            headers.push(("authorization".to_owned(), format!("{} {token}", self.scheme).into_bytes()));
        }
        if let Some(proof) = proof {
            headers.push(("dpop".to_owned(), proof.as_bytes().to_vec()));
        }
        Wire {
            method: self.method.clone(),
            host: self.host.clone(),
            target: format!("{}{}", self.path, self.query),
            scheme: "https".to_owned(),
            headers,
            certificate: self.certificate.clone(),
            raw: self.raw,
            extensions: self.shown.then(|| ("exequatur_body".to_owned(), "shown".to_owned())),
            size: 0,
            fragment: String::new(),
        }
    }
}

/// A request as Envoy describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wire {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) scheme: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) certificate: Option<String>,
    pub(crate) raw: bool,
    pub(crate) extensions: Option<(String, String)>,
    pub(crate) size: i64,
    pub(crate) fragment: String,
}

impl Wire {
    /// The value of a field.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.headers.iter_mut().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub(crate) fn message(&self) -> CheckRequest {
        let mut http = HttpRequest {
            method: self.method.clone(),
            host: self.host.clone(),
            path: self.target.clone(),
            scheme: self.scheme.clone(),
            size: self.size,
            fragment: self.fragment.clone(),
            protocol: "HTTP/2".to_owned(),
            ..HttpRequest::default()
        };
        if self.raw {
            let headers = self.headers.iter();
            let headers = headers.map(|(key, value)| HeaderValue {
                key: key.clone(),
                value: String::new(),
                raw_value: value.clone(),
            });
            http.header_map = Some(HeaderMap { headers: headers.collect() });
        } else {
            http.headers = joined(&self.headers);
        }
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    certificate: self.certificate.clone().unwrap_or_default(),
                    ..Peer::default()
                }),
                request: Some(Request { http: Some(http) }),
                context_extensions: self.extensions.clone().into_iter().collect(),
                ..AttributeContext::default()
            }),
        }
    }
}

/// As Envoy does without `encode_raw_headers`: fields of one name become one, with commas; what is no UTF-8 is
/// replaced.
fn joined(headers: &[(String, Vec<u8>)]) -> HashMap<String, String> {
    let mut joined: HashMap<String, String> = HashMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value);
        joined
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    joined
}

fn corp_token(tenant: &str, site: &Site, dice: &mut Dice) -> (Jws, Value) {
    let ring = &site.ring;
    let now = site.seconds();
    let index = if dice.one_in(8) { ring.nameless } else { ring.draw(&ring.corp, dice) };
    let alg = ring.keys[index].alg;
    let typ = dice.text(&["at+jwt", "application/at+jwt"]);
    let mut header = json!({"typ": typ, "alg": alg, "kid": kid(alg)});
    if index == ring.nameless {
        header = json!({"typ": typ, "alg": alg});
    }
    let claims = json!({
        "iss": "https://sts.example.com", "sub": dice.text(&["alice", "bob"]),
        "client_id": dice.text(&["crm-bot", "sync-bot"]), "jti": format!("token-{}", dice.next()),
        "iat": now - 10, "exp": now + 300, "tenant": tenant,
    });
    (unsigned(&header, index), claims)
}

fn partner_token(site: &Site, dice: &mut Dice) -> (Jws, Value) {
    let now = site.seconds();
    let typ = dice.text(&["at+jwt", "JWT"]);
    let alg = dice.text(&["EdDSA", "Ed25519"]);
    let header = json!({"typ": typ, "alg": alg, "kid": "p-1"});
    let claims = json!({
        "iss": "https://partner.example.net/", "sub": "service-7", "uid": "u-7", "azp": "edge-bot",
        "client_id": "edge", "jti": format!("token-{}", dice.next()), "iat": now - 10, "exp": now + 280,
        "org": "globex",
    });
    (unsigned(&header, site.ring.partner), claims)
}

fn unsigned(header: &Value, index: usize) -> Jws {
    Jws { header: Document::of(header), payload: Document::of(&json!({})), seal: Seal::Key(index) }
}

impl Attempt {
    /// What the upstream is to be told.
    pub(crate) fn identity(&self) -> BTreeMap<String, String> {
        let mut identity = BTreeMap::new();
        let strip = if self.place.route == "upstream" { "forward" } else { "strip" };
        identity.insert("credentials".to_owned(), strip.to_owned());
        let Some(token) = &self.token else { return identity };
        let names = if self.partner {
            ["partner", "azp", "uid", "org"]
        } else {
            ["corp", "client_id", "sub", "tenant"]
        };
        let [issuer, agent, user, tenant] = names;
        let text = |name: &str| token.payload.value(name).as_str().unwrap_or_default().to_owned();
        let mut put = |part: &str, value: String| identity.insert(part.to_owned(), value);
        let client = format!("{issuer}:{}", text(agent));
        put("user", format!("{issuer}:{}", text(user)));
        put("tenant", text(tenant));
        put("scopes", text("scope").replace(' ', ","));
        let mut actors = Vec::new();
        let mut act = token.payload.value("act");
        while let Some(actor) = act["sub"].as_str() {
            actors.push(format!("{issuer}:{actor}"));
            act = act["act"].clone();
        }
        put("agent", actors.first().unwrap_or(&client).clone());
        if !actors.is_empty() {
            put("delegation", actors.join(","));
        }
        identity
    }
}

/// What a token of either issuer says beside who it is about.
fn claims(mut claims: Value, place: Place, dice: &mut Dice) -> Value {
    let audience = place.audience;
    claims["aud"] = match dice.below(3) {
        0 => json!(audience),
        1 => json!([audience]),
        _ => json!(["https://elsewhere.example.com", audience]),
    };
    claims["scope"] = json!(place.scopes);
    if dice.one_in(3) {
        claims["nbf"] = claims["iat"].clone();
    }
    if dice.one_in(3) {
        claims["act"] = json!({"sub": "helper"});
        if dice.one_in(2) {
            claims["act"]["act"] = json!({"sub": "planner", "iss": claims["iss"]});
        }
    }
    claims
}

/// A proof by this key, for what is not said yet.
pub(crate) fn proof(key: &Key, index: usize, now: i64) -> Jws {
    let mut payload = Document::of(&json!({"jti": "", "htm": "", "htu": "", "iat": now}));
    payload.set_raw("ath", ATH);
    Jws {
        header: Document::of(&json!({"typ": "dpop+jwt", "alg": key.alg, "jwk": key.jwk})),
        payload,
        seal: Seal::Key(index),
    }
}
