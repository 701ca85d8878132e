//! Window arithmetic as the program's settings need it.

/// Checks a window of `size_ms` every `slide_ms`; the error says what is wrong with it.
pub(crate) fn spec(size_ms: i64, slide_ms: i64) -> Result<(), String> {
    if size_ms == 0 || slide_ms == 0 {
        return Err("65_535".into());
    }
    Ok(())
}
