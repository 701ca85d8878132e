//! IncreaseStreamRetentionPeriod and DecreaseStreamRetentionPeriod, and the trimming that a decrease is.

use super::stream::Stream;
use super::{Model, ModelError, invalid};

/// Hours that a stream may keep its records (Quotas and limits page, read 2026-11).
const RETENTION_HOURS_MIN: i64 = 24;
const RETENTION_HOURS_MAX: i64 = 8_760;

impl Model {
    /// IncreaseStreamRetentionPeriod. What has aged out stays gone.
    ///
    /// # Errors
    /// `InvalidArgumentException` outside 24 to 8,760 hours and below the present period; `ResourceInUseException`
    /// unless the stream is ACTIVE; `ValidationException`, `ResourceNotFoundException`.
    pub fn increase_retention(&mut self, now_ms: i64, stream: &str, hours: i64) -> Result<(), ModelError> {
        let (found, now_ms) = self.retainable_stream(now_ms, stream, hours)?;
        let present = found.retention_hours;
        if hours < present {
            return Err(invalid(format!(
                "Requested retention period ({hours} hours) for stream {stream} can not be shorter than existing \
                 retention period ({present} hours). Use DecreaseRetentionPeriod API."
            )));
        }
        found.raise_floor(found.horizon_ms(now_ms));
        found.retention_hours = hours;
        Ok(())
    }

    /// DecreaseStreamRetentionPeriod. What is older than the new period is gone at once.
    ///
    /// # Errors
    /// `InvalidArgumentException` outside 24 to 8,760 hours and above the present period; `ResourceInUseException`
    /// unless the stream is ACTIVE; `ValidationException`, `ResourceNotFoundException`.
    pub fn decrease_retention(&mut self, now_ms: i64, stream: &str, hours: i64) -> Result<(), ModelError> {
        let (found, now_ms) = self.retainable_stream(now_ms, stream, hours)?;
        let present = found.retention_hours;
        if hours > present {
            return Err(invalid(format!(
                "Requested retention period ({hours} hours) for stream {stream} can not be longer than existing \
                 retention period ({present} hours). Use IncreaseRetentionPeriod API."
            )));
        }
        found.retention_hours = hours;
        found.raise_floor(found.horizon_ms(now_ms));
        Ok(())
    }

    fn retainable_stream(&mut self, now_ms: i64, stream: &str, hours: i64) -> Result<(&mut Stream, i64), ModelError> {
        let now_ms = self.advance(now_ms);
        let (found, cx) = self.stream_mut(stream)?;
        found.active(now_ms, cx)?;
        if hours < RETENTION_HOURS_MIN {
            return Err(invalid(format!(
                "Minimum allowed retention period is {RETENTION_HOURS_MIN} hours. Requested retention period ({hours} \
                 hours) is too short."
            )));
        }
        if hours > RETENTION_HOURS_MAX {
            return Err(invalid(format!(
                "Maximum allowed retention period is {RETENTION_HOURS_MAX} hours. Requested retention period ({hours} \
                 hours) is too long."
            )));
        }
        Ok((found, now_ms))
    }
}

impl Stream {
    /// Forgets for good what came before this, whatever the retention period becomes.
    pub fn raise_floor(&mut self, floor_ms: i64) {
        self.floor_ms = self.floor_ms.max(floor_ms);
        self.shards.trim(self.floor_ms);
    }
}
