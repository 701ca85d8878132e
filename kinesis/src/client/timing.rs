//! Takes down when a call was sent and answered, and the service's `Date`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use weir_runtime::io::http::Exchange;

use super::answers::CallTiming;

/// The timing of one call: given to it as an interceptor, read afterwards. Of several attempts it keeps the last.
#[derive(Clone, Debug, Default)]
pub(super) struct TimingSlot(Arc<Mutex<Option<CallTiming>>>);

impl TimingSlot {
    /// What was taken down; `None` if no answer came.
    pub(super) fn take(&self) -> Option<CallTiming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for TimingSlot {
    fn name(&self) -> &'static str {
        "WeirTiming"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let timing = response.extension::<Exchange>().map(|exchange| CallTiming {
            sent_at: exchange.sent_at,
            received_at: exchange.head_at,
            date_ms: response.headers().get("date").and_then(date_ms),
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = timing;
        Ok(())
    }
}

/// An HTTP date in ms since 1970.
fn date_ms(date: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_read_to_the_second_and_nonsense_is_none() {
        assert_eq!(date_ms("Mon, 23 Nov 2026 16:11:00 GMT"), Some(1_795_450_260_000));
        assert_eq!(date_ms("tomorrow"), None);
        assert_eq!(date_ms("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    }
}
