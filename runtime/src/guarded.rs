//! Code that users bring, run so that its panic is an error of its job and of nobody else.
//!
//! The words do not say whose code it was, for a panic caught at the border of a batch may be the engine's own as well; they
//! say where, and what was said.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

use crate::error::{JobError, Kind};
use crate::facade;

/// What `f` gives, or its panic as an error. What `f` borrowed may be half done then and must not be used further.
pub(crate) fn guarded<T>(place: impl Display, f: impl FnOnce() -> T) -> Result<T, JobError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| panicked(place, &*panic))
}

/// As `guarded`, for a future. `make` is called inside, for that may panic too.
pub(crate) async fn guarded_async<T, F>(place: impl Display, make: impl FnOnce() -> F) -> Result<T, JobError>
where
    F: Future<Output = Result<T, JobError>>,
{
    let made = async { make().await };
    AssertUnwindSafe(made).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(place, &*panic)))
}

fn panicked(place: impl Display, panic: &(dyn std::any::Any + Send)) -> JobError {
    JobError::new(Kind::Data, format!("panicked {place}: {}", facade::panic_text(panic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_an_error_with_its_place_and_words() {
        let error: JobError = guarded("on worker 3", || panic!("seven {}", 7)).expect_err("it panicked");
        assert_eq!((error.kind, error.to_string().as_str()), (Kind::Data, "panicked on worker 3: seven 7"));
        assert_eq!(guarded("", || 7), Ok(7));
    }

    #[test]
    fn future_may_panic_when_it_is_made_and_when_it_is_polled() {
        facade::run_here(async {
            let making = || -> std::future::Ready<Result<(), JobError>> { panic!("made") };
            let error = guarded_async("in a test", making).await.expect_err("it panicked");
            assert_eq!(error.message, "panicked in a test: made");
            let polled = || async {
                facade::yield_now().await;
                assert!(facade::wall_clock_ms() < 0, "polled");
                Ok(())
            };
            let error = guarded_async("in a test", polled).await.expect_err("it panicked");
            assert_eq!(error.message, "panicked in a test: polled");
        })
        .expect("an executor starts here");
    }
}
