//! What is wrong with a server's TLS, for good: trying again changes nothing of it.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::Trust;

/// Why a server's TLS is refused. Each reads on after "TLS with HOST:PORT failed:".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// Nobody we believe has signed its certificate.
    #[error("its certificate is signed by no authority in {trust}")]
    UnknownIssuer {
        /// Whom we believe.
        trust: Trust,
    },
    /// Its certificate is too old, by this machine's clock.
    #[error("its certificate expired {at}")]
    Expired {
        /// When, as people read it.
        at: String,
    },
    /// Its certificate is too young, by this machine's clock.
    #[error("its certificate is valid only from {from}")]
    NotYetValid {
        /// When, as people read it.
        from: String,
    },
    /// Its certificate is somebody else's.
    #[error("its certificate is for {presented}, not for {wanted}")]
    WrongName {
        /// The host that was called.
        wanted: String,
        /// Whose it is.
        presented: String,
    },
    /// What it says is not TLS.
    #[error("it does not speak TLS")]
    NotTls,
    /// It takes none of what we offer.
    #[error("it refuses our TLS ({0})")]
    Refused(String),
    /// Anything else that does not pass by itself.
    #[error("{0}")]
    Other(String),
}

impl TlsProblem {
    /// What a failed handshake says, unless it may pass by itself.
    pub(super) fn of(error: &io::Error, host: &str, trust: &Trust) -> Option<TlsProblem> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        match error {
            Error::InvalidCertificate(error) => Some(of_certificate(error, host, trust)),
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(TlsProblem::NotTls),
            // Somebody's bad day, or bytes changed on their way.
            Error::AlertReceived(AlertDescription::InternalError | AlertDescription::BadRecordMac) => None,
            Error::AlertReceived(alert) => Some(TlsProblem::Refused(format!("alert {alert:?}"))),
            Error::PeerIncompatible(why) => Some(TlsProblem::Refused(format!("{why:?}"))),
            Error::NoCertificatesPresented => Some(TlsProblem::Other("it shows no certificate".into())),
            _ => None,
        }
    }
}

fn of_certificate(error: &CertificateError, host: &str, trust: &Trust) -> TlsProblem {
    match error {
        // A bad signature is that of a namesake: an authority that has changed its key, mostly.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsProblem::UnknownIssuer { trust: trust.clone() }
        }
        CertificateError::ExpiredContext { not_after, .. } => TlsProblem::Expired { at: date(*not_after) },
        CertificateError::NotValidYetContext { not_before, .. } => TlsProblem::NotYetValid { from: date(*not_before) },
        CertificateError::NotValidForNameContext { presented, .. } => {
            TlsProblem::WrongName { wanted: host.to_owned(), presented: names(presented) }
        }
        other => TlsProblem::Other(format!("its certificate is not good ({other})")),
    }
}

fn date(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "at an unknown time".to_owned(), |at| at.to_string())
}

/// They come as `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inside.unwrap_or(name).trim_matches('"').to_owned()
    };
    if presented.is_empty() { "nobody".to_owned() } else { presented.iter().map(bare).collect::<Vec<_>>().join(", ") }
}
