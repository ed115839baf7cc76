//! Where orders come in: the socket, and the listener with TLS.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use exequatur_admin::{Desk, DeskParts, Gate, GateParts, Listener, Socket, Tally, Tls};
use exequatur_audit::{Recorder, Redaction};
use exequatur_decide::Generation;
use exequatur_issuers::Issuers;
use exequatur_store::{OverrideStore, RevocationStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::duties::Duties;
use crate::receipts;
use crate::serve::ServeError;
use crate::tls::{Certificates, WithoutCertificate};

/// What orders are about, and whom they are of.
pub(crate) struct Subject<'a> {
    revocations: &'a Arc<dyn RevocationStore>,
    overrides: &'a Arc<dyn OverrideStore>,
    generation: &'a Arc<ArcSwap<Generation>>,
    recorder: &'a Option<Recorder>,
    issuers: &'a Arc<Issuers>,
    clock: &'a Clock,
}

impl<'a> Subject<'a> {
    pub(crate) const fn of(
        (revocations, overrides): (&'a Arc<dyn RevocationStore>, &'a Arc<dyn OverrideStore>),
        (generation, issuers): (&'a Arc<ArcSwap<Generation>>, &'a Arc<Issuers>),
        recorder: &'a Option<Recorder>,
        clock: &'a Clock,
    ) -> Self {
        Self { revocations, overrides, generation, recorder, issuers, clock }
    }
}

/// What is open for orders.
#[derive(Debug)]
pub(crate) struct Orders {
    desk: Arc<Desk>,
    socket: Option<Socket>,
    listener: Option<Listener>,
    certificates: Option<Arc<Certificates>>,
}

impl Orders {
    /// Opens what the configuration names; none if it names nothing.
    ///
    /// # Errors
    /// What the system says of the socket or the address, or what is wrong with the certificate.
    pub(crate) async fn open(config: &Config, subject: Subject<'_>) -> Result<Option<Self>, ServeError> {
        if config.listen.admin.is_none() && config.admin.is_none() {
            return Ok(None);
        }
        let socket = config.listen.admin.as_deref().map(open_socket).transpose()?;
        let redaction = receipts::redaction(config.records.as_ref())?;
        let mut opened = Self {
            desk: Arc::new(desk(config, &subject, redaction)),
            socket,
            listener: None,
            certificates: None,
        };
        if let Some(admin) = &config.admin {
            opened.open_listener(config, admin, &subject).await?;
        }
        Ok(Some(opened))
    }

    async fn open_listener(
        &mut self,
        config: &Config,
        admin: &config::Admin,
        subject: &Subject<'_>,
    ) -> Result<(), ServeError> {
        let certificates = admin.tls.clone().map(|files| {
            // Who shows none may have a token.
            Certificates::load("admin", files, WithoutCertificate::LetIn, &[]).map(Arc::new)
        });
        self.certificates = certificates.transpose()?;
        let unopened = |source| ServeError::Listener { listener: "admin", source };
        let listener = TcpListener::bind(admin.listen).await.map_err(unopened)?;
        let tls = self.certificates.clone().map(|held| -> Tls { Arc::new(move || held.current()) });
        let gate = Gate::new(GateParts {
            tokens: admin.tokens.clone(),
            certificates: admin.certificates.clone(),
            issuers: Arc::clone(subject.issuers),
            revocations: Arc::clone(subject.revocations.snapshot()),
            token_size: config.token_size,
        });
        tracing::info!(admin = %admin.listen, tls = tls.is_some(), "listening");
        self.listener = Some(Listener::new(listener, tls, gate));
        Ok(())
    }

    /// Answers; and counts what is called.
    pub(crate) fn begin(self, duties: &Duties, tasks: &TaskTracker, stop: &CancellationToken) -> Arc<Tally> {
        let Self { desk, socket, listener, certificates } = self;
        let tally = Arc::clone(desk.tally());
        if let Some(socket) = socket {
            duties.begin("admin", stop, socket.serve(Arc::clone(&desk), tasks.clone(), stop.clone()));
        }
        if let Some(listener) = listener {
            duties.begin("admin over TCP", stop, listener.serve(desk, tasks.clone(), stop.clone()));
        }
        if let Some(certificates) = certificates {
            duties.begin("admin certificate", stop, certificates.follow(stop.clone()));
        }
        tally
    }
}

fn open_socket(path: &Path) -> Result<Socket, ServeError> {
    let socket = Socket::bind(path)?;
    tracing::info!(admin = %path.display(), "listening");
    Ok(socket)
}

fn desk(config: &Config, subject: &Subject<'_>, redaction: Redaction) -> Desk {
    if config.store.path.is_none() && config.store.redis.is_none() {
        tracing::warn!("without store.embedded.path, what is ordered is lost at a restart");
    }
    if subject.recorder.is_none() {
        tracing::warn!("without records, what is ordered stands in this log alone");
    }
    Desk::new(DeskParts {
        revocations: Arc::clone(subject.revocations),
        overrides: Arc::clone(subject.overrides),
        limits: {
            let generation = Arc::clone(subject.generation);
            Arc::new(move || Arc::clone(&generation.load().limits))
        },
        recorder: subject.recorder.clone(),
        redaction: Arc::new(redaction),
        records: config.records.as_ref().and_then(|records| records.file.clone()),
        issuers: config.issuers.iter().map(|issuer| issuer.profile.name.to_string()).collect(),
        clock: Arc::clone(subject.clock),
    })
}
