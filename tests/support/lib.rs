//! What the tour and the end-to-end tests stand on: keys and signed tokens, a recording upstream, and the
//! whole stack of real processes.

pub mod agent;
pub mod authorization_server;
pub mod binaries;
pub mod browser;
pub mod client;
pub mod configuration;
pub mod direct;
pub mod example_agent;
pub mod fault_proxy;
pub mod frames;
pub mod holder;
pub mod hostile_service;
pub mod introspector;
pub mod jwt;
pub mod manifests;
pub mod message;
pub mod operators;
pub mod orders;
pub mod ports;
pub mod raw;
pub mod redis;
pub mod signal;
pub mod stack;
pub mod status_lists;
pub mod steady;
pub mod streams;
pub mod tls;
pub mod token_service;
pub mod traffic;
pub mod transmitter;
pub mod upstream;

pub use agent::Agent;
pub use authorization_server::{AuthorizationServer, Parties};
pub use browser::Browser;
pub use client::{Answer, Call};
pub use example_agent::{ExampleAgent, Language};
pub use holder::{DOCUMENT, Holder, OPEN};
pub use introspector::{Introspector, Mood};
pub use raw::{Raw, RawAnswer, RawCaller, Version};
pub use stack::{Options, Replica, Stack, in_time};
pub use token_service::TokenService;
pub use transmitter::Transmitter;
