//! Certificates for tests, made on the spot.

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Vouches for servers.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::named("Test authority")
    }

    pub(crate) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key()).expect("a key signs"))
    }

    /// Its own certificate, for those who shall believe it.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key of a server of these names or addresses.
    pub(crate) fn certify(&self, names: &[&str]) -> (String, String) {
        self.certify_with(names, |_| {})
    }

    /// The same, spoilt.
    pub(crate) fn certify_with(&self, names: &[&str], spoil: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        spoil(&mut params);
        let key = key();
        let certificate: Certificate = params.signed_by(&key, &self.0).expect("a key signs");
        (certificate.pem(), key.serialize_pem())
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}
