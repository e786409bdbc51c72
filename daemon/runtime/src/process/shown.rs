//! The displayed form of a process's state and messages, which the module redacts. OTP:
//! `format_status`.
//!
//! Redacting runs app code, so it happens on the pool only: at a boundary of the process itself,
//! when the process parks or crashes, or in a job. Modules that hide nothing are not called.

use crate::process::debug::{Logged, Way};
use crate::process::mail::{Mail, RequestKind};
use crate::words::code::{BodyKind, Bytes, Module};
use crate::words::term;

/// Placeholder for a value that must not be displayed, or that might contain such a value.
const HIDDEN: &str = "hidden";

/// Returns the displayed form of a state or of the body of a message.
pub(crate) fn shown(module: &dyn Module, kind: BodyKind, body: Bytes) -> Bytes {
    if module.hides() { module.format_status(kind, &body).unwrap_or_else(|_| hidden()) } else { body }
}

pub(crate) fn hidden() -> Bytes {
    term::encode(&HIDDEN)
}

/// Returns the displayed form of a message.
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

/// Returns the displayed form of a logged message. A sent message is hidden completely, because a
/// module can redact only the messages that it receives.
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
