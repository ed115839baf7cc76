//! The `exequatur` command: one file per command.

mod check;
mod config;
mod dev;
mod envoy;
mod exit;
mod policy;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Decides, for Envoy, whether an AI agent's request goes through.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
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
    /// Decide one request, as `serve` would, and say why.
    Check(check::Check),
    /// Look at configurations of Envoy.
    #[command(subcommand)]
    Envoy(envoy::Envoy),
    /// For development only: an issuer, tokens, proofs and calls of one's own.
    #[command(subcommand)]
    Dev(dev::Dev),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Policy(policy) => policy.run(),
        Command::Check(check) => check.run(),
        Command::Envoy(envoy) => envoy.run(),
        Command::Dev(dev) => dev.run(),
    };
    exit::finish(outcome)
}
