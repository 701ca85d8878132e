//! Who a server says it is: its certificate and key.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::provider;

/// A server's certificate chain and key. Clones share them; the key is never shown.
#[derive(Clone)]
pub struct ServerIdentity(pub(in crate::io) Arc<ServerConfig>);

/// Why a certificate and a key are no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no certificate.
    #[error("there is no certificate in PEM format")]
    NoCertificate,
    /// There is no key.
    #[error("there is no unencrypted private key in PEM format")]
    NoKey,
    /// They cannot be used, or do not belong together.
    #[error("certificate and private key cannot be used: {0}")]
    Unusable(String),
}

impl ServerIdentity {
    /// Certificates in PEM format, the server's own first, and the private key of that one (PKCS #8, SEC 1 or PKCS #1).
    ///
    /// The server offers HTTP/2 and HTTP/1.1 to clients that ask (ALPN), and asks for no client's certificate.
    ///
    /// # Errors
    /// In a sentence; never with any of the key's text.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<ServerIdentity, IdentityError> {
        let unusable = |error: &dyn fmt::Display| IdentityError::Unusable(error.to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| unusable(&error))?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(ServerIdentity(Arc::new(config)))
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerIdentity")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Authority;
    use super::*;

    #[test]
    fn what_is_no_identity_is_said_without_the_key() {
        let authority = Authority::new();
        let (chain, key) = authority.certify(&["localhost"]);
        let refused = |chain: &str, key: &str| {
            ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("it is none").to_string()
        };
        assert_eq!(refused("", &key), "there is no certificate in PEM format");
        assert_eq!(refused(&chain, &chain), "there is no unencrypted private key in PEM format");
        let foreign = refused(&chain, &authority.certify(&["localhost"]).1);
        assert!(foreign.starts_with("certificate and private key cannot be used: "), "{foreign}");
        let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect("they belong together");
        assert_eq!(format!("{identity:?}"), "ServerIdentity");
    }
}
