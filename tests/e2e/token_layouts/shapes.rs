//! What tokens of real issuers hold, as their documentation shows it; ids are made up.

use exequatur_tests::jwt::{merged, now};
use serde_json::{Value, json};

/// A token, and what is read of it.
pub(super) struct Shape {
    pub(super) issuer: &'static str,
    pub(super) what: &'static str,
    pub(super) header: Value,
    pub(super) claims: Value,
    /// Who it is about; a text says why it is refused.
    pub(super) expected: Value,
}

const ALICE: &str = "6f2c1d3e-0a4b-4c5d-8e6f-aaaaaaaaaaaa";
const ACCOUNT: &str = "5b7e2f10-1c2d-4e3f-9a8b-bbbbbbbbbbbb";
const AGENT: &str = "33333333-3333-3333-3333-333333333333";
/// Neither a user's nor the client's own, as far as it says.
const UNMARKED: &str = "claim `user` invalid";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";

pub(super) fn shapes() -> Vec<Shape> {
    [oidc_provider(), keycloak(), entra(), entra_v1(), auth0()].into_iter().flatten().collect()
}

/// Variations of one token: what it is, and the claims that differ.
struct Issuer {
    name: &'static str,
    header: Value,
    usual: Value,
}

impl Issuer {
    fn shape(&self, what: &'static str, changes: &Value, expected: Value) -> Shape {
        self.shape_with(&json!({}), what, changes, expected)
    }

    fn shape_with(&self, header: &Value, what: &'static str, changes: &Value, expected: Value) -> Shape {
        Shape {
            issuer: self.name,
            what,
            header: merged(self.header.clone(), header),
            claims: merged(self.usual.clone(), changes),
            expected,
        }
    }
}

/// Further differences; an absent claim stays one.
fn and(mut differences: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        differences[name] = value.clone();
    }
    differences
}

/// oidc-provider 9, with the mark and the exchange of tests/authorization-server/exchange.mjs.
fn oidc_provider() -> Vec<Shape> {
    let issuer = Issuer {
        name: "oidc-provider",
        header: json!({ "typ": "at+jwt" }),
        usual: json!({
            "tenant": "acme", "sid": "EUyjpDXUU3mA5ktIxA1hx", "jti": "oJj8XerAFELfL318Uq2QOwS9rMX_6MnU1oZ3gZ66uOR",
            "sub": "alice", "iat": now(), "exp": now() + 300, "scope": "documents:read documents:write",
            "client_id": "agent-a", "iss": "https://sts.example.com", "aud": "https://api.example.com",
            "cnf": { "jkt": "4qL23hWdCeLuNhjEnIxu9s64LTYZQQI-YgYyHFlUxVw" },
        }),
    };
    let scopes = "documents:read documents:write";
    let own = json!({ "sub": "agent-a", "sid": null, "gty": "client-credentials" });
    vec![
        issuer.shape(
            "a user",
            &json!({}),
            json!({ "client": "oidc-provider:agent-a", "user": "oidc-provider:alice", "tenant": "acme", "scopes": scopes }),
        ),
        issuer.shape(
            "a client of its own",
            &own,
            json!({ "client": "oidc-provider:agent-a", "tenant": "acme", "scopes": scopes }),
        ),
        issuer.shape(
            "exchanged twice",
            &json!({ "client_id": "agent-b", "act": { "sub": "agent-b", "act": { "sub": "agent-a" } } }),
            json!({
                "client": "oidc-provider:agent-b", "prior": ["oidc-provider:agent-a"],
                "user": "oidc-provider:alice", "tenant": "acme", "scopes": scopes,
            }),
        ),
        // Without the mark it could be a user's who has the client's id.
        issuer.shape("a client of its own, unmarked", &and(own.clone(), &json!({ "gty": null })), json!("claim `sub` invalid")),
        // Another's name is no mark.
        issuer.shape(
            "a client of its own with a user's name",
            &and(own, &json!({ "sub": "alice" })),
            json!({ "client": "oidc-provider:agent-a", "tenant": "acme", "scopes": scopes }),
        ),
        issuer.shape_with(&json!({ "typ": "JWT" }), "an id token", &json!({}), json!("token type not accepted")),
    ]
}

/// Keycloak 26: an attribute `kind` that people have, mapped into access tokens.
fn keycloak() -> Vec<Shape> {
    let issuer = Issuer {
        name: "keycloak",
        header: json!({ "typ": "JWT" }),
        usual: json!({
            "exp": now() + 300, "iat": now(), "auth_time": now() - 60, "jti": "onrtac:0d0f4b0c-2f35-4f2a-b1f3-1c9c1d1d1d1d",
            "iss": "https://keycloak.example.com/realms/acme", "aud": ["https://api.example.com", "account"], "sub": ALICE,
            "typ": "Bearer", "azp": "agent-a", "sid": "9e0b7f44-3d0f-4f8b-8f5c-2c2c2c2c2c2c", "acr": "1",
            "allowed-origins": ["/*"], "realm_access": { "roles": ["offline_access", "uma_authorization"] },
            "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
            "scope": "openid profile documents:read", "email_verified": true, "name": "Alice",
            "preferred_username": "alice", "tenant": "acme", "kind": "person",
        }),
    };
    let scopes = "openid profile documents:read";
    let user = format!("keycloak:{ALICE}");
    let account = json!({
        "sub": ACCOUNT, "sid": null, "auth_time": null, "kind": "service", "jti": "trrtcc:7c1a",
        "preferred_username": "service-account-agent-a", "clientHost": "10.0.0.7", "clientAddress": "10.0.0.7",
        "client_id": "agent-a", "email_verified": false, "scope": "profile documents:read",
    });
    let own = json!({ "client": "keycloak:agent-a", "tenant": "acme", "scopes": "profile documents:read" });
    let for_alice = json!({ "client": "keycloak:agent-a", "user": user, "tenant": "acme", "scopes": scopes });
    vec![
        issuer.shape("a user", &json!({}), for_alice.clone()),
        issuer.shape_with(
            &json!({ "typ": "at+jwt" }),
            "a user, `typ` as in RFC 9068",
            &json!({}),
            for_alice.clone(),
        ),
        issuer.shape("a service account", &account, own),
        issuer.shape(
            "a service account without the scope `profile`",
            &and(account.clone(), &json!({ "preferred_username": null, "scope": "documents:read" })),
            json!({ "client": "keycloak:agent-a", "tenant": "acme", "scopes": "documents:read" }),
        ),
        issuer.shape(
            "a service account that was forgotten",
            &and(account, &json!({ "kind": null })),
            json!(UNMARKED),
        ),
        issuer.shape("a person who was forgotten", &json!({ "kind": null }), json!(UNMARKED)),
        issuer.shape(
            "the standard exchange: nothing is known of agent-a",
            &json!({ "azp": "agent-b", "jti": "trrtte:7c1b" }),
            merged(for_alice.clone(), &json!({ "client": "keycloak:agent-b" })),
        ),
        issuer.shape(
            "delegation as in 26.8: the actor is an account",
            &json!({ "act": { "sub": ACCOUNT, "may_act": { "sub": ACCOUNT } } }),
            merged(for_alice.clone(), &json!({ "actor": format!("keycloak:{ACCOUNT}") })),
        ),
        issuer.shape("of another kind", &json!({ "kind": "robot" }), json!(UNMARKED)),
        issuer.shape("of several kinds", &json!({ "kind": ["admin", "person"] }), for_alice),
        issuer.shape("no client", &json!({ "azp": null }), json!("claim `client_id` missing")),
        // It has the same `typ`; what keeps it away is whom it is for.
        issuer.shape(
            "an id token",
            &json!({ "typ": "ID", "aud": "agent-a", "scope": null }),
            json!("audience mismatch"),
        ),
    ]
}

/// Entra, v2.0 tokens.
fn entra() -> Vec<Shape> {
    let issuer = Issuer {
        name: "entra",
        header: json!({ "typ": "JWT" }),
        usual: json!({
            "aud": "22222222-2222-2222-2222-222222222222",
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            "iat": now(), "nbf": now(), "exp": now() + 4500, "aio": "AWQAm/8aAAAA", "azp": AGENT, "azpacr": "2",
            "idtyp": "user", "name": "Alice", "oid": ALICE, "preferred_username": "alice@example.com",
            "rh": "1.AAAA.", "scp": "documents.read documents.write", "sid": "0a1b2c3d-0000-0000-0000-000000000000",
            "sub": "pairwise-AAAAAAAAAAAAAAAA", "tid": TENANT, "uti": "m5RaaRnoFUyp2TbSCAAAAA", "ver": "2.0",
        }),
    };
    let client = format!("entra:{AGENT}");
    let scopes = "documents.read documents.write";
    let for_alice =
        json!({ "client": client, "user": format!("entra:{ALICE}"), "tenant": TENANT, "scopes": scopes });
    let app = json!({
        "idtyp": "app", "oid": ACCOUNT, "sub": ACCOUNT, "name": null, "preferred_username": null, "sid": null,
        "scp": null, "roles": ["Documents.Read.All"],
    });
    let own = json!({ "client": client, "tenant": TENANT, "scopes": "Documents.Read.All" });
    let agent = json!({ "xms_act_fct": "3 9 11", "xms_idrel": "1 10", "xms_par_app_azp": "30cf4c22" });
    vec![
        issuer.shape("delegated", &json!({}), for_alice.clone()),
        issuer.shape(
            "delegated, with the user's app roles",
            &json!({ "roles": ["Editor"] }),
            merged(for_alice.clone(), &json!({ "scopes": format!("{scopes} Editor") })),
        ),
        issuer.shape("app-only", &app, own.clone()),
        issuer.shape("delegated, without `idtyp`", &json!({ "idtyp": null }), json!(UNMARKED)),
        issuer.shape(
            "app-only, without `idtyp`",
            &and(app.clone(), &json!({ "idtyp": null })),
            json!(UNMARKED),
        ),
        issuer.shape("of another type", &json!({ "idtyp": "device" }), json!(UNMARKED)),
        issuer.shape("an agent identity for a person", &agent, for_alice.clone()),
        issuer.shape(
            "an agent identity for itself",
            &and(and(app, &agent), &json!({ "scp": "/", "xms_idrel": "7 10", "xms_sub_fct": "9 3 11" })),
            merged(own, &json!({ "scopes": "/ Documents.Read.All" })),
        ),
        issuer.shape(
            "an agent's user account",
            &and(agent, &json!({ "oid": ACCOUNT, "xms_sub_fct": "3 13 9" })),
            merged(for_alice, &json!({ "user": null })),
        ),
        issuer.shape(
            "of another tenant",
            &json!({ "tid": "99999999-9999-9999-9999-999999999999" }),
            json!("claim `tenant` invalid"),
        ),
        issuer.shape("for 28 hours", &json!({ "exp": now() + 28 * 3600 }), json!("claim `exp` invalid")),
        issuer.shape(
            "a user's token without the user",
            &json!({ "oid": null }),
            json!("claim `user` missing"),
        ),
    ]
}

/// Entra, v1.0 tokens: the documented sample of an agent that acts for itself.
fn entra_v1() -> Vec<Shape> {
    let iss = format!("https://sts.windows.net/{TENANT}/");
    let issuer = Issuer {
        name: "entra-v1",
        header: json!({ "typ": "JWT", "x5t": "k" }),
        usual: json!({
            "aud": "api://documents", "iss": iss, "iat": now(), "nbf": now(), "exp": now() + 4500, "aio": "Y2JgYGhn",
            "appid": AGENT, "appidacr": "2", "idp": iss, "idtyp": "app", "oid": ACCOUNT, "rh": "1.AAAAAQ.", "sub": ACCOUNT,
            "tid": TENANT, "uti": "m5RaaRnoFUyp2TbSCAAAAA", "ver": "1.0", "xms_act_fct": "3 9 11", "xms_ftd": "Z5DrW4HF",
            "xms_idrel": "7 10", "xms_sub_fct": "9 3 11", "xms_tnt_fct": "3 9", "xms_par_app_azp": "30cf4c22",
            "roles": ["Documents.Read.All"],
        }),
    };
    let client = format!("entra-v1:{AGENT}");
    let own = json!({ "client": client, "tenant": TENANT, "scopes": "Documents.Read.All" });
    vec![
        issuer.shape("an agent identity for itself", &json!({}), own),
        issuer.shape(
            "an agent identity for a person",
            &json!({ "idtyp": "user", "oid": ALICE, "sub": "pairwise", "scp": "documents.read", "roles": null, "xms_sub_fct": null }),
            json!({ "client": client, "user": format!("entra-v1:{ALICE}"), "tenant": TENANT, "scopes": "documents.read" }),
        ),
        issuer.shape("as v2.0 has the client", &json!({ "appid": null, "azp": AGENT }), json!("claim `client_id` missing")),
        issuer.shape("facets that cannot be read", &json!({ "xms_sub_fct": { "13": true } }), json!("claim `user` invalid")),
    ]
}

/// Auth0, RFC 9068 profile, with the Action of the page.
fn auth0() -> Vec<Shape> {
    let issuer = Issuer {
        name: "auth0",
        header: json!({ "typ": "at+jwt" }),
        usual: json!({
            "https://api.example.com/kind": "person", "iss": "https://acme.eu.auth0.com/", "sub": "auth0|602c0dcab993d10073daf680",
            "aud": ["https://api.example.com", "https://acme.eu.auth0.com/userinfo"], "iat": now(), "exp": now() + 86_400,
            "scope": "openid profile documents:read", "client_id": "spa", "jti": "73WakrfVbNJBaAmhQtEeDv",
            "org_id": "org_9ybsU1dN2dKfDkBi", "permissions": ["documents:read"],
        }),
    };
    let user = "auth0:auth0|602c0dcab993d10073daf680";
    let for_alice = json!({
        "client": "auth0:spa", "user": user, "tenant": "org_9ybsU1dN2dKfDkBi", "scopes": "openid profile documents:read",
    });
    let machine = json!({
        "https://api.example.com/kind": "machine", "sub": "mcp@clients", "client_id": "mcp", "aud": "https://api.example.com",
        "scope": "documents:read", "org_id": null,
    });
    let own = json!({ "client": "auth0:mcp", "scopes": "documents:read" });
    vec![
        issuer.shape("a user", &json!({}), for_alice.clone()),
        issuer.shape("a machine", &machine, own.clone()),
        issuer.shape(
            "a machine of an organization",
            &and(machine.clone(), &json!({ "org_id": "org_vIK75NKFvaozQsFy" })),
            merged(own, &json!({ "tenant": "org_vIK75NKFvaozQsFy" })),
        ),
        issuer.shape(
            "a machine without its Action",
            &and(machine, &json!({ "https://api.example.com/kind": null })),
            json!(UNMARKED),
        ),
        issuer.shape(
            "on behalf of a user, through an application and an MCP server",
            &json!({ "client_id": "mcp", "act": { "sub": "mcp", "act": { "sub": "spa" } } }),
            merged(for_alice, &json!({ "client": "auth0:mcp", "prior": ["auth0:spa"] })),
        ),
        issuer.shape("unmarked", &json!({ "https://api.example.com/kind": null }), json!(UNMARKED)),
        issuer.shape_with(
            &json!({ "typ": "JWT" }),
            "Auth0's own profile",
            &json!({ "client_id": null, "jti": null, "azp": "spa" }),
            json!("token type not accepted"),
        ),
    ]
}
