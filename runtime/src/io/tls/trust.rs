//! Whose signature under a server's certificate we believe.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::provider;
use crate::facade::spawn_blocking;

/// Certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The system's: the files OpenSSL would use, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    System,
    /// Those in a PEM file and no others.
    File(PathBuf),
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trust::System => f.write_str("the system's list"),
            Trust::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why there is nobody to believe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("the certificates in {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It holds no certificate that can be used.
    #[error("{} holds no certificate in PEM format", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The system has none.
    #[error("this system has no certificate authorities{}", if reason.is_empty() { String::new() } else { format!(" ({reason})") })]
    NoRoots {
        /// What was in the way; empty if there was simply nothing.
        reason: String,
    },
}

/// What was read before, for all cores. A file is read once: who changes it starts the program again.
static LOADED: Mutex<Option<HashMap<Trust, Arc<ClientConfig>>>> = Mutex::new(None);

/// Held, on blocking threads only, while authorities are read, so that cores that start together read them once.
static LOADING: Mutex<()> = Mutex::new(());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded(trust: &Trust) -> Option<Arc<ClientConfig>> {
    lock(&LOADED).as_ref()?.get(trust).cloned()
}

/// Settings for clients of servers that `trust` vouches for; one for each `trust` in a process.
pub(super) async fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TrustError> {
    if let Some(config) = loaded(trust) {
        return Ok(config);
    }
    let trust = trust.clone();
    spawn_blocking(move || {
        let _loading = lock(&LOADING);
        if let Some(config) = loaded(&trust) {
            return Ok(config);
        }
        let config = Arc::new(configured(read(&trust)?));
        lock(&LOADED).get_or_insert_default().insert(trust, Arc::clone(&config));
        Ok(config)
    })
    .await
}

fn configured(roots: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // What our client speaks; servers that speak more must not choose it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn read(trust: &Trust) -> Result<RootCertStore, TrustError> {
    match trust {
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            store(found.certs).ok_or_else(|| {
                let reason = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                TrustError::NoRoots { reason }
            })
        }
        Trust::File(path) => read_file(path),
    }
}

fn read_file(path: &Path) -> Result<RootCertStore, TrustError> {
    let unreadable = |reason: String| TrustError::Unreadable { path: path.to_owned(), reason };
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| unreadable(error.to_string()))?;
    store(certificates).ok_or_else(|| TrustError::NoCertificates { path: path.to_owned() })
}

/// Systems keep a few authorities that nobody can use; they are left out. `None` if none is left.
fn store(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (usable, _unusable) = roots.add_parsable_certificates(certificates);
    (usable > 0).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Authority;
    use super::*;
    use crate::facade::run_here;
    use std::io::Write;

    #[test]
    fn authorities_are_read_once_for_all_executors() {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        file.as_file().write_all(Authority::new().pem().as_bytes()).expect("there is room");
        let trust = Trust::File(file.path().to_owned());
        let load = |trust: Trust| {
            move || {
                let config = run_here(async move { client_config(&trust).await }).expect("an executor starts here");
                config.expect("a good file")
            }
        };
        let threads = [(); 4].map(|()| std::thread::spawn(load(trust.clone())));
        let configs = threads.map(|thread| thread.join().expect("no panic"));
        assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
        // Nobody looks at the file again.
        drop(file);
        assert!(Arc::ptr_eq(&load(trust)(), &configs[0]));
    }
}
