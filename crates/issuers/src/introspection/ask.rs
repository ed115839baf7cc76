//! One question about a token: the request, and what came back (RFC 7662 §2.1).

use std::time::Duration;

use exequatur_token::{ClientAssertion, MAX_ANSWER_BYTES, base64url};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode};
use url::form_urlencoded::Serializer;

use super::config::{AnswerForm, AssertionAudience, ClientAuthentication, IntrospectionConfig};
use super::outcome::IntrospectionError;
use crate::caller::Place;
use crate::clients::SharedClient;
use crate::download::{DownloadError, body, cause, check_plain};
use crate::transport::Reach;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The connections that questions go by.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) anywhere: SharedClient,
    pub(crate) public_only: SharedClient,
}

impl Lines {
    fn to(&self, place: &Place) -> Client {
        match place.reach() {
            Reach::Anywhere => self.anywhere.get(),
            Reach::PublicOnly => self.public_only.get(),
        }
    }
}

/// Asks about `token`. A connection that was kept may have been closed by the other end just now: then once more.
///
/// # Errors
/// There is no whole answer in the form that was asked for.
pub(super) async fn ask(
    config: &IntrospectionConfig,
    issuer: &str,
    lines: &Lines,
    place: &Place,
    token: &str,
    now: Timestamp,
) -> Result<Vec<u8>, IntrospectionError> {
    let client = lines.to(place);
    let once = async || {
        let form = form(config, issuer, place, token, now)?;
        transfer(&client, place, config.form, form, config.timeout).await
    };
    match once().await {
        Err(IntrospectionError::Download(DownloadError::Transfer)) => once().await,
        outcome => outcome,
    }
}

async fn transfer(
    client: &Client,
    place: &Place,
    form: AnswerForm,
    question: String,
    time: Duration,
) -> Result<Vec<u8>, IntrospectionError> {
    let request = client.post(place.url().clone()).timeout(time).header(ACCEPT, accepted(form));
    let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut response = request.body(question).send().await.map_err(|error| cause(&error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(DownloadError::Redirected(status.as_u16()).into());
    }
    if status != StatusCode::OK {
        return Err(DownloadError::Status(status.as_u16()).into());
    }
    check_plain(&response)?;
    if !is_of(form, response.headers()) {
        return Err(IntrospectionError::ContentType);
    }
    Ok(body(&mut response, MAX_ANSWER_BYTES).await?)
}

fn accepted(form: AnswerForm) -> HeaderValue {
    HeaderValue::from_static(media_type(form))
}

const fn media_type(form: AnswerForm) -> &'static str {
    match form {
        AnswerForm::Signed => "application/token-introspection+jwt",
        AnswerForm::Plain => "application/json",
    }
}

/// One content type, the one that was asked for; said to be in UTF-8, if it says in what.
fn is_of(form: AnswerForm, headers: &HeaderMap) -> bool {
    let mut stated = headers.get_all(CONTENT_TYPE).iter();
    let (Some(stated), None) = (stated.next(), stated.next()) else { return false };
    let Ok(stated) = stated.to_str() else { return false };
    let (essence, parameter) = stated.split_once(';').unwrap_or((stated, ""));
    let parameter = parameter.trim();
    let utf8 = ["", "charset=utf-8", "charset=\"utf-8\""];
    essence.trim().eq_ignore_ascii_case(media_type(form))
        && utf8.iter().any(|known| parameter.eq_ignore_ascii_case(known))
}

fn form(
    config: &IntrospectionConfig,
    issuer: &str,
    place: &Place,
    token: &str,
    now: Timestamp,
) -> Result<String, IntrospectionError> {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token).append_pair("token_type_hint", "access_token");
    form.append_pair("client_id", &config.client_id);
    match &config.authentication {
        ClientAuthentication::PrivateKeyJwt { key, audience } => {
            let mut id = [0; 16];
            getrandom::fill(&mut id).or(Err(IntrospectionError::Key))?;
            let claims = ClientAssertion {
                client_id: &config.client_id,
                audience: match audience {
                    AssertionAudience::Issuer => issuer,
                    AssertionAudience::Endpoint => place.url().as_str(),
                },
                id: &base64url::encode(&id),
            };
            let assertion = key.assertion(claims, now).or(Err(IntrospectionError::Key))?;
            form.append_pair("client_assertion_type", JWT_BEARER);
            form.append_pair("client_assertion", &assertion);
        }
        // The certificate is shown by the connection.
        ClientAuthentication::Mtls { .. } => {}
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_one_and_the_one_that_was_asked_for() {
        let outcome = |form, stated: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in stated {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            is_of(form, &headers)
        };
        const JWT: &str = "application/token-introspection+jwt";
        let (signed, plain) = (AnswerForm::Signed, AnswerForm::Plain);
        assert!(outcome(signed, &[JWT]));
        assert!(outcome(signed, &["Application/Token-Introspection+JWT; charset=utf-8"]));
        assert!(outcome(plain, &["application/json"]));
        assert!(outcome(plain, &["application/json;charset=\"UTF-8\""]));
        for stated in [
            &[][..],
            &["application/json"],
            &["application/jwt"],
            &["text/html"],
            &["application/token-introspection+jwt2"],
            &["application/token-introspection+jwt, application/json"],
            &["application/token-introspection+jwt; charset=utf-16"],
            &[JWT, JWT],
            &[JWT, "application/json"],
        ] {
            assert!(!outcome(signed, stated), "{stated:?}");
        }
        for stated in [&[][..], &[JWT], &["application/problem+json"], &["text/plain; charset=utf-8"]] {
            assert!(!outcome(plain, stated), "{stated:?}");
        }
    }
}
