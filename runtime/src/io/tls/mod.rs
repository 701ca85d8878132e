//! TLS on the executors: whom we believe, what can go wrong, and the handshake.
//!
//! rustls with ring, named here and nowhere left to a process-wide default, which panics when a program has none or two.
//! Authorities are read once a process, on a blocking thread, and shared by all cores.

mod error;
mod identity;
#[cfg(test)]
pub(super) mod testing;
mod trust;

use std::io;
use std::sync::Arc;

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;

pub use error::TlsProblem;
pub use identity::{IdentityError, ServerIdentity};
pub use trust::{Trust, TrustError};

use super::tcp::Socket;

/// Why a handshake did not end well.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// Nothing of it can be mended by another try.
    Refused(TlsProblem),
    /// The authorities cannot be had.
    Trust(TrustError),
    /// The connection broke, or what came was garbled on its way.
    Broken(io::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Speaks TLS as a client of `host`, a name or an IP address. Only names are sent along (SNI has no addresses).
pub(super) async fn connect(socket: Socket, host: &str, trust: &Trust) -> Result<TlsStream<Socket>, HandshakeError> {
    let config = trust::client_config(trust).await.map_err(HandshakeError::Trust)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        HandshakeError::Refused(TlsProblem::Other(format!("`{host}` is no name a certificate can have")))
    })?;
    TlsConnector::from(config).connect(name, socket).await.map_err(|error| {
        TlsProblem::of(&error, host, trust).map_or(HandshakeError::Broken(error), HandshakeError::Refused)
    })
}
