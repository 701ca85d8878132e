//! Names and their addresses: looked up off the core, once for all who ask meanwhile, and believed for a while.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, WeakShared};

use crate::io::tcp;

/// Answers are believed that long, unless they prove wrong before.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// Addresses, or the system's words.
type Answer = Result<Vec<SocketAddr>, String>;
pub(super) type LookUp = LocalBoxFuture<'static, Answer>;

/// What is known of names; one a client.
pub(super) struct Names {
    entries: Rc<RefCell<HashMap<(String, u16), Entry>>>,
    look_up: fn(String, u16) -> LookUp,
}

enum Entry {
    Known(Instant, Vec<SocketAddr>),
    /// Somebody asks; whoever else wants to know waits with them. Gone with the last of them.
    Asked(WeakShared<LookUp>),
}

impl Default for Names {
    fn default() -> Names {
        Names::asking(|host, port| {
            let ask = async move { tcp::resolve(&host, port).await.map_err(|error: io::Error| error.to_string()) };
            ask.boxed_local()
        })
    }
}

impl Names {
    pub(super) fn asking(look_up: fn(String, u16) -> LookUp) -> Names {
        Names { entries: Rc::default(), look_up }
    }

    /// All addresses of a host.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Answer {
        let key = (host.to_owned(), port);
        let asked = match self.entries.borrow().get(&key) {
            Some(Entry::Known(at, addresses)) if at.elapsed() < BELIEVED_FOR => return Ok(addresses.clone()),
            Some(Entry::Asked(asked)) => asked.upgrade(),
            _ => None,
        };
        let asked = asked.unwrap_or_else(|| {
            let (asking, entries, own) = ((self.look_up)(host.to_owned(), port), self.entries.clone(), key.clone());
            let asked = async move {
                let answer = asking.await;
                let mut entries = entries.borrow_mut();
                match &answer {
                    Ok(addresses) => drop(entries.insert(own, Entry::Known(Instant::now(), addresses.clone()))),
                    Err(_) => drop(entries.remove(&own)),
                }
                answer
            };
            let asked = asked.boxed_local().shared();
            let weak = asked.downgrade().expect("it was made just now and has not ended");
            self.entries.borrow_mut().insert(key, Entry::Asked(weak));
            asked
        });
        asked.await
    }

    /// Asks anew the next time: nobody was reached at these addresses.
    pub(super) fn forget(&self, host: &str, port: u16) {
        self.entries.borrow_mut().remove(&(host.to_owned(), port));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::{run_here, yield_now};
    use futures_util::future::join_all;
    use std::cell::Cell;

    thread_local! {
        static ASKED: Cell<u16> = const { Cell::new(0) };
        static ENDED: Cell<u16> = const { Cell::new(0) };
    }

    /// Counts, and gives the number of the look-up as a port.
    fn count(host: String, _: u16) -> LookUp {
        ASKED.set(ASKED.get() + 1);
        let number = ASKED.get();
        async move {
            for _ in 0..10 {
                yield_now().await;
            }
            ENDED.set(ENDED.get() + 1);
            if host == "missing" {
                Err("no such name".to_owned())
            } else {
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], number))])
            }
        }
        .boxed_local()
    }

    fn ports(answer: &Answer) -> Vec<u16> {
        answer.as_ref().expect("a good name").iter().map(SocketAddr::port).collect()
    }

    #[test]
    fn many_who_ask_at_once_share_one_look_up_and_later_ones_its_answer() {
        run_here(async {
            let names = Names::asking(count);
            let answers = join_all((0..20).map(|_| names.resolve("host", 1))).await;
            assert!(answers.iter().all(|answer| ports(answer) == [1]));
            assert_eq!(ports(&names.resolve("host", 1).await), [1]);
            assert_eq!(ports(&names.resolve("other", 1).await), [2]);
            names.forget("host", 1);
            assert_eq!(ports(&names.resolve("host", 1).await), [3]);
        })
        .expect("an executor starts here");
    }

    #[test]
    fn failed_look_up_is_told_to_all_and_not_believed() {
        run_here(async {
            let names = Names::asking(count);
            let answers = join_all((0..3).map(|_| names.resolve("missing", 1))).await;
            assert_eq!(answers, vec![Err("no such name".to_owned()); 3]);
            assert_eq!(ASKED.get(), 1);
            names.resolve("missing", 1).await.expect_err("still missing");
            assert_eq!(ASKED.get(), 2);
        })
        .expect("an executor starts here");
    }

    #[test]
    fn look_up_goes_on_without_the_first_who_asked_and_is_withdrawn_with_the_last() {
        run_here(async {
            let names = Names::asking(count);
            let mut first = Box::pin(names.resolve("host", 1));
            let mut second = Box::pin(names.resolve("host", 1));
            assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
            drop(first);
            assert_eq!((ports(&second.await), ASKED.get(), ENDED.get()), (vec![1], 1, 1));
            let mut last = Box::pin(names.resolve("other", 1));
            assert!(futures_util::poll!(&mut last).is_pending());
            drop(last);
            for _ in 0..20 {
                yield_now().await;
            }
            assert_eq!((ASKED.get(), ENDED.get()), (2, 1), "nobody wants to know any more");
            assert_eq!(ports(&names.resolve("other", 1).await), [3]);
        })
        .expect("an executor starts here");
    }
}
