//! A certificate made on the spot, for who wants to speak TLS to a local endpoint.
//!
//! An authority is made with it, vouches for it, and is forgotten: nothing else can ever be signed in its name, so that
//! believing it costs nothing.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use weir_runtime::io::tls::ServerIdentity;

/// Names that every certificate has.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An endpoint's certificate with its key, and the authority to believe for it.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) identity: ServerIdentity,
    authority_pem: String,
}

/// A name that no certificate can have, or no randomness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate can be made for {host}: {reason}")]
pub struct CertificateError {
    /// The name or address.
    pub host: String,
    /// Why not.
    pub reason: String,
}

impl Certificate {
    /// A new one for `localhost`, `127.0.0.1`, `::1` and `host`, a name or an IP address.
    ///
    /// # Errors
    /// If `host` cannot stand in a certificate.
    pub fn make(host: &str) -> Result<Certificate, CertificateError> {
        let failed =
            |reason: &dyn std::fmt::Display| CertificateError { host: host.to_owned(), reason: reason.to_string() };
        let mut authority = CertificateParams::new(Vec::new()).map_err(|error| failed(&error))?;
        authority.distinguished_name.push(DnType::CommonName, "weir local, made on the spot");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let authority = CertifiedIssuer::self_signed(authority, key).map_err(|error| failed(&error))?;

        let mut hosts: Vec<String> = LOCAL_HOSTS.map(str::to_owned).into();
        if !hosts.iter().any(|known| known == host) {
            hosts.push(host.to_owned());
        }
        let mut server = CertificateParams::new(hosts).map_err(|error| failed(&error))?;
        server.distinguished_name.push(DnType::CommonName, "weir local");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let certificate = server.signed_by(&key, &authority).map_err(|error| failed(&error))?;
        let identity = ServerIdentity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
            .map_err(|error| failed(&error))?;
        Ok(Certificate { identity, authority_pem: authority.pem() })
    }

    /// The authority's certificate in PEM format: what `AWS_CA_BUNDLE` must name a file of.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_made_for_names_and_addresses_and_shows_no_key() {
        for host in ["localhost", "192.0.2.7", "kinesis.example.com", "2001:db8::1"] {
            let certificate = Certificate::make(host).expect("a good name");
            assert!(certificate.authority_pem().starts_with("-----BEGIN CERTIFICATE-----"));
            assert!(!format!("{certificate:?}").contains("PRIVATE KEY"));
        }
        let refused = Certificate::make("имя").expect_err("not in ASCII");
        assert!(refused.to_string().starts_with("no certificate can be made for имя: "), "{refused}");
    }
}
