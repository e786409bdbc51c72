//! What people are shown of a process: what its module makes of its state and its messages. OTP: `format_status`.
//!
//! For this the app's code runs, so on the pool only: at a boundary of the process itself, where it parks or crashes, or as
//! a job. Of a module that hides nothing nothing is asked.

use crate::process::debug::{Logged, Way};
use crate::process::mail::{Mail, RequestKind};
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
