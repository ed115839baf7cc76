//! What Exequatur would say of a token, step by step, by the very checks of the decision.

use std::sync::Arc;

use exequatur_decide::{Access, BadStatus, CredentialHandling, Denial, Fault, SenderRequirement};
use exequatur_server::config::Config;
use exequatur_token::{Claim, Confirmation, StatusReference, TokenError, UnverifiedToken, VerifiedToken};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::exit::Failure;

/// The steps that were taken, in order; the last one fails or all hold.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: Name,
    /// What it is that holds, or the reason code of the refusal and what is wrong.
    pub(super) outcome: Result<String, (&'static str, String)>,
}

/// The steps. `decide` and `token` take them in this order, but for the type, which is judged before and after
/// the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Form,
    Issuer,
    Keys,
    Type,
    Algorithm,
    Claims,
    Times,
    Key,
    Signature,
    Introspection,
    Audience,
    Binding,
    Status,
}

impl Name {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Issuer => "issuer",
            Self::Keys => "keys",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Claims => "claims",
            Self::Times => "times",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Introspection => "introspection",
            Self::Audience => "audience",
            Self::Binding => "binding",
            Self::Status => "status",
        }
    }

    /// The step that an error belongs to.
    const fn of(error: TokenError) -> Self {
        match error {
            TokenError::Malformed(_) | TokenError::TooLarge | TokenError::CritUnsupported => Self::Form,
            TokenError::TypeInvalid => Self::Type,
            TokenError::AlgNotAllowed => Self::Algorithm,
            TokenError::IssuerUnknown
            | TokenError::ClaimMissing(Claim::Iss)
            | TokenError::ClaimInvalid(Claim::Iss) => Self::Issuer,
            TokenError::Expired | TokenError::NotYetValid | TokenError::ClaimInvalid(Claim::Exp) => {
                Self::Times
            }
            TokenError::KeyUnknown => Self::Key,
            TokenError::SignatureInvalid => Self::Signature,
            TokenError::AudienceMismatch => Self::Audience,
            TokenError::ClaimMissing(_)
            | TokenError::ClaimInvalid(_)
            | TokenError::BindingUnsupported
            | TokenError::StatusUnsupported
            | TokenError::DelegationTooDeep => Self::Claims,
        }
    }
}

impl Judgement {
    pub(super) fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_ok())
    }

    pub(super) fn signature_holds(&self) -> bool {
        self.steps.iter().any(|step| step.name == Name::Signature && step.outcome.is_ok())
    }

    pub(super) fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| match &step.outcome {
            Ok(what) => json!({ "step": step.name.as_str(), "holds": true, "what": what }),
            Err((reason, what)) => {
                json!({ "step": step.name.as_str(), "holds": false, "reason": reason, "what": what })
            }
        });
        json!({ "accepted": self.holds(), "steps": steps.collect::<Vec<_>>() })
    }

    fn hold(&mut self, name: Name, what: impl Into<String>) {
        self.steps.push(Step { name, outcome: Ok(what.into()) });
    }

    fn fail(mut self, name: Name, reason: &'static str, what: impl Into<String>) -> Self {
        self.steps.push(Step { name, outcome: Err((reason, what.into())) });
        self
    }

    fn refuse(self, error: TokenError) -> Self {
        self.fail(Name::of(error), Denial::Token(error).reason().code(), error.to_string())
    }
}

/// Judges a token as the authentication of a request would, without proof and certificate: whether those are
/// there is another request's question.
pub(super) async fn judge(raw: &str, config: &Config, now: Timestamp) -> Result<Judgement, Failure> {
    let mut judgement = Judgement::default();
    let unverified = match UnverifiedToken::parse_within(raw, config.token_size) {
        Ok(unverified) => unverified,
        Err(error) => {
            if Name::of(error) > Name::Form {
                judgement.hold(Name::Form, form(raw));
            }
            return Ok(judgement.refuse(error));
        }
    };
    judgement.hold(Name::Form, form(raw));
    let issuer = unverified.issuer().to_owned();
    let found = exequatur_server::issuer_keys(config, &issuer).await.map_err(Failure::other)?;
    let Some((profile, keys)) = found else {
        return Ok(judgement.refuse(TokenError::IssuerUnknown));
    };
    judgement.hold(Name::Issuer, format!("`{}` of the configuration", profile.name));
    let keys = match keys {
        Ok(keys) => keys,
        Err(unavailable) => {
            let reason = Fault::Keys(unavailable).reason().code();
            return Ok(judgement.fail(
                Name::Keys,
                reason,
                "they could not be loaded; the request would be a 503",
            ));
        }
    };
    judgement.hold(Name::Keys, format!("{} that can be used", keys.len()));
    let algorithms: Vec<_> = profile.algorithms.iter().map(|algorithm| algorithm.jose_name()).collect();
    let between = [
        (Name::Type, "that of an access token".to_owned()),
        (Name::Algorithm, format!("one of {}", algorithms.join(", "))),
        (Name::Claims, "all that are needed, well formed".to_owned()),
        (Name::Times, "it may be used at this time".to_owned()),
        (Name::Key, "there is one for it".to_owned()),
        (Name::Signature, "made by the issuer".to_owned()),
    ];
    let verified = unverified.verify(&profile, &keys, now);
    let failed = verified.as_ref().err().map(|error| Name::of(*error));
    for (name, what) in between {
        if failed.is_none_or(|failed| name < failed) {
            judgement.hold(name, what);
        }
    }
    let token = match verified {
        Ok(token) => Arc::new(token),
        Err(error) => return Ok(judgement.refuse(error)),
    };
    let mut judgement = match introspection(judgement, raw, &issuer, &token, config).await? {
        judgement if judgement.holds() => judgement,
        judgement => return Ok(judgement),
    };
    let judgement = match audience(&token, config, now, &profile) {
        Ok(what) => {
            judgement.hold(Name::Audience, what);
            judgement
        }
        Err(error) => return Ok(judgement.refuse(error)),
    };
    let judgement = binding(judgement, token.confirmation(), config);
    match token.status() {
        Some(reference) if judgement.holds() => status(judgement, reference, &issuer, config).await,
        Some(_) | None => Ok(judgement),
    }
}

/// What the issuer says when it is asked about the token, if it is.
async fn introspection(
    mut judgement: Judgement,
    raw: &str,
    issuer: &str,
    token: &Arc<VerifiedToken>,
    config: &Config,
) -> Result<Judgement, Failure> {
    let said =
        exequatur_server::token_introspection(config, issuer, raw, token).await.map_err(Failure::other)?;
    match said {
        None => {}
        Some(Ok(_active)) => judgement.hold(Name::Introspection, "active, as its issuer says"),
        Some(Err((reason, what))) => return Ok(judgement.fail(Name::Introspection, reason.code(), what)),
    }
    Ok(judgement)
}

/// What the list says that the token names, which is fetched for it.
async fn status(
    mut judgement: Judgement,
    reference: &StatusReference,
    issuer: &str,
    config: &Config,
) -> Result<Judgement, Failure> {
    let place = format!("place {} of {}", reference.index(), reference.uri());
    let answer = exequatur_server::token_status(config, issuer, reference).await.map_err(Failure::other)?;
    let Err(problem) = answer else {
        judgement.hold(Name::Status, format!("valid, at {place}"));
        return Ok(judgement);
    };
    let reason = match BadStatus::judge(problem) {
        Ok(bad) => Denial::Status(bad).reason(),
        Err(unavailable) => Fault::StatusList(unavailable).reason(),
    };
    Ok(judgement.fail(Name::Status, reason.code(), format!("{problem}, at {place}")))
}

fn form(raw: &str) -> String {
    format!("three parts of strict JSON and base64url, {} bytes", raw.len())
}

/// The audiences that routes ask for and that the token may be used for now.
fn audience(
    token: &Arc<VerifiedToken>,
    config: &Config,
    now: Timestamp,
    profile: &exequatur_token::IssuerProfile,
) -> Result<String, TokenError> {
    let own = config.protected.iter().flat_map(|resource| resource.audiences());
    let forwarded = config.routes.iter().filter_map(|route| match &route.access {
        Access::Guarded(guard) => match &guard.credentials {
            CredentialHandling::Forward { audience } => Some(audience.as_str()),
            CredentialHandling::Strip => None,
        },
        Access::Public | Access::Preflight => None,
    });
    let mut usable = Vec::new();
    for audience in own.chain(forwarded) {
        match token.current(now, audience, profile) {
            Ok(_current) if usable.contains(&audience) => {}
            Ok(_current) => usable.push(audience),
            Err(TokenError::AudienceMismatch) => {}
            Err(error) => return Err(error),
        }
    }
    if usable.is_empty() { Err(TokenError::AudienceMismatch) } else { Ok(usable.join(", ")) }
}

/// Whether the token's sender constraint is enough for any route; what proves it comes with the request.
fn binding(mut judgement: Judgement, confirmation: &Confirmation, config: &Config) -> Judgement {
    let (dpop, mtls) = (confirmation.jkt().is_some(), confirmation.x5t().is_some());
    let what = match (dpop, mtls) {
        (false, false) => "none: whoever has it can use it",
        (true, false) => "to a key: each request needs a DPoP proof with it",
        (false, true) => "to a client certificate",
        (true, true) => "to a key and a client certificate: each request needs both",
    };
    let needed: Vec<_> = config
        .routes
        .iter()
        .filter_map(|route| match &route.access {
            Access::Guarded(guard) => Some(guard.sender),
            Access::Public | Access::Preflight => None,
        })
        .collect();
    let met = |needed: &&SenderRequirement| match needed {
        SenderRequirement::None => true,
        SenderRequirement::Any => dpop || mtls,
        SenderRequirement::Dpop => dpop,
        SenderRequirement::Mtls => mtls,
    };
    let enough = needed.iter().filter(met).count();
    let what = format!("{what}; enough for {enough} of {} guarded routes", needed.len());
    if enough == 0 && !needed.is_empty() {
        return judgement.fail(Name::Binding, Denial::BindingRequired.reason().code(), what);
    }
    judgement.hold(Name::Binding, what);
    judgement
}
