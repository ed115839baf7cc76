//! The `exequatur` command: one file per command.

mod admin;
mod audit;
mod check;
mod config;
mod dev;
mod doctor;
mod envoy;
mod exit;
mod healthcheck;
mod limits;
mod output;
mod pages;
mod policy;
mod revoke;
mod serve;
mod signals;
mod status;
mod token;

use std::process::ExitCode;
use std::thread;

use clap::{CommandFactory as _, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Decides, for Envoy, whether an AI agent's request goes through.
#[derive(Debug, Parser)]
#[command(name = "exequatur", version, after_help = exit::HELP, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer Envoy until told to stop.
    Serve(serve::Serve),
    /// Look at a configuration.
    #[command(subcommand)]
    Config(config::Config),
    /// Look at policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    Check(Box<check::Check>),
    Healthcheck(healthcheck::Healthcheck),
    Doctor(doctor::Doctor),
    /// Look at configurations of Envoy.
    #[command(subcommand)]
    Envoy(envoy::Envoy),
    /// Look at tokens.
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Revoke(revoke::Revoke),
    #[command(subcommand)]
    Agents(revoke::Agents),
    Kill(revoke::Kill),
    #[command(subcommand)]
    Limits(limits::Limits),
    #[command(subcommand)]
    Signals(signals::Signals),
    Status(status::Status),
    /// Look at decision records.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// For development only: an issuer, tokens, proofs and calls of one's own.
    #[command(subcommand)]
    Dev(dev::Dev),
    /// Print the description of the admin API, as `OpenAPI` 3.1 in JSON.
    Openapi,
    Completions(pages::Completions),
    Man(pages::Man),
    Reference(pages::Reference),
}

/// Bytes of stack of the thread that a command runs on: what Linux gives the first thread. Cedar asks how much of it is left
/// before it goes deeper, and musl's answer about a first thread is only what was touched so far, so that nothing would be decided.
const STACK: usize = 8 * 1024 * 1024;

/// What the standard library ends a process with whose first thread panicked.
const PANICKED: u8 = 101;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let running = thread::Builder::new().name("main".to_owned()).stack_size(STACK);
    match running.spawn(move || exit::finish(run(arguments.command))) {
        Ok(running) => running.join().unwrap_or_else(|_panic| ExitCode::from(PANICKED)),
        Err(error) => exit::finish(Err(exit::Failure::other(error))),
    }
}

fn run(command: Command) -> Result<(), exit::Failure> {
    match command {
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Policy(policy) => policy.run(),
        Command::Check(check) => check.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Envoy(envoy) => envoy.run(),
        Command::Token(token) => token.run(),
        Command::Revoke(revoke) => revoke.run(),
        Command::Agents(agents) => agents.run(),
        Command::Kill(kill) => kill.run(),
        Command::Limits(kill) => kill.run(),
        Command::Signals(signals) => signals.run(),
        Command::Status(status) => status.run(),
        Command::Audit(audit) => audit.run(),
        Command::Dev(dev) => dev.run(),
        Command::Openapi => output::say_json(&exequatur_admin::description()),
        Command::Completions(completions) => completions.run(Arguments::command()),
        Command::Man(man) => man.run(Arguments::command()),
        Command::Reference(reference) => reference.run(Arguments::command()),
    }
}
