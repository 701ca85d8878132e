//! Credentials that all clients of a process read: loaded once, fetched anew before they expire, by one task.
//!
//! A client asks for them at each request and gets the present ones without waiting. Only when there are none that live
//! (none were loaded, or the task failed until they expired, or its executor has ended) does a client fetch them itself;
//! however many do, on however many executors, they are fetched once.
//!
//! Both the task and a fetch under way are known by a time that runs out, not by a lock or a guard alone: an executor that
//! ends leaves its sleeping tasks behind, and their guards are never dropped.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use send_wrapper::SendWrapper;
use weir_runtime::facade;

use super::due::next_attempt;
use super::refusal::Refusal;
use super::{now, registry};

/// The task looks that often whether it is still needed, and what time it is: a machine may have slept.
const LOOK: Duration = Duration::from_secs(30);
/// It has ended if it has not looked for so long.
const SILENCE_MAX: Duration = Duration::from_secs(70);
/// A fetch that takes longer has died with its executor; a command alone may take a minute.
const FETCH_MAX: Duration = Duration::from_secs(90);
/// Whoever waits for a fetch of another executor looks that often.
const PEEK: Duration = Duration::from_millis(10);

/// Credentials, where they come from, and how fresh they are. Its `Debug` shows neither.
pub(in crate::client) struct Snapshot {
    source: Box<dyn ProvideCredentials>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Fetched so often, with or without success.
    attempts: u64,
    attempted: Option<SystemTime>,
    good: Option<Good>,
    /// What the last attempt said if it failed.
    refusal: Option<Refusal>,
    /// Since when somebody is fetching them.
    fetching: Option<Instant>,
    /// When the task that renews them looked last.
    kept: Option<Instant>,
}

struct Good {
    credentials: Credentials,
    fetched: SystemTime,
    /// The service has refused them, whatever their expiry says.
    distrusted: bool,
}

impl Snapshot {
    pub(super) fn of(source: impl ProvideCredentials + 'static) -> Snapshot {
        Snapshot { source: Box::new(source), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Credentials that live. Waits only if there are none.
    pub(super) async fn provide(&self) -> Result<Credentials, Refusal> {
        let seen = {
            let state = self.state();
            if let Some(good) = state.good.as_ref().filter(|good| good.lives_at(now())) {
                return Ok(good.credentials.clone());
            }
            state.attempts
        };
        self.fetch(seen).await
    }

    /// Fetches them, unless somebody has tried since the caller saw `seen` attempts: then what that one got.
    async fn fetch(&self, seen: u64) -> Result<Credentials, Refusal> {
        let _fetching = loop {
            match self.begin(seen) {
                Turn::Ours(fetching) => break fetching,
                Turn::Over(outcome) => return outcome,
                Turn::Theirs => SendWrapper::new(facade::sleep(PEEK)).await,
            }
        };
        let fetched = self.source.provide_credentials().await;
        let at = now();
        // Let go before the fetch is over, which needs it too.
        let mut state = self.state();
        state.attempts += 1;
        state.attempted = Some(at);
        match fetched {
            Ok(credentials) => {
                state.refusal = None;
                state.good = Some(Good { credentials: credentials.clone(), fetched: at, distrusted: false });
                Ok(credentials)
            }
            Err(error) => {
                let refusal = Refusal::of(&error);
                state.refusal = Some(refusal.clone());
                Err(refusal)
            }
        }
    }

    fn begin(&self, seen: u64) -> Turn<'_> {
        let mut state = self.state();
        if state.attempts != seen {
            return Turn::Over(match (&state.refusal, &state.good) {
                (None, Some(good)) => Ok(good.credentials.clone()),
                (refusal, _) => Err(refusal.clone().expect("an attempt ends well or not")),
            });
        }
        if state.fetching.is_some_and(|since| since.elapsed() < FETCH_MAX) {
            return Turn::Theirs;
        }
        state.fetching = Some(facade::now());
        Turn::Ours(Fetching(self))
    }

    /// The service has refused the present ones: the next request fetches others, at most once in half a minute.
    pub(in crate::client) fn distrust(&self) {
        let at = now();
        if let Some(good) = &mut self.state().good {
            let age = at.duration_since(good.fetched).unwrap_or_default();
            good.distrusted = age >= LOOK;
        }
    }

    /// Whether they were ever had.
    pub(super) fn is_loaded(&self) -> bool {
        self.state().good.is_some()
    }

    /// When they are to be fetched anew; never if they do not expire.
    fn due(&self) -> Option<SystemTime> {
        let state = self.state();
        let good = state.good.as_ref()?;
        Some(next_attempt(good.fetched, good.credentials.expiry()?, state.attempted?))
    }

    /// Has this executor fetch them before they expire, unless they never do or another executor does it.
    pub(super) fn keep(self: &Arc<Self>) {
        if self.due().is_none() {
            return;
        }
        {
            let mut state = self.state();
            if state.kept.is_some_and(|looked| looked.elapsed() < SILENCE_MAX) {
                return;
            }
            state.kept = Some(facade::now());
        }
        // Ends with its executor; whoever connects after that starts another.
        facade::spawn(keep(Arc::downgrade(self))).detach();
    }
}

/// Who fetches.
enum Turn<'a> {
    Ours(Fetching<'a>),
    Theirs,
    /// Somebody has, meanwhile.
    Over(Result<Credentials, Refusal>),
}

/// A fetch under way; given up when dropped.
struct Fetching<'a>(&'a Snapshot);

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.state().fetching = None;
    }
}

impl Good {
    fn lives_at(&self, at: SystemTime) -> bool {
        !self.distrusted && self.credentials.expiry().is_none_or(|expiry| at < expiry)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// Keeps a snapshot fresh while anybody uses it.
async fn keep(snapshot: Weak<Snapshot>) {
    loop {
        registry::forget_unused();
        // Not held while asleep, or it would seem to be in use.
        let Some(kept) = snapshot.upgrade() else {
            return;
        };
        let Some(wait) = kept.due().map(until) else {
            kept.state().kept = None;
            return;
        };
        kept.state().kept = Some(facade::now());
        if wait.is_zero() {
            let seen = kept.state().attempts;
            if let Err(refusal) = kept.fetch(seen).await {
                tracing::warn!("{refusal}; the present ones are used while they live");
            }
            continue;
        }
        drop(kept);
        facade::sleep(wait.min(LOOK)).await;
    }
}

fn until(at: SystemTime) -> Duration {
    at.duration_since(now()).unwrap_or_default()
}

/// A client's view of a snapshot, for the SDK.
#[derive(Clone, Debug)]
pub(in crate::client) struct SnapshotReader(pub(in crate::client) Arc<Snapshot>);

impl ProvideCredentials for SnapshotReader {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.provide().await.map_err(CredentialsError::provider_error) })
    }
}

#[cfg(test)]
mod tests;
