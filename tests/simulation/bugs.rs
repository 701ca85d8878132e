//! Bugs that are planted to see the simulator find them, each with the first seed that does. `docs/simulator.md` has the
//! same table, and a test holds the two together.

use weir_kinesis::protocol::sabotage::{self as protocol, Sabotage as Protocol};
use weir_runtime::sabotage::{self as runtime, Bug as Runtime};
use weir_window::sabotage::{self as window, Sabotage as Window};

pub struct Planted {
    /// What `WEIR_BUG` calls it.
    pub name: &'static str,
    pub bug: Bug,
    /// The first seed of which the history does not hold.
    pub seed: u64,
}

#[derive(Clone, Copy)]
pub enum Bug {
    Protocol(Protocol),
    Runtime(Runtime),
    Window(Window),
}

pub const PLANTED: &[Planted] = &[
    Planted { name: "child-before-parents", bug: Bug::Runtime(Runtime::ChildBeforeParents), seed: 3 },
    Planted { name: "hold-dropped", bug: Bug::Window(Window::DropHold), seed: 3 },
    Planted { name: "hold-unacknowledged", bug: Bug::Window(Window::HoldUnacknowledged), seed: 18 },
    Planted { name: "margin-forgotten", bug: Bug::Protocol(Protocol::MarginForgotten), seed: 18 },
    Planted { name: "latest-not-pinned", bug: Bug::Protocol(Protocol::LatestNotPinned), seed: 0 },
    Planted { name: "watermark-before-delta", bug: Bug::Runtime(Runtime::WatermarkBeforeDelta), seed: 3 },
    Planted { name: "evidence-of-receipt", bug: Bug::Protocol(Protocol::EvidenceOfReceipt), seed: 348 },
    Planted { name: "first-date-believed", bug: Bug::Protocol(Protocol::FirstDateBelieved), seed: 287 },
    Planted { name: "position-not-kept", bug: Bug::Protocol(Protocol::PositionNotKept), seed: 16 },
    Planted { name: "position-of-answer", bug: Bug::Protocol(Protocol::PositionOfAnswer), seed: 18 },
];

/// Plants a bug in all machines of this thread, or takes out what was there.
pub fn plant(bug: Option<Bug>) {
    protocol::plant(bug.and_then(|bug| if let Bug::Protocol(bug) = bug { Some(bug) } else { None }));
    runtime::plant(bug.and_then(|bug| if let Bug::Runtime(bug) = bug { Some(bug) } else { None }));
    window::plant(bug.and_then(|bug| if let Bug::Window(bug) = bug { Some(bug) } else { None }));
}

/// The bug that `WEIR_BUG` names.
pub fn named(name: &str) -> Bug {
    let names: Vec<&str> = PLANTED.iter().map(|planted| planted.name).collect();
    let planted = PLANTED.iter().find(|planted| planted.name == name);
    planted.unwrap_or_else(|| panic!("WEIR_BUG={name}, expected one of {}", names.join(", "))).bug
}
