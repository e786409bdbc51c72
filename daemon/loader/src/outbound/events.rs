//! The events of the runtime in the form of the boundary.

use reld_abi as abi;
use reld_runtime::{Bytes, Event, Ref, Step};
use reld_wire::application::{PrepStop, StopCause};
use reld_wire::{Exit, Pid};
use serde::Serialize;

use crate::wire;

/// The ABI minor versions that introduced start phases and the cause in prep_stop.
pub(super) const START_PHASE: u32 = 3;
const PREP_STOP_CAUSE: u32 = 3;

/// Returns the ABI minor version that introduced an event. Older libraries do not receive the
/// event.
pub(super) fn since(event: &Event<'_>) -> u32 {
    match event {
        Event::ConfigChange(_) => 1,
        Event::Told(_) => 2,
        Event::PrepStop(_, StopCause::TreeEnded) => 4,
        _ => 0,
    }
}

/// Calls `run` with the event in the form of this ABI version. The event's bytes live until `run`
/// returns.
pub(super) fn with(event: &Event<'_>, abi_minor: u32, run: impl FnOnce(&abi::Event) -> Step) -> Step {
    match *event {
        Event::Call(from, body) => run(&abi::Event {
            from: wire::pid_out(from.caller),
            server: wire::pid_out(from.server),
            reference: from.reference,
            body: wire::lend(body),
            ..of(abi::EVENT_CALL)
        }),
        Event::Cast(body) => run(&one_way(abi::EVENT_CAST, body)),
        Event::Info(body) => run(&one_way(abi::EVENT_INFO, body)),
        Event::Continue(body) => run(&abi::Event { body: wire::lend(body), ..of(abi::EVENT_CONTINUE) }),
        Event::Timeout => run(&of(abi::EVENT_TIMEOUT)),
        Event::Exit(from, exit) => run(&ended(abi::EVENT_EXIT, from, 0, exit)),
        Event::Down(reference, from, exit) => run(&ended(abi::EVENT_DOWN, from, reference, exit)),
        Event::Terminate(exit) => run(&ended(abi::EVENT_TERMINATE, Pid::NONE, 0, exit)),
        Event::PrepStop(root, cause) => {
            let body =
                if abi_minor < PREP_STOP_CAUSE { encoded(&root) } else { encoded(&PrepStop { root, cause }) };
            run(&abi::Event { body: wire::lend(&body), ..of(abi::EVENT_PREP_STOP) })
        }
        Event::StartPhase(body) => run(&abi::Event { body: wire::lend(body), ..of(abi::EVENT_START_PHASE) }),
        Event::Told(body) => run(&abi::Event { body: wire::lend(body), ..of(abi::EVENT_TOLD) }),
        Event::ConfigChange(body) => {
            run(&abi::Event { body: wire::lend(body), ..of(abi::EVENT_CONFIG_CHANGE) })
        }
    }
}

/// Returns the form of an event of a series.
pub(super) fn in_series(event: &Event<'_>) -> abi::Event {
    match event {
        Event::Cast(body) => one_way(abi::EVENT_CAST, body),
        Event::Info(body) => one_way(abi::EVENT_INFO, body),
        other => unreachable!("{other:?} is neither a cast nor an info"),
    }
}

fn one_way(kind: u32, body: &[u8]) -> abi::Event {
    abi::Event { body: wire::lend(body), ..of(kind) }
}

fn ended(kind: u32, from: Pid, reference: Ref, exit: &Exit) -> abi::Event {
    abi::Event {
        from: wire::pid_out(from),
        reference,
        body: wire::lend(wire::exit_text(exit).as_bytes()),
        exit_kind: wire::exit_kind(exit),
        ..of(kind)
    }
}

fn encoded(body: &impl Serialize) -> Bytes {
    rmp_serde::to_vec_named(body).expect("numbers and words always encode")
}

/// Returns an event without members but its kind.
pub(super) fn of(kind: u32) -> abi::Event {
    abi::Event {
        kind,
        reserved: 0,
        from: wire::pid_out(Pid::NONE),
        reference: 0,
        body: wire::lend(&[]),
        exit_kind: 0,
        server: wire::pid_out(Pid::NONE),
    }
}
