//! Ctrl-C and SIGTERM, on a plain thread.
//!
//! The first asks a command to end in its own way; the second ends the process at once, with exit
//! code 130, wherever it hangs.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use weir_runtime::facade;

use crate::failure::{Exit, Failure};

/// Exit code of a process that Ctrl-C ended: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Signals so near to each other are one.
const ONE_WISH: Duration = Duration::from_millis(100);

/// Sends `message` once, at the first signal. Call it once a process.
pub(super) fn on_interrupt<T: Send + 'static>(sender: Sender<T>, message: T) -> Result<(), Failure> {
    let unheard = |error: std::io::Error| Failure::new(Exit::Environment, format!("cannot listen for Ctrl-C: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(unheard)?;
    let listen = move || {
        let mut arrived = signals.forever();
        let _ = arrived.next();
        // The receiver is gone when the command is over already.
        let _ = sender.send(message);
        // `timeout` and shells send one signal to the process and to its group: that is one wish, not two.
        let heard = facade::now();
        while arrived.next().is_some() {
            if facade::now() - heard > ONE_WISH {
                std::process::exit(INTERRUPTED);
            }
        }
    };
    match std::thread::Builder::new().name("signals".into()).spawn(listen) {
        Ok(_) => Ok(()),
        Err(error) => Err(unheard(error)),
    }
}

/// For commands that do nothing but wait for the first signal.
pub(super) fn interrupt() -> Result<Receiver<()>, Failure> {
    let (sender, receiver) = mpsc::channel();
    on_interrupt(sender, ())?;
    Ok(receiver)
}
