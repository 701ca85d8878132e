//! Name look-up for the SDK: it asks whether a container's credential host is this machine.

use std::net::{IpAddr, ToSocketAddrs};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use weir_runtime::facade;

/// The system's look-up, on a blocking thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = name.to_owned();
        DnsFuture::new(async move {
            let look_up = move || (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect());
            facade::spawn_blocking::<std::io::Result<Vec<IpAddr>>, _>(look_up).await.map_err(ResolveDnsError::new)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses_or_an_error() {
        facade::run_here(async {
            let found = Resolver.resolve_dns("localhost").await.expect("every machine knows itself");
            assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
            assert!(Resolver.resolve_dns("no-such-host.invalid").await.is_err());
        })
        .expect("an executor starts here");
    }
}
