//! `WWW-Authenticate`, by RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3 and RFC 9728 §5.1.

use exequatur_decide::{Facts, SenderRequirement};

use super::shape::{Challenge, Shape};

/// What a challenge is made of besides its shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// The proof algorithms, separated by spaces.
    pub(crate) algorithms: &'a str,
    /// Where the protected resource's metadata is, if the host is known.
    pub(crate) metadata: Option<&'a str>,
    /// Every scope that the route needs.
    pub(crate) scopes: &'a [String],
    /// What is known of the request.
    pub(crate) facts: &'a Facts,
}

/// The challenges, each to be sent as a field of its own (E08).
pub(crate) fn challenges(shape: Shape, offer: Offer<'_>) -> Vec<String> {
    let dpop = offer.facts.dpop_scheme;
    match shape.challenge {
        Challenge::None => Vec::new(),
        Challenge::Bare => both(offer, None),
        Challenge::Request => both(offer, Some(("invalid_request", shape.title))),
        // The error stands only in the challenge of the scheme that was used (D24); a bearer caller is
        // told beside it that DPoP is offered (D22).
        Challenge::Token if dpop => vec![dpop_challenge(offer, Some(("invalid_token", shape.title)))],
        Challenge::Token => {
            vec![bearer_challenge(offer, Some(("invalid_token", shape.title))), dpop_challenge(offer, None)]
        }
        Challenge::Proof => vec![dpop_challenge(offer, Some(("invalid_dpop_proof", shape.title)))],
        Challenge::Nonce => vec![dpop_challenge(offer, Some(("use_dpop_nonce", shape.title)))],
        Challenge::Scope => {
            let mut challenge = if dpop { Parameters::new("DPoP") } else { Parameters::new("Bearer") };
            challenge.error(("insufficient_scope", shape.title));
            challenge.add("scope", &offer.scopes.join(" "));
            vec![challenge.metadata(offer.metadata)]
        }
        Challenge::StepUp => vec![step_up_challenge(offer, shape.title)],
    }
}

fn both(offer: Offer<'_>, error: Option<(&str, &str)>) -> Vec<String> {
    let mut challenges = vec![dpop_challenge(offer, error)];
    if offer.facts.sender_needed != Some(SenderRequirement::Dpop) {
        challenges.push(bearer_challenge(offer, error));
    }
    challenges
}

fn dpop_challenge(offer: Offer<'_>, error: Option<(&str, &str)>) -> String {
    let mut challenge = Parameters::new("DPoP");
    if let Some(error) = error {
        challenge.error(error);
    }
    challenge.add("algs", offer.algorithms);
    challenge.metadata(offer.metadata)
}

fn bearer_challenge(offer: Offer<'_>, error: Option<(&str, &str)>) -> String {
    let mut challenge = Parameters::new("Bearer");
    if let Some(error) = error {
        challenge.error(error);
    }
    challenge.metadata(offer.metadata)
}

/// RFC 9470 §3: what the next authorization request has to ask for, and nothing of how the user was authenticated.
fn step_up_challenge(offer: Offer<'_>, title: &str) -> String {
    let mut challenge = Parameters::new(if offer.facts.dpop_scheme { "DPoP" } else { "Bearer" });
    challenge.error(("insufficient_user_authentication", title));
    if let Some(needed) = &offer.facts.step_up_needed {
        if !needed.acr_values.is_empty() {
            challenge.add("acr_values", &needed.acr_values.join(" "));
        }
        if let Some(most) = needed.max_age {
            challenge.add("max_age", &most.as_secs().to_string());
        }
    }
    challenge.metadata(offer.metadata)
}

struct Parameters {
    text: String,
    first: bool,
}

impl Parameters {
    fn new(scheme: &str) -> Self {
        Self { text: scheme.to_owned(), first: true }
    }

    /// Adds `name="value"`. Characters that a quoted string would have to escape are left out: all values
    /// come from configuration or from this program (E07), except scopes, which templates may fill.
    fn add(&mut self, name: &str, value: &str) {
        self.text.push_str(if self.first { " " } else { ", " });
        self.first = false;
        self.text.push_str(name);
        self.text.push_str("=\"");
        self.text.extend(value.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
        self.text.push('"');
    }

    fn error(&mut self, (code, description): (&str, &str)) {
        self.add("error", code);
        self.add("error_description", description);
    }

    fn metadata(mut self, url: Option<&str>) -> String {
        if let Some(url) = url {
            self.add("resource_metadata", url);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use exequatur_decide::{Reason, StepUp};
    use jiff::SignedDuration;

    use super::*;
    use crate::wire::shape::shape;

    fn challenge(reason: Reason, facts: &Facts, scopes: &[String]) -> Vec<String> {
        let metadata = Some("https://h/.well-known/oauth-protected-resource");
        challenges(shape(reason), Offer { algorithms: "ES256 EdDSA", metadata, scopes, facts })
    }

    /// E02, D24: nothing given, nothing named as an error.
    #[test]
    fn a_bare_challenge_names_no_error() {
        let found = challenge(Reason::CredentialsMissing, &Facts::default(), &[]);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|c| !c.contains("error") && c.contains("resource_metadata=")), "{found:?}");
        assert!(found[0].starts_with("DPoP algs=\"ES256 EdDSA\""));
    }

    /// D22: the downgrade is named under Bearer, and DPoP offered.
    #[test]
    fn a_downgrade_names_the_error_under_bearer() {
        let found = challenge(Reason::DpopBoundTokenAsBearer, &Facts::default(), &[]);
        assert!(found[0].starts_with("Bearer error=\"invalid_token\""), "{found:?}");
        assert!(found[1].starts_with("DPoP algs="), "{found:?}");
    }

    /// S01, R-STEP: under the scheme that was used, what is needed and nothing else.
    #[test]
    fn s01_a_step_up_names_what_is_needed() {
        let needed = |acr_values: &[&str], seconds: Option<i64>| StepUp {
            acr_values: acr_values.iter().map(|value| (*value).to_owned()).collect(),
            max_age: seconds.map(SignedDuration::from_secs),
        };
        for (dpop_scheme, needed, expected) in [
            (
                true,
                needed(&["gold", "urn:x:y"], Some(300)),
                "DPoP @, acr_values=\"gold urn:x:y\", max_age=\"300\"",
            ),
            (true, needed(&["gold"], None), "DPoP @, acr_values=\"gold\""),
            (false, needed(&[], Some(1)), "Bearer @, max_age=\"1\""),
        ] {
            let facts = Facts { dpop_scheme, step_up_needed: Some(needed), ..Facts::default() };
            let error = "error=\"insufficient_user_authentication\", \
                error_description=\"another authentication of the user is needed\"";
            let expected = format!(
                "{}, resource_metadata=\"https://h/.well-known/oauth-protected-resource\"",
                expected.replace('@', error)
            );
            assert_eq!(challenge(Reason::StepUpRequired, &facts, &[]), [expected]);
        }
    }

    /// E05, E07: all scopes at once, and nothing that closes the quoted string.
    #[test]
    fn scopes_are_listed_and_cannot_break_out() {
        let facts = Facts { dpop_scheme: true, ..Facts::default() };
        let found = challenge(Reason::ScopeInsufficient, &facts, &["a".into(), "doc:\"x\r\n\\".into()]);
        assert!(found[0].contains("scope=\"a doc:x\""), "{found:?}");
    }
}
