//! Who comes over TCP: a token of a configured issuer with a role, or a client certificate that is named in the configuration.
//!
//! Whoever can reach the port may be the very agent that is to be stopped, so nothing is believed of the address. What is
//! cheap is looked at first, and a source that fails too often is not looked at any more.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use exequatur_decide::{BadStatus, Revocable, operator_targets};
use exequatur_issuers::{
    IntrospectionProblem, IntrospectionUnavailable, Issuer, Issuers, KeysUnavailable, ListUnavailable,
    Uncounted,
};
use exequatur_store::{
    Asked, Finding, Rate, RatePer, RevocationKind, Snapshot, SourceKey, SourceLimits, StoreError, Unknown,
};
use exequatur_token::{
    BindingError, CertificateName, CertifiedTenantError, ClientCertificate, IssuerProfile, PresentedSender,
    Scheme, TokenDigest, TokenError, TokenSize, UnverifiedToken, VerifiedToken, bind,
};
use jiff::Timestamp;

use crate::caller::{Actor, Caller, Reach};
use crate::role::{Role, Roles};

/// What may come in over TCP.
#[derive(Clone, Debug)]
pub struct GateParts {
    /// Whose tokens.
    pub tokens: Vec<TokenRule>,
    /// Which certificates.
    pub certificates: Vec<CertificateRule>,
    /// The issuers and their keys.
    pub issuers: Arc<Issuers>,
    /// What is revoked: an operator's token, session or key too.
    pub revocations: Arc<Snapshot>,
    /// Longest token.
    pub token_size: TokenSize,
}

/// Tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// The issuer's, with [`Self::audience`] as the only audience.
    pub profile: IssuerProfile,
    /// What the token has to be for: not what the tokens of agents are for.
    pub audience: String,
    /// The claim that holds roles: its name, or the names of members down to it.
    pub claim: Vec<String>,
    /// Which of its words gives which role; any other gives none.
    pub roles: Vec<(String, Role)>,
    /// How far such callers reach.
    pub reach: TokenReach,
}

/// How far the caller with a token reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenReach {
    /// Whatever there is.
    Everything,
    /// The tenant that the token names; a token that names none is refused.
    OwnTenant,
}

/// One client certificate, by a name that its authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    /// Compared byte by byte.
    pub name: CertificateName,
    /// What its holder may do.
    pub roles: Roles,
    /// How far he reaches.
    pub reach: Reach,
}

/// The client certificate of a connection, whose chain was verified.
#[derive(Clone, Debug)]
pub(crate) struct PeerCertificate {
    pub(crate) certificate: ClientCertificate,
    pub(crate) names: Vec<CertificateName>,
}

/// How a request came.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    pub(crate) encrypted: bool,
    pub(crate) certificate: Option<PeerCertificate>,
}

/// Lets in, or not.
#[derive(Debug)]
pub struct Gate {
    parts: GateParts,
    sources: SourceLimits,
}

/// How often one address may fail: 5 a second, 20 at once.
fn failures() -> Rate {
    let count = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Rate::new(count(5), RatePer::Second, count(20)).unwrap_or_else(Rate::least)
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotLetIn {
    #[error("too many calls without credentials that hold")]
    TooOften(Duration),
    #[error("how often this address failed is not known")]
    HowOften,
    #[error("requests from web pages are not taken")]
    Origin,
    #[error("without TLS the host has to be this machine's loopback, by number or as localhost")]
    Host,
    #[error("over TCP the credentials say who you are: `exequatur-as` is for the socket")]
    As,
    #[error("a bearer token, or a client certificate, is needed")]
    Missing,
    #[error("`authorization` is `Bearer` and a token, once")]
    Scheme,
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("no operators of this issuer are configured")]
    Issuer,
    #[error("the issuer's keys are not known")]
    Keys(#[from] KeysUnavailable),
    #[error("the token is bound to what was not presented: {0}")]
    Binding(#[from] BindingError),
    #[error("it is not known of which tenant the token is: {0}")]
    Tenant(#[from] CertifiedTenantError),
    #[error("the token is somebody's who acts for you: orders are given by oneself")]
    Delegated,
    #[error("it was revoked")]
    Revoked,
    #[error("the issuer's status list does not say that the token is valid")]
    Status(BadStatus),
    #[error("{0}")]
    StatusList(ListUnavailable),
    #[error("the issuer says that the token is not active")]
    Inactive,
    #[error("whether the token is active is not known: {0}")]
    Introspection(IntrospectionUnavailable),
    #[error("it is not known what is revoked: {0:?}")]
    Revocations(Unknown),
    #[error("the token gives no role here")]
    NoRole,
    #[error("the token names no tenant")]
    NoTenant,
    #[error("no operator has this certificate")]
    Certificate,
}

impl NotLetIn {
    /// Status and word.
    pub(crate) const fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_calls"),
            Self::HowOften
            | Self::Keys(_)
            | Self::Revocations(_)
            | Self::StatusList(_)
            | Self::Introspection(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Origin => (StatusCode::FORBIDDEN, "origin_not_allowed"),
            Self::Host => (StatusCode::FORBIDDEN, "host_unknown"),
            Self::As => (StatusCode::BAD_REQUEST, "as_invalid"),
            Self::Missing => (StatusCode::UNAUTHORIZED, "credentials_missing"),
            Self::Scheme => (StatusCode::UNAUTHORIZED, "credentials_malformed"),
            Self::Token(_)
            | Self::Issuer
            | Self::Binding(_)
            | Self::Tenant(_)
            | Self::Delegated
            | Self::Revoked
            | Self::Status(_)
            | Self::Inactive => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::NoRole | Self::NoTenant | Self::Certificate => (StatusCode::FORBIDDEN, "forbidden"),
        }
    }
}

impl Gate {
    /// A gate.
    #[must_use]
    pub fn new(parts: GateParts) -> Self {
        Self { parts, sources: SourceLimits::new(failures()) }
    }

    /// Whether connections are to be asked for a certificate.
    #[must_use]
    pub const fn takes_certificates(&self) -> bool {
        !self.parts.certificates.is_empty()
    }

    /// Whether an address has failed so often that not even its handshake is looked at.
    pub(crate) fn shuts_out(&self, address: IpAddr, now: Timestamp) -> bool {
        !matches!(self.sources.look(key_of(address), now), Ok(Ok(())))
    }

    /// A connection that came to no request is a failure too.
    pub(crate) fn came_to_nothing(&self, address: IpAddr, now: Timestamp) {
        if self.sources.charge(key_of(address), now).is_err() {
            tracing::error!("how often addresses fail is not counted any more");
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`NotLetIn`]; each but those that are no fault of the caller's is charged to his address.
    pub(crate) async fn let_in(
        &self,
        headers: &HeaderMap,
        arrival: &Arrival,
        now: Timestamp,
    ) -> Result<Caller, NotLetIn> {
        let source = key_of(arrival.peer.ip());
        let how_often = |_: StoreError| NotLetIn::HowOften;
        self.sources.look(source, now).map_err(how_often)?.map_err(NotLetIn::TooOften)?;
        let outcome = self.identify(headers, arrival, now).await;
        match &outcome {
            Ok(_)
            | Err(
                NotLetIn::Keys(_)
                | NotLetIn::Revocations(_)
                | NotLetIn::StatusList(_)
                | NotLetIn::Introspection(_)
                | NotLetIn::HowOften
                | NotLetIn::TooOften(_),
            ) => {}
            Err(
                NotLetIn::Origin
                | NotLetIn::Host
                | NotLetIn::As
                | NotLetIn::Missing
                | NotLetIn::Scheme
                | NotLetIn::Token(_)
                | NotLetIn::Issuer
                | NotLetIn::Binding(_)
                | NotLetIn::Tenant(_)
                | NotLetIn::Delegated
                | NotLetIn::Revoked
                | NotLetIn::Status(_)
                | NotLetIn::Inactive
                | NotLetIn::NoRole
                | NotLetIn::NoTenant
                | NotLetIn::Certificate,
            ) => self.sources.charge(source, now).map_err(how_often)?,
        }
        outcome
    }

    async fn identify(
        &self,
        headers: &HeaderMap,
        arrival: &Arrival,
        now: Timestamp,
    ) -> Result<Caller, NotLetIn> {
        check_provenance(headers, arrival)?;
        let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
        match (authorization.next(), authorization.next(), &arrival.certificate) {
            (Some(one), None, certificate) => {
                let text = one.to_str().or(Err(NotLetIn::Scheme))?;
                let (scheme, token) = text.split_once(' ').ok_or(NotLetIn::Scheme)?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(NotLetIn::Scheme);
                }
                self.by_token(token, certificate.as_ref(), now).await
            }
            (Some(_), Some(_), _) => Err(NotLetIn::Scheme),
            (None, _, Some(certificate)) => self.by_certificate(certificate, now),
            (None, _, None) => Err(NotLetIn::Missing),
        }
    }

    async fn by_token(
        &self,
        raw: &str,
        certificate: Option<&PeerCertificate>,
        now: Timestamp,
    ) -> Result<Caller, NotLetIn> {
        let unverified = UnverifiedToken::parse_within(raw, self.parts.token_size)?;
        let rule = self.parts.tokens.iter().find(|rule| rule.profile.issuer == unverified.issuer());
        let rule = rule.ok_or(NotLetIn::Issuer)?;
        let issuer = self.parts.issuers.find(&rule.profile.issuer).ok_or(NotLetIn::Issuer)?;
        let keys = issuer.keys(now)?;
        let sought = issuer.sought_key(unverified.key_id(), unverified.algorithm());
        let verified = unverified.verify_with_words(&rule.profile, &keys, now, &rule.claim);
        let found = verified.inspect_err(|error| {
            if *error == TokenError::KeyUnknown {
                issuer.unknown_key_seen(sought, now);
            }
        })?;
        let certificate = certificate.map(|peer| &peer.certificate);
        let token = Arc::new(found.token).certified(&rule.profile, certificate, now)?;
        // Somebody else who acts for an operator is no operator, and no record would name him.
        if !token.delegation().actors().is_empty() {
            return Err(NotLetIn::Delegated);
        }
        let current = token.current(now, &rule.audience, &rule.profile)?;
        bind(current, PresentedSender { scheme: Scheme::Bearer, proof: None, certificate })?;
        self.not_revoked(&operator_targets(&token), now)?;
        not_listed(issuer, &token, now).await?;
        still_active(issuer, raw, &token, now).await?;
        let given = found
            .words
            .iter()
            .flat_map(|word| rule.roles.iter().filter(move |(name, _)| name == word).map(|(_, role)| *role));
        let roles = Roles::new(given).ok_or(NotLetIn::NoRole)?;
        let reach = match rule.reach {
            TokenReach::Everything => Reach::Everything,
            TokenReach::OwnTenant => Reach::Tenant(token.tenant().ok_or(NotLetIn::NoTenant)?.to_owned()),
        };
        let name = format!("{}:{}", token.issuer_name(), token.subject());
        Ok(Caller::new(Actor::Token(name), roles, reach))
    }

    fn by_certificate(&self, peer: &PeerCertificate, now: Timestamp) -> Result<Caller, NotLetIn> {
        let rule = self.parts.certificates.iter().find(|rule| peer.names.contains(&rule.name));
        let rule = rule.ok_or(NotLetIn::Certificate)?;
        let thumbprint = peer.certificate.thumbprint().to_string();
        let key = Revocable::parse(RevocationKind::Key, &thumbprint).or(Err(NotLetIn::Certificate))?;
        self.not_revoked(&[Asked { target: key.target(), issued_at: None }], now)?;
        let name = rule.name.as_str().to_owned();
        Ok(Caller::new(Actor::Certificate(name), rule.roles.clone(), rule.reach.clone()))
    }

    fn not_revoked(&self, asked: &[Asked], now: Timestamp) -> Result<(), NotLetIn> {
        match self.parts.revocations.ask(asked, now) {
            Finding::NotRevoked(_evidence) => Ok(()),
            Finding::Revoked(_) => Err(NotLetIn::Revoked),
            Finding::Unknown(unknown) => Err(NotLetIn::Revocations(unknown)),
        }
    }
}

/// V10: the issuer's word about its token, as with the tokens of agents.
async fn not_listed(issuer: &Arc<Issuer>, token: &VerifiedToken, now: Timestamp) -> Result<(), NotLetIn> {
    let Some(reference) = token.status() else { return Ok(()) };
    match issuer.token_status(reference, now).await.map_err(BadStatus::judge) {
        Ok(_evidence) => Ok(()),
        Err(Ok(bad)) => Err(NotLetIn::Status(bad)),
        Err(Err(unavailable)) => Err(NotLetIn::StatusList(unavailable)),
    }
}

/// S03: the issuer's word about the token, where it is asked about those that it signs.
async fn still_active(
    issuer: &Issuer,
    raw: &str,
    token: &Arc<VerifiedToken>,
    now: Timestamp,
) -> Result<(), NotLetIn> {
    if !issuer.confirms_tokens() {
        return Ok(());
    }
    match issuer.confirm(raw, TokenDigest::of(raw), token, &Uncounted, now).await {
        Ok(_evidence) => Ok(()),
        Err(IntrospectionProblem::Inactive) => Err(NotLetIn::Inactive),
        Err(IntrospectionProblem::Token(error)) => Err(NotLetIn::Token(error)),
        Err(IntrospectionProblem::Unavailable(why)) => Err(NotLetIn::Introspection(why)),
    }
}

/// E-08: nothing from a web page, and without TLS nothing that came by a name which somebody may have bent to loopback.
fn check_provenance(headers: &HeaderMap, arrival: &Arrival) -> Result<(), NotLetIn> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(NotLetIn::Origin);
    }
    if headers.contains_key(crate::api::AS) {
        return Err(NotLetIn::As);
    }
    if arrival.encrypted {
        return Ok(());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(NotLetIn::Host) };
    let host = host.to_str().or(Err(NotLetIn::Host))?;
    let by_number = host
        .parse::<SocketAddr>()
        .map(|address| address.ip())
        .or_else(|_portless| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>());
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    if name.eq_ignore_ascii_case("localhost") || by_number.is_ok_and(|address| address.is_loopback()) {
        Ok(())
    } else {
        Err(NotLetIn::Host)
    }
}

/// IPv6 by its /64: whoever has one has all of it.
pub(crate) fn key_of(address: IpAddr) -> SourceKey {
    let mut key = [0; 16];
    let octets = match address.to_canonical() {
        // Four octets are told from the first of eight.
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            [a, b, c, d, 0, 0, 0, 0, 4]
        }
        IpAddr::V6(six) => {
            let [a, b, c, d, e, f, g, h, ..] = six.octets();
            [a, b, c, d, e, f, g, h, 6]
        }
    };
    for (to, from) in key.iter_mut().zip(octets) {
        *to = from;
    }
    SourceKey(key)
}

#[cfg(test)]
mod tests;
