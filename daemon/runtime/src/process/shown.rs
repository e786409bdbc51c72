//! What people are shown of a process: what its module makes of its state and its messages. OTP: `format_status`.
//!
//! For this the app's code runs, so on the pool only: at a boundary of the process itself, where it parks or crashes, or as
//! a job. Of a module that hides nothing nothing is asked.

use crate::look::details::{Letter, ProcessDetails};
use crate::process::body::{Mail, RequestKind};
use crate::process::debug::{Logged, Way};
use crate::words::code::{BodyKind, Bytes, Module};
use crate::words::term;

/// What is shown in the place of what may not be, or cannot be told apart from that.
const HIDDEN: &str = "hidden";

/// Returns what people are shown of a state, or of the body of a message.
pub(crate) fn shown(module: &dyn Module, kind: BodyKind, body: Bytes) -> Bytes {
    if module.hides() { module.format_status(kind, &body).unwrap_or_else(|_| hidden()) } else { body }
}

pub(crate) fn hidden() -> Bytes {
    term::encode(&HIDDEN)
}

/// Returns a message as people are shown it.
pub(crate) fn mail(module: &dyn Module, mail: Mail) -> Mail {
    match mail {
        Mail::Call(RequestKind::Call, from, body) => {
            Mail::Call(RequestKind::Call, from, shown(module, BodyKind::Call, body))
        }
        Mail::Cast(from, body) => Mail::Cast(from, shown(module, BodyKind::Cast, body)),
        Mail::Info(from, body) => Mail::Info(from, shown(module, BodyKind::Info, body)),
        other => other,
    }
}

/// Returns what a process has noted of its messages as people are shown it. Of what it said itself its module knows no more
/// than the others.
pub(crate) fn logged(module: &dyn Module, mut logged: Logged) -> Logged {
    let kind = match (logged.way, logged.what) {
        (Way::In, "call") => BodyKind::Call,
        (Way::In, "cast") => BodyKind::Cast,
        (Way::In, "info") => BodyKind::Info,
        (Way::Out, _) if module.hides() => {
            logged.body = hidden();
            return logged;
        }
        _ => return logged,
    };
    logged.body = shown(module, kind, logged.body);
    logged
}

/// Returns a process in full, each body of a message to it as `look` shows it.
pub(crate) fn details(
    look: &dyn Fn(BodyKind, Bytes) -> Bytes,
    mut details: ProcessDetails,
) -> ProcessDetails {
    let letter = |letter| match letter {
        Letter::Call(from, body) => Letter::Call(from, body.map(|body| look(BodyKind::Call, body))),
        Letter::Cast(from, body) => Letter::Cast(from, look(BodyKind::Cast, body)),
        Letter::Info(from, body) => Letter::Info(from, look(BodyKind::Info, body)),
        other => other,
    };
    details.inside = details.inside.map(|mut inside| {
        inside.mailbox = inside.mailbox.into_iter().map(letter).collect();
        inside
    });
    let timers = details.timers.into_iter();
    details.timers = timers.map(|(timer, body)| (timer, look(BodyKind::Info, body))).collect();
    details
}
