//! `admin`: orders over TCP, and who may give them.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use exequatur_admin::{CertificateRule, Reach, Role, Roles, TokenReach, TokenRule};
use exequatur_decide::ProtectedResources;
use exequatur_issuers::IssuerConfig;

use super::certificate_names;
use super::keys::{Key, either, list, map, optional, pattern, required, text, texts, words};
use super::listen::{ADDRESS, parse_address};
use super::reader::{Fields, Node, Notes, Value, once};
use super::tls::{self, TlsFiles};

/// Orders over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where.
    pub listen: SocketAddr,
    /// With which certificate; on loopback alone without.
    pub tls: Option<TlsFiles>,
    /// Whose tokens.
    pub tokens: Vec<TokenRule>,
    /// Which client certificates.
    pub certificates: Vec<CertificateRule>,
}

pub(super) const KEYS: &[Key] = &[
    required("listen", "Address and port. On others than loopback, `tls` is needed.", || {
        pattern(&format!("^({ADDRESS})$"))
    }),
    optional("tls", "The listener's certificate.", || map(tls::KEYS)),
    optional("tokens", "Operators by a token of an issuer, with a role in a claim.", || {
        list(map(TOKEN_KEYS)).some()
    }),
    optional("certificates", "Operators by a client certificate.", || list(map(CERTIFICATE_KEYS)).some()),
];

const TOKEN_KEYS: &[Key] = &[
    required("issuer", "The name of an issuer.", || pattern("^[a-z0-9-]{1,32}$")),
    required("audience", "What these tokens are for: not what tokens of agents are for.", text),
    required("claim", "The claim that holds roles: its name, or a list of names down to it.", || {
        either([text(), list(text()).some()])
    }),
    required("roles", "Which words of the claim give which role.", || map(ROLE_KEYS)),
    required("reach", "`everything`, or `own_tenant`: what is of the tenant that the token names.", || {
        words(TOKEN_REACHES)
    }),
];

const ROLE_KEYS: &[Key] = &[
    optional("reader", "Looks.", texts),
    optional("revoker", "Looks, and stops things.", texts),
    optional("approver", "Looks, and decides on approvals.", texts),
    optional("administrator", "Everything: also takes back, and sets limits.", texts),
];

const CERTIFICATE_KEYS: &[Key] = &[
    certificate_names::URI,
    certificate_names::DNS,
    required("role", "What its holder may do.", || words(ROLES)),
    required("reach", "`everything`, or `{ tenant: … }`.", || {
        either([words(EVERYTHING), map(&[required("tenant", "This tenant alone.", text)])])
    }),
];

const ROLES: &[(&str, Role)] = &[
    ("reader", Role::Reader),
    ("revoker", Role::Revoker),
    ("approver", Role::Approver),
    ("administrator", Role::Administrator),
];
const TOKEN_REACHES: &[(&str, TokenReach)] =
    &[("everything", TokenReach::Everything), ("own_tenant", TokenReach::OwnTenant)];
const EVERYTHING: &[(&str, ())] = &[("everything", ())];
const TENANT_KEYS: &[Key] = &[required("tenant", "This tenant alone.", text)];

/// The tokens' profiles are made from those of the issuers, which may be broken; then there is nothing to be had.
pub(super) fn read(
    node: &Node,
    folder: &Path,
    (issuers, protected): (Option<&[IssuerConfig]>, Option<&ProtectedResources>),
    notes: &Notes,
) -> Option<Admin> {
    let fields = Fields::open(node, KEYS, notes)?;
    let listen = fields.required("listen").and_then(|node| parse_address(node, notes));
    let tls = fields.or("tls", None, |node| tls::read(node, tls::KEYS, folder, notes).map(Some));
    let mut seen = Vec::new();
    let tokens = fields.or("tokens", Vec::new(), |node| {
        node.some(notes, |item| token(item, (issuers, protected), &mut seen, notes))
    });
    let mut names = Vec::new();
    let certificates = fields
        .or("certificates", Vec::new(), |node| node.some(notes, |item| certificate(item, &mut names, notes)));
    if let (Some(listen), Some(None)) = (listen, &tls)
        && !listen.ip().is_loopback()
    {
        notes.hint(node.place, "operators' tokens would cross a network without TLS", "give `tls`");
    }
    if fields.entry("tokens").is_none() && fields.entry("certificates").is_none() {
        let hint =
            "give `tokens` or `certificates`; this machine's own user has the socket of `listen.admin`";
        notes.hint(node.place, "nobody may give orders here", hint);
    }
    let asks = |tls: &Option<TlsFiles>| tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
    if let (Some(entry), Some(tls)) = (fields.entry("certificates"), &tls)
        && !asks(tls)
    {
        notes.add(entry.key_place, "`certificates` without `tls.client_ca_file`: nobody says whose they are");
    }
    Some(Admin { listen: listen?, tls: tls?, tokens: tokens?, certificates: certificates? })
}

fn token(
    node: &Node,
    (issuers, protected): (Option<&[IssuerConfig]>, Option<&ProtectedResources>),
    seen: &mut Vec<String>,
    notes: &Notes,
) -> Option<TokenRule> {
    let fields = Fields::open(node, TOKEN_KEYS, notes)?;
    let profile = fields.required("issuer").and_then(|node| {
        let name = node.text(notes)?;
        if !once(name, seen, node.place, notes) {
            return None;
        }
        let found = issuers?.iter().find(|issuer| issuer.profile.name.as_str() == name);
        if found.is_none() {
            notes.add(node.place, format!("no issuer is called `{name}`"));
        }
        found.map(|issuer| issuer.profile.clone())
    });
    let audience = fields.required("audience").and_then(|node| {
        let audience = node.text(notes)?;
        let of_issuer =
            |issuer: &IssuerConfig| issuer.profile.audiences.iter().any(|known| known == audience);
        let of_agents = issuers?.iter().any(of_issuer)
            || protected?.iter().any(|resource| resource.audiences().any(|known| known == audience));
        if of_agents {
            let hint = "have the issuer issue operators' tokens for an audience of their own";
            notes.hint(node.place, "tokens of agents are for this audience too", hint);
        }
        (!of_agents).then(|| audience.to_owned())
    });
    let claim = fields.required("claim").and_then(|node| {
        if let Value::List(_) = node.value {
            return node.some(notes, |item| item.text(notes).map(str::to_owned));
        }
        node.text(notes).map(|name| vec![name.to_owned()])
    });
    let roles = fields.required("roles").and_then(|node| roles(node, notes));
    let reach = fields.required("reach").and_then(|node| {
        let reach = node.word(TOKEN_REACHES, notes)?;
        if let (TokenReach::OwnTenant, Some(profile)) = (reach, &profile)
            && !profile.names_tenants()
        {
            notes.add(
                node.place,
                "this issuer has neither `claims.tenant` nor `tenant`: its tokens are of no tenant",
            );
        }
        Some(reach)
    });
    let (mut profile, audience) = (profile?, audience?);
    profile.audiences = vec![audience.clone()];
    Some(TokenRule { profile, audience, claim: claim?, roles: roles?, reach: reach? })
}

/// Each word gives one role.
fn roles(node: &Node, notes: &Notes) -> Option<Vec<(String, Role)>> {
    let fields = Fields::open(node, ROLE_KEYS, notes)?;
    let (mut seen, mut roles) = (Vec::new(), Vec::new());
    for (name, role) in ROLES {
        let words = fields.or(name, Vec::new(), |node| {
            let words = node.texts(notes)?;
            words.iter().all(|word| once(word, &mut seen, node.place, notes)).then_some(words)
        })?;
        roles.extend(words.into_iter().map(|word| (word, *role)));
    }
    if roles.is_empty() {
        notes.add(node.place, "at least one role is needed");
        return None;
    }
    Some(roles)
}

fn certificate(node: &Node, seen: &mut Vec<String>, notes: &Notes) -> Option<CertificateRule> {
    let fields = Fields::open(node, CERTIFICATE_KEYS, notes)?;
    let name = certificate_names::read(node, &fields, seen, notes);
    let role = fields.required("role").and_then(|node| node.word(ROLES, notes));
    let reach = fields.required("reach").and_then(|node| {
        if let Value::Map(_) = node.value {
            let tenant = Fields::open(node, TENANT_KEYS, notes)?.required("tenant")?.text(notes)?;
            return Some(Reach::Tenant(tenant.to_owned()));
        }
        node.word(EVERYTHING, notes).map(|()| Reach::Everything)
    });
    Some(CertificateRule { name: name?, roles: Roles::new(role)?, reach: reach? })
}

/// In the file's own form.
pub(super) fn show(admin: &Admin, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Admin { listen, tls, tokens, certificates } = admin;
    writeln!(f, "admin:\n  listen: \"{listen}\"")?;
    if let Some(files) = tls {
        writeln!(f, "  tls:")?;
        tls::show(files, f)?;
    }
    let section = |name: &str, empty: bool| if empty { String::new() } else { format!("  {name}:\n") };
    write!(f, "{}", section("tokens", tokens.is_empty()))?;
    for TokenRule { profile, audience, claim, roles, reach } in tokens {
        writeln!(f, "    - issuer: {}\n      audience: {audience:?}\n      claim: {claim:?}", profile.name)?;
        writeln!(f, "      roles:")?;
        for role in Role::EVERY {
            let words: Vec<_> =
                roles.iter().filter(|(_, given)| *given == role).map(|(word, _)| word).collect();
            if !words.is_empty() {
                writeln!(f, "        {}: {words:?}", role.word())?;
            }
        }
        let reach = match reach {
            TokenReach::Everything => "everything",
            TokenReach::OwnTenant => "own_tenant",
        };
        writeln!(f, "      reach: {reach}")?;
    }
    write!(f, "{}", section("certificates", certificates.is_empty()))?;
    for CertificateRule { name, roles, reach } in certificates {
        write!(f, "    - ")?;
        certificate_names::show(name, f)?;
        writeln!(f, "\n      role: {roles}")?;
        match reach {
            Reach::Everything => writeln!(f, "      reach: everything")?,
            Reach::Tenant(tenant) => writeln!(f, "      reach: {{ tenant: {tenant:?} }}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
