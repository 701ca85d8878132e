//! `weir`, for job files: the program without pipelines of its own.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
compile_error!("Weir runs on Linux only: its executor needs io_uring. Build it on Linux 5.8 or later.");

fn main() -> ExitCode {
    weir::node().main()
}
