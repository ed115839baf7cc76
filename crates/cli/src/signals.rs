//! `exequatur signals`: what is asked of a transmitter of security events.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use exequatur_server::{clock, config};
use exequatur_signals::{Created, Delivery, EventKind, Management, StreamConfig, StreamStatus};
use serde_json::json;

use crate::exit::{Failure, say};
use crate::output::{Output, plain, say_json};

/// Longest text of a transmitter that is shown, in characters.
const SHOWN: usize = 1024;

/// Set up streams of security events at their transmitter, and look at them.
#[derive(Debug, Subcommand)]
pub(crate) enum Signals {
    /// Ask the transmitter for a stream of the events that have an effect here.
    ///
    /// Prints the stream's id, for `stream_id` of the configuration, and what was agreed. Exit codes: 0 the stream fits
    /// the configuration, 1 it was made and does not, 3 no such stream in the configuration, 5 nothing came of it.
    Create(Create),
    /// Ask the transmitter to send a verification event.
    ///
    /// That it was asked does not mean that it arrives: how to see that is printed.
    Verify(Which),
    /// Ask the transmitter whether it sends events. Exit codes: 0 it does, 1 it does not.
    Status(Which),
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The stream, by its `name` in `signals`.
    name: String,
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    which: Which,
    /// Where the transmitter reaches the path that sets are posted to; for a stream that is pushed.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

impl Signals {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
        runtime.block_on(async {
            match self {
                Self::Create(create) => create.run().await,
                Self::Verify(which) => which.verify().await,
                Self::Status(which) => which.status().await,
            }
        })
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let stream = self.which.stream()?;
        match (&stream.delivery, &self.endpoint) {
            (Delivery::Push(_), None) => {
                return Err(Failure::Usage("sets are pushed: say where to, with --endpoint".to_owned()));
            }
            (Delivery::Poll(_), Some(_)) => {
                return Err(Failure::Usage(
                    "sets are fetched: --endpoint is for those that are pushed".to_owned(),
                ));
            }
            (Delivery::Push(_), Some(_)) | (Delivery::Poll(_), None) => {}
        }
        let management = Management::of(&stream).map_err(Failure::other)?;
        let created = management.create(self.endpoint.as_deref()).await.map_err(Failure::other)?;
        match self.which.output {
            Output::Text => print(&created)?,
            Output::Json => say_json(&document(&created))?,
        }
        if created.agreed.fits() { Ok(()) } else { Err(Failure::Findings) }
    }
}

fn print(created: &Created) -> Result<(), Failure> {
    let Created { stream_id, poll_url, agreed } = created;
    say(format_args!("stream_id: {}", plain(stream_id, SHOWN)))?;
    if let Some(url) = poll_url {
        say(format_args!("delivery.poll.url: {}", plain(url, SHOWN)))?;
    }
    for (what, fits) in [("iss", agreed.issuer), ("aud", agreed.audience), ("delivery", agreed.delivery)] {
        say(format_args!(
            "{what}: {}",
            if fits { "as configured" } else { "NOT as configured: events will be refused" }
        ))?;
    }
    for (event, comes) in &agreed.events {
        say(format_args!("{}: {}", event.word(), if *comes { "will come" } else { "will not come" }))?;
    }
    let poll = if poll_url.is_some() { " and `url`" } else { "" };
    say(format_args!("Put `stream_id`{poll} into the configuration, and restart."))
}

fn document(created: &Created) -> serde_json::Value {
    let Created { stream_id, poll_url, agreed } = created;
    let events =
        agreed.events.iter().map(|(event, comes)| (EventKind::word(*event).to_owned(), json!(comes)));
    json!({
        "stream_id": stream_id,
        "poll_url": poll_url,
        "issuer_as_configured": agreed.issuer,
        "audience_as_configured": agreed.audience,
        "delivery_as_configured": agreed.delivery,
        "events": serde_json::Map::from_iter(events),
    })
}

impl Which {
    fn stream(&self) -> Result<StreamConfig, Failure> {
        let config = config::load(&self.config).map_err(Failure::invalid)?;
        let found = config.signals.into_iter().find(|stream| stream.name() == self.name);
        found.ok_or_else(|| {
            Failure::Invalid(format!("no stream of security events is called {}", plain(&self.name, 64)))
        })
    }

    async fn verify(&self) -> Result<(), Failure> {
        let stream = self.stream()?;
        let management = Management::of(&stream).map_err(Failure::other)?;
        management.verify((clock::system())()).await.map_err(Failure::other)?;
        let metric =
            format!("exequatur_signals_last_verification_timestamp_seconds{{stream=\"{}\"}}", stream.name());
        match self.output {
            Output::Text => {
                say("The transmitter was asked for a verification event.")?;
                say(
                    "It has arrived when a replica logs `security events arrive` with `asked=true`, and shows",
                )?;
                say(metric)
            }
            Output::Json => say_json(&json!({ "asked": true, "metric": metric })),
        }
    }

    async fn status(&self) -> Result<(), Failure> {
        let stream = self.stream()?;
        let management = Management::of(&stream).map_err(Failure::other)?;
        let StreamStatus { state, reason } = management.status().await.map_err(Failure::other)?;
        match self.output {
            Output::Text => match &reason {
                Some(reason) => say(format_args!("{}: {}", state.word(), plain(reason, SHOWN)))?,
                None => say(state.word())?,
            },
            Output::Json => say_json(&json!({ "state": state.word(), "reason": reason }))?,
        }
        if state == exequatur_signals::StreamState::Enabled { Ok(()) } else { Err(Failure::Findings) }
    }
}
