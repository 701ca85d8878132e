//! What the machine must allow before an executor can run, and how we say that it does not.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use glommio::{BuilderErrorKind, GlommioError, ReactorErrorKind};

/// The executor locks that much memory for its rings, or refuses to start.
const LOCKED_MEMORY_MIN_BYTES: u64 = 512 << 10;

/// Why executors cannot run here: one sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

impl std::error::Error for EnvironmentError {}

impl EnvironmentError {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        EnvironmentError { message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn thread(error: &io::Error) -> Self {
        EnvironmentError::new(
            format!("a thread for the executor cannot be started: {error}"),
            "raise the limit on processes and threads (ulimit -u, pids.max of the container)",
        )
    }

    pub(super) fn other(text: &str) -> Self {
        EnvironmentError::new(
            format!("the executor cannot be started: {text}"),
            "Weir needs Linux 5.8 or later with io_uring",
        )
    }
}

/// Looks at what can be known without trying.
pub(super) fn probe() -> Result<(), EnvironmentError> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    check_locked_memory(locked_memory_limit(&limits))
}

/// The soft limit on locked memory in bytes; `None` when unlimited or not said.
fn locked_memory_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn check_locked_memory(limit: Option<u64>) -> Result<(), EnvironmentError> {
    match limit {
        Some(bytes) if bytes < LOCKED_MEMORY_MIN_BYTES => Err(EnvironmentError::new(
            format!(
                "only {} KiB of memory may be locked, io_uring needs {} KiB",
                bytes >> 10,
                LOCKED_MEMORY_MIN_BYTES >> 10
            ),
            "raise the limit: `ulimit -l 8192` in a shell, `LimitMEMLOCK=8M` in a systemd unit, `--ulimit memlock=8388608` for docker run",
        )),
        _ => Ok(()),
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Makes an executor. Where io_uring is barred glommio panics in the midst of it (its probe of the kernel's operations
/// expects a ring); that is turned into words, and the panic's own are not printed.
pub(super) fn quietly<T>(make: impl FnOnce() -> T) -> Result<T, EnvironmentError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            if !QUIET.get() {
                before(about);
            }
        }));
    });
    QUIET.set(true);
    let made = panic::catch_unwind(AssertUnwindSafe(make));
    QUIET.set(false);
    made.map_err(|_| {
        EnvironmentError::new(
            "io_uring is barred for this process, as it is in a default container, or this kernel has none",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile (`--security-opt seccomp=PROFILE.json`), and run Linux 5.8 or later",
        )
    })
}

/// Turns the executor's refusal into words.
pub(super) fn explain(error: GlommioError<()>, core: Option<usize>) -> EnvironmentError {
    match error {
        GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(limit, _)) => check_locked_memory(Some(limit))
            .err()
            .unwrap_or_else(|| EnvironmentError::other("too little memory may be locked")),
        GlommioError::BuilderError(BuilderErrorKind::NonExistentCpus { cpu }) => core_refused(cpu),
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => {
            let switch = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
            explain_io(&error, switch.trim(), core)
        }
        other => EnvironmentError::other(&other.to_string()),
    }
}

fn core_refused(core: usize) -> EnvironmentError {
    EnvironmentError::new(
        format!("core {core} may not be used by this process"),
        "choose other cores (`--cores`), or widen its CPU affinity",
    )
}

/// `switch` is the content of /proc/sys/kernel/io_uring_disabled: 0 allowed, 1 for the privileged only, 2 barred.
fn explain_io(error: &io::Error, switch: &str, core: Option<usize>) -> EnvironmentError {
    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const EINVAL: i32 = 22;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOSYS: i32 = 38;
    match error.raw_os_error() {
        Some(EPERM | EACCES | ENOSYS) if matches!(switch, "1" | "2") => EnvironmentError::new(
            format!("io_uring is switched off on this machine (kernel.io_uring_disabled = {switch})"),
            "switch it on with `sysctl -w kernel.io_uring_disabled=0`",
        ),
        Some(EPERM | EACCES) => EnvironmentError::new(
            "io_uring is barred for this process (io_uring_setup is not permitted), as it is in a default container",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile (`--security-opt seccomp=PROFILE.json`)",
        ),
        Some(ENOSYS) => EnvironmentError::new(
            "this kernel offers no io_uring (io_uring_setup is not implemented), or the container's seccomp profile hides it",
            "run Weir on Linux 5.8 or later, and allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
        ),
        Some(ENOMEM) => EnvironmentError::new(
            "the kernel has no memory that may be locked left for io_uring",
            "raise the limit: `ulimit -l 8192` in a shell, `LimitMEMLOCK=8M` in a systemd unit, or use fewer cores",
        ),
        Some(EMFILE | ENFILE) => EnvironmentError::new(
            "too many files are open to start an executor",
            "raise the limit with `ulimit -n 65536`",
        ),
        Some(EINVAL) => match core {
            Some(core) => core_refused(core),
            None => EnvironmentError::other(&error.to_string()),
        },
        _ => EnvironmentError::other(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_on_locked_memory_is_read_as_the_kernel_prints_it() {
        let print =
            |limit: &str| format!("Limit Soft Hard Units\nMax locked memory         {limit}   67108864   bytes     \n");
        assert_eq!(locked_memory_limit(&print("262144")), Some(262_144));
        assert_eq!(locked_memory_limit(&print("unlimited")), None);
        assert_eq!(locked_memory_limit(""), None);
        assert!(check_locked_memory(None).is_ok());
        assert!(check_locked_memory(Some(512 << 10)).is_ok());
        let error = check_locked_memory(Some(256 << 10)).expect_err("too little");
        assert_eq!(error.message, "only 256 KiB of memory may be locked, io_uring needs 512 KiB");
    }

    #[test]
    fn barred_io_uring_is_told_from_switched_off_and_from_missing() {
        let text = |errno, switch| explain_io(&io::Error::from_raw_os_error(errno), switch, Some(3)).to_string();
        assert!(text(1, "2").contains("kernel.io_uring_disabled = 2"), "{}", text(1, "2"));
        assert!(text(1, "0").contains("seccomp"), "{}", text(1, "0"));
        assert!(text(38, "0").contains("Linux 5.8"), "{}", text(38, "0"));
        assert!(text(12, "0").contains("ulimit -l"), "{}", text(12, "0"));
        assert!(text(24, "0").contains("ulimit -n"), "{}", text(24, "0"));
        assert!(text(22, "0").contains("core 3"), "{}", text(22, "0"));
        assert!(text(5, "0").contains("cannot be started"), "{}", text(5, "0"));
    }
}
