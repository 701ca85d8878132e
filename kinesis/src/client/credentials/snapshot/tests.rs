use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Gives `AKID0`, `AKID1` and so on, each after a while, unless it refuses that call.
#[derive(Debug)]
struct Source {
    calls: Arc<AtomicUsize>,
    life: Option<Duration>,
    refuses: fn(usize) -> bool,
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            facade::spawn_blocking(|| std::thread::sleep(MS(30))).await;
            if (self.refuses)(call) {
                return Err(CredentialsError::provider_error(format!("refused {call}")));
            }
            let expiry = self.life.map(|life| now() + life);
            Ok(Credentials::new(format!("AKID{call}"), "s", None, expiry, "test"))
        })
    }
}

fn snapshot(life: Option<Duration>, refuses: fn(usize) -> bool) -> (Arc<Snapshot>, Arc<AtomicUsize>) {
    let calls = Arc::default();
    (Arc::new(Snapshot::of(Source { calls: Arc::clone(&calls), life, refuses })), calls)
}

async fn key(snapshot: &Snapshot) -> Result<String, String> {
    snapshot.provide().await.map(|found| found.access_key_id().to_owned()).map_err(|refusal| refusal.message)
}

fn run<F: Future>(f: F) -> F::Output {
    facade::run_here(f).expect("an executor starts here")
}

#[test]
fn however_many_ask_at_once_they_are_fetched_once() {
    for refuses in [(|_| false) as fn(usize) -> bool, |_| true] {
        let (snapshot, calls) = snapshot(None, refuses);
        let barrier = Arc::new(std::sync::Barrier::new(4));
        let threads = [(); 4].map(|()| {
            let (snapshot, barrier) = (Arc::clone(&snapshot), Arc::clone(&barrier));
            std::thread::spawn(move || {
                run(async {
                    barrier.wait();
                    key(&snapshot).await
                })
            })
        });
        let keys = threads.map(|thread| thread.join().expect("no panic"));
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(keys[0].is_ok(), !refuses(0));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn task_renews_them_in_time_and_that_of_another_executor_takes_over() {
    let (snapshot, _) = snapshot(Some(MS(600)), |_| false);
    for fetched in [3, 6] {
        run(async {
            key(&snapshot).await.expect("they are given");
            snapshot.keep();
            snapshot.keep();
            let begun = Instant::now();
            while snapshot.state().attempts < fetched {
                assert!(begun.elapsed() < MS(5_000), "nobody renews them");
                facade::sleep(MS(10)).await;
            }
        });
        // The task is gone; in a minute somebody would notice.
        snapshot.state().kept = None;
    }
}

#[test]
fn fetch_that_died_with_its_executor_is_not_waited_for_for_ever() {
    let (snapshot, calls) = snapshot(None, |_| false);
    let left_behind = Arc::clone(&snapshot);
    run(async {
        facade::spawn(async move { left_behind.provide().await.map(drop) }).detach();
        facade::sleep(MS(10)).await;
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let since = snapshot.state().fetching;
    if let Some(since) = since {
        snapshot.state().fetching = Some(since - FETCH_MAX);
    }
    assert_eq!(run(key(&snapshot)).as_deref(), Ok("AKID1"));
}

#[test]
fn failed_renewal_leaves_those_that_live() {
    run(async {
        let (snapshot, calls) = snapshot(Some(MS(900)), |call| call == 1);
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID0"));
        snapshot.keep();
        let begun = Instant::now();
        while calls.load(Ordering::SeqCst) < 3 {
            let found = key(&snapshot).await.expect("some live at any time");
            assert_ne!(found, "AKID1");
            assert!(begun.elapsed() < MS(5_000), "it is not tried again");
            facade::sleep(MS(10)).await;
        }
    });
}

#[test]
fn dead_ones_are_never_given_even_if_nobody_renews_them() {
    run(async {
        let (snapshot, _) = snapshot(Some(MS(60)), |call| call == 2);
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID0"));
        facade::sleep(MS(80)).await;
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID1"));
        facade::sleep(MS(80)).await;
        let refusal = key(&snapshot).await.expect_err("refused");
        assert!(refusal.contains("refused 2"), "{refusal}");
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID3"));
    });
}

impl Snapshot {
    /// As if they had been fetched half a minute earlier.
    pub(in crate::client) fn grow_old(&self) {
        self.state().good.as_mut().expect("they are there").fetched -= LOOK;
    }
}

#[test]
fn distrusted_ones_are_fetched_anew_unless_they_are_young() {
    run(async {
        let (snapshot, _) = snapshot(None, |_| false);
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID0"));
        snapshot.distrust();
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID0"), "a refusal for another reason would fetch for ever");
        snapshot.grow_old();
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID0"));
        snapshot.distrust();
        assert_eq!(key(&snapshot).await.as_deref(), Ok("AKID1"));
    });
}
