//! Connections that wait for their next request, one pool a client, never shared between executors.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

use super::client::Poison;
use crate::io::tcp::Glimpse;

/// The handle of a connection whose task runs beside us.
pub(super) struct Link {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) glimpse: Glimpse,
    /// Of the last request: its caller may think badly of the connection only later.
    pub(super) poison: Option<Poison>,
}

impl Link {
    fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.poison.as_ref().is_some_and(Poison::is_poisoned) && self.glimpse.is_quiet()
    }
}

struct Idle {
    link: Link,
    since: Instant,
}

/// Idle connections by scheme, host and port, the last used on top.
#[derive(Clone, Default)]
pub(super) struct Pool(Rc<RefCell<HashMap<String, Vec<Idle>>>>);

impl Pool {
    /// The most recently used connection that may still be open.
    pub(super) fn take(&self, origin: &str, age_max: Duration) -> Option<Link> {
        let mut pool = self.0.borrow_mut();
        let idle = pool.get_mut(origin)?;
        idle.retain(|idle| !idle.link.sender.is_closed() && idle.since.elapsed() < age_max);
        std::iter::from_fn(|| idle.pop()).map(|idle| idle.link).find(Link::is_open)
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn put(&self, origin: &str, link: Link, idle_max: usize) {
        if link.sender.is_closed() {
            return;
        }
        let mut pool = self.0.borrow_mut();
        let idle = pool.entry(origin.to_owned()).or_default();
        idle.retain(|idle| !idle.link.sender.is_closed());
        if idle.len() < idle_max {
            idle.push(Idle { link, since: Instant::now() });
        }
    }

    /// Forgets all connections to an origin: one of them proved bad, and they go the same way.
    pub(super) fn forget(&self, origin: &str) {
        self.0.borrow_mut().remove(origin);
    }

    /// How many wait.
    pub(super) fn idle(&self) -> usize {
        self.0.borrow().values().map(Vec::len).sum()
    }
}
