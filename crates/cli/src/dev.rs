//! `exequatur dev …`: for trying things out. Keys lie in plain files; nothing here belongs into production.

mod call;
mod issuer;
mod keys;
mod proof;
mod token;

use clap::Subcommand;

use crate::exit::Failure;

/// For development only.
#[derive(Debug, Subcommand)]
pub(crate) enum Dev {
    /// Make a signing key and serve it as a key set on loopback.
    Issuer(issuer::Issuer),
    /// Mint an access token with the development issuer's key.
    Token(token::Token),
    /// Make a DPoP proof.
    Proof(proof::Proof),
    /// Call a URL with a token and fresh proofs, following one request for a nonce, as a stock client does.
    Call(call::Call),
}

impl Dev {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Issuer(issuer) => issuer.run(),
            Self::Token(token) => token.run(),
            Self::Proof(proof) => proof.run(),
            Self::Call(call) => call.run(),
        }
    }
}
