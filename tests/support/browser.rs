//! The browser of somebody who signs in: it follows redirects and keeps cookies.

use std::collections::BTreeMap;

use reqwest::{Client, Url, redirect};

/// Of one user, with what he is known by.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One that is known nowhere.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn new() -> Result<Self, String> {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build();
        Ok(Self { client: client.map_err(|error| error.to_string())?, cookies: BTreeMap::new() })
    }

    /// Opens an address and goes where it is sent; the address at `home`, once it is sent there. Nothing is asked there.
    ///
    /// # Errors
    /// When it is not sent there.
    pub async fn sent_home(&mut self, address: &str, home: &str) -> Result<String, String> {
        let mut next = Url::parse(address).map_err(|error| error.to_string())?;
        for _hop in 0..10 {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = self.client.get(next.clone()).header("cookie", cookies.join("; "));
            let answer = request.send().await.map_err(|error| error.to_string())?;
            for set in answer.headers().get_all("set-cookie") {
                let set = String::from_utf8_lossy(set.as_bytes()).into_owned();
                let pair = set.split(';').next().unwrap_or_default();
                match pair.split_once('=') {
                    Some((name, "")) => drop(self.cookies.remove(name)),
                    Some((name, value)) => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
                    None => {}
                }
            }
            let Some(location) = answer.headers().get("location").and_then(|value| value.to_str().ok())
            else {
                let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
                return Err(format!("{} answered {status}: {body}", next.path()));
            };
            next = next.join(location).map_err(|error| error.to_string())?;
            if next.as_str().starts_with(home) {
                return Ok(next.into());
            }
        }
        Err("sent from place to place".to_owned())
    }
}
