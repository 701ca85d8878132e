//! Windows as a pipeline says them.

use weir_window::{SpecError, TimeSpan, WindowSpec};

/// Windows of `size`, one every `slide`; each record is in `size / slide` of them.
///
/// # Errors
/// When size or slide is zero, or both together need more than 65 535 panes; a stage that is given the error refuses
/// the job with it.
pub fn sliding(size: TimeSpan, slide: TimeSpan) -> Result<WindowSpec, SpecError> {
    WindowSpec::sliding(size, slide)
}

/// Windows of `size`, one after the other.
///
/// # Errors
/// When size is zero; as for [`sliding`].
pub fn tumbling(size: TimeSpan) -> Result<WindowSpec, SpecError> {
    WindowSpec::tumbling(size)
}

/// A window by its lengths in ms; the error says what is wrong with it.
pub(crate) fn spec(size_ms: i64, slide_ms: i64) -> Result<WindowSpec, String> {
    let spec = sliding(TimeSpan::from_millis(size_ms), TimeSpan::from_millis(slide_ms));
    spec.map_err(|error| error.to_string())
}
