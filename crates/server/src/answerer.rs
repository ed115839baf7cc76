//! The service without listeners: messages in, answers out. What hostile suites and measurements talk to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use exequatur_decide::Generation;
use exequatur_issuers::Issuers;
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};

use crate::clock::Clock;
use crate::config::Config;
use crate::serve::{Followed, ServeError, service_parts};
use crate::service::Service;
use crate::state;

/// The authorization service as `serve` puts it together, without records, reloads or a transport.
#[derive(Clone, Debug)]
pub struct Answerer(Service);

impl Answerer {
    /// The replay store is new and knows of every proof that was used since what `clock` says now. Nothing is revoked.
    ///
    /// # Errors
    /// The store's or the nonce secret's.
    pub fn new(
        config: &Config,
        issuers: Arc<Issuers>,
        generation: Generation,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let generation = Arc::new(ArcSwap::from_pointee(generation));
        let store = state::open_store(&config.store, clock())?;
        Ok(Self(Service::new(service_parts(
            config,
            issuers,
            store,
            None,
            Followed::nothing(),
            &generation,
            clock,
        )?)))
    }

    /// The answer to one message.
    pub async fn answer(&self, request: CheckRequest) -> CheckResponse {
        self.0.answer_alone(request.into()).await
    }
}
