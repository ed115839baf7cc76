//! JSON that goes to a signer and comes back, for whoever has more to say to it than to load its keys.

use std::fmt;
use std::time::Duration;

use exequatur_token::json::Value;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use zeroize::Zeroizing;

use crate::address::{self, AddressProblem};
use crate::clients::{Clients, SharedClient};
use crate::config::HttpConfig;
use crate::discovery::{Discovery, KeysPlace, MetadataError, judge, of_issuer, text};
use crate::download::{DownloadError, MediaType, body, cause, check_plain, download, within};
use crate::signers::{IssuersError, no_client};
use crate::transport::{Reach, Transport};

/// Asks a signer, over connections like those that its keys are loaded by.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) anywhere: SharedClient,
    pub(crate) public_only: SharedClient,
    pub(crate) bounds: HttpConfig,
}

/// Where a question goes to, and how far a client may go for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(KeysPlace);

impl Place {
    /// A place that the operator named: https, or http on a loopback host.
    ///
    /// # Errors
    /// [`AddressProblem`]
    pub fn named(url: &str) -> Result<Self, AddressProblem> {
        Ok(Self(KeysPlace { url: address::parse(url)?, reach: Reach::Anywhere }))
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.0.url
    }

    pub(crate) const fn reach(&self) -> Reach {
        self.0.reach
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.url.as_str()
    }

    /// The same place with a query of one name and value.
    #[must_use]
    pub fn with_query(&self, name: &str, value: &str) -> Self {
        let mut place = self.clone();
        place.0.url.query_pairs_mut().append_pair(name, value);
        place
    }
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Where.
    pub place: &'a Place,
    /// The whole `Authorization` header; none if `None`.
    pub authorization: Option<&'a str>,
    /// Posted as JSON; if `None`, the place is read.
    pub json: Option<&'a str>,
    /// Time for the whole of it.
    pub within: Duration,
    /// The longest answer.
    pub max_bytes: usize,
}

/// The place alone: the rest may be secret.
impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("place", self.place).finish_non_exhaustive()
    }
}

/// An answer, whatever its status. Redirections are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a signer says of itself.
#[derive(Debug, Clone)]
pub struct Metadata {
    document: Value,
    home: Url,
}

impl Metadata {
    /// The place that a member names, judged as that of the keys is (G23); `None` if it is not there.
    ///
    /// # Errors
    /// It is no place that is asked.
    pub fn place(&self, member: &str) -> Result<Option<Place>, MetadataError> {
        let Some(url) = text(&self.document, member) else { return Ok(None) };
        Ok(Some(Place(judge(address::parse(url)?, &self.home)?)))
    }

    /// The place of `member` for clients that show a certificate (RFC 8705 §5), if there is another one for them.
    ///
    /// # Errors
    /// It is no place that is asked.
    pub(crate) fn place_by_certificate(&self, member: &str) -> Result<Option<Place>, MetadataError> {
        let aliases = self.document.as_object().and_then(|object| object.get("mtls_endpoint_aliases"));
        let Some(url) = aliases.and_then(|aliases| text(aliases, member)) else { return Ok(None) };
        Ok(Some(Place(judge(address::parse(url)?, &self.home)?)))
    }
}

impl Caller {
    /// One of its own, for a process that keeps no keys.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn new(transport: &Transport, http: HttpConfig) -> Result<Self, IssuersError> {
        Clients::new(http).caller(transport).map_err(no_client)
    }

    /// The metadata of `issuer`.
    ///
    /// # Errors
    /// It cannot be loaded, or is another's.
    pub async fn discover(&self, by: Discovery, issuer: &str) -> Result<Metadata, MetadataError> {
        let home = by.metadata_url(issuer)?;
        let document = download(&self.anywhere.get(), &home, MediaType::Json, self.bounds).await?;
        Ok(Metadata { document: of_issuer(&document, issuer)?, home })
    }

    /// Asks once.
    ///
    /// # Errors
    /// There was no whole answer.
    pub async fn ask(&self, question: Question<'_>) -> Result<Reply, DownloadError> {
        within(question.within, self.transfer(question)).await
    }

    async fn transfer(&self, question: Question<'_>) -> Result<Reply, DownloadError> {
        let client = match question.place.0.reach {
            Reach::Anywhere => self.anywhere.get(),
            Reach::PublicOnly => self.public_only.get(),
        };
        let method = if question.json.is_some() { Method::POST } else { Method::GET };
        let mut request = client.request(method, question.place.0.url.clone()).timeout(question.within);
        request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = question.authorization {
            let secret = Zeroizing::new(authorization.to_owned());
            // What is no header's value could only be refused by the other end.
            let mut value = HeaderValue::try_from(secret.as_str()).or(Err(DownloadError::Transfer))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(json) = question.json {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request = request.body(json.to_owned());
        }
        let mut response = request.send().await.map_err(|error| cause(&error))?;
        let status = response.status().as_u16();
        check_plain(&response)?;
        Ok(Reply { status, body: body(&mut response, question.max_bytes).await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Server;

    fn caller() -> Caller {
        Caller::new(&Transport::default(), HttpConfig::default()).unwrap()
    }

    fn question(place: &Place) -> Question<'_> {
        Question {
            place,
            authorization: Some("Bearer a"),
            json: None,
            within: Duration::from_secs(2),
            max_bytes: 16,
        }
    }

    #[tokio::test]
    async fn an_answer_comes_with_its_status_and_is_bounded() {
        for (status, content, said) in [
            ("200 OK", "{}", Ok(200)),
            ("404 Not Found", "", Ok(404)),
            ("302 Found", "", Ok(302)),
            ("200 OK", "01234567890123456", Err(DownloadError::TooLarge)),
        ] {
            let server = Server::answering(status, content.as_bytes()).await;
            let place = Place::named(&server.url).unwrap();
            let reply = caller().ask(question(&place)).await;
            assert_eq!(reply.map(|reply| reply.status), said, "{status}");
            assert_eq!(server.requests(), 1, "{status}");
        }
        let silent = Server::start(Vec::new()).await;
        let place = Place::named(&silent.url).unwrap();
        let hasty = Question { within: Duration::from_millis(50), ..question(&place) };
        assert_eq!(caller().ask(hasty).await, Err(DownloadError::Timeout));
    }

    /// G23: what the metadata names is judged like the place of keys.
    #[tokio::test]
    async fn metadata_leads_to_the_places_of_its_own_signer_only() {
        let server = Server::start(Vec::new()).await;
        let issuer = server.url.strip_suffix("/jwks").unwrap();
        let document = format!(
            r#"{{"issuer":"{issuer}","a":"{issuer}/a","b":"https://10.0.0.1/b","c":"http://tr.example.com/c"}}"#
        );
        let good = Metadata {
            document: of_issuer(document.as_bytes(), issuer).unwrap(),
            home: Url::parse(issuer).unwrap(),
        };
        assert_eq!(good.place("a"), Ok(Some(Place::named(&format!("{issuer}/a")).unwrap())));
        assert_eq!(good.place("b"), Err(MetadataError::NotPublic));
        assert_eq!(good.place("c"), Err(MetadataError::Address(AddressProblem::Insecure)));
        assert_eq!(good.place("d"), Ok(None));
        assert_eq!(
            of_issuer(document.as_bytes(), "https://other.example.com").err(),
            Some(MetadataError::IssuerMismatch)
        );
    }
}
