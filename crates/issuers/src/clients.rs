//! The HTTP clients: shared by issuers that are reached alike, and replaced when a file that they are made from changes.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::Client;

use crate::caller::Caller;
use crate::config::HttpConfig;
use crate::introspection::Lines;
use crate::transport::{Connections, Reach, Transport};

/// A client that may be replaced between two loads.
#[derive(Debug, Clone)]
pub(crate) struct SharedClient(Arc<ArcSwap<Client>>);

impl SharedClient {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(client)))
    }

    pub(crate) fn get(&self) -> Client {
        Client::clone(&self.0.load())
    }
}

/// The clients, each made when it is first needed and shared by all who need the same: one holds all of its trusted
/// certificates.
#[derive(Debug)]
pub(crate) struct Clients {
    http: HttpConfig,
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    transport: Transport,
    reach: Reach,
    connections: Connections,
    client: SharedClient,
}

/// A client that is to take the place of the one at `place`.
#[derive(Debug)]
pub(crate) struct Anew {
    place: usize,
    transport: Transport,
    client: Client,
}

impl Clients {
    pub(crate) const fn new(http: HttpConfig) -> Self {
        Self { http, kept: Vec::new() }
    }

    pub(crate) fn get(
        &mut self,
        transport: &Transport,
        reach: Reach,
    ) -> Result<SharedClient, reqwest::Error> {
        self.get_with(transport, reach, Connections::Closed)
    }

    fn get_with(
        &mut self,
        transport: &Transport,
        reach: Reach,
        connections: Connections,
    ) -> Result<SharedClient, reqwest::Error> {
        let same = self.kept.iter().find(|kept| {
            kept.transport == *transport && kept.reach == reach && kept.connections == connections
        });
        if let Some(kept) = same {
            return Ok(kept.client.clone());
        }
        let client = SharedClient::new(transport.client(self.http.timeout, reach, connections)?);
        let transport = transport.clone();
        self.kept.push(Kept { transport, reach, connections, client: client.clone() });
        Ok(client)
    }

    /// The clients for questions that decisions wait for.
    pub(crate) fn lines(&mut self, transport: &Transport) -> Result<Lines, reqwest::Error> {
        Ok(Lines {
            anywhere: self.get_with(transport, Reach::Anywhere, Connections::Kept)?,
            public_only: self.get_with(transport, Reach::PublicOnly, Connections::Kept)?,
        })
    }

    /// The clients for more than keys.
    pub(crate) fn caller(&mut self, transport: &Transport) -> Result<Caller, reqwest::Error> {
        Ok(Caller {
            anywhere: self.get(transport, Reach::Anywhere)?,
            public_only: self.get(transport, Reach::PublicOnly)?,
            bounds: self.http,
        })
    }

    /// Makes a client for each whose files say something else in `transports`. None is replaced yet.
    pub(crate) fn anew(&self, transports: &[&Transport]) -> Result<Vec<Anew>, reqwest::Error> {
        let differ = self.kept.iter().enumerate().filter_map(|(place, kept)| {
            let unchanged = transports.contains(&&kept.transport);
            let other = transports.iter().find(|transport| transport.is_set_like(&kept.transport));
            other.filter(|_| !unchanged).map(|other| (place, kept, *other))
        });
        let made = differ.map(|(place, kept, other)| {
            let client = other.client(self.http.timeout, kept.reach, kept.connections)?;
            Ok(Anew { place, transport: other.clone(), client })
        });
        made.collect()
    }

    /// Replaces clients by these, and names the files that had changed.
    pub(crate) fn replace(&mut self, anew: Vec<Anew>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for Anew { place, transport, client } in anew {
            let Some(kept) = self.kept.get_mut(place) else { continue };
            files.extend(transport.files_that_differ(&kept.transport));
            kept.client.0.store(Arc::new(client));
            kept.transport = transport;
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}
