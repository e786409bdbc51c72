//! A child spec of the API, in the runtime's words.

use reld_api::request as q;
use reld_api::term::{TermError, to_msgpack};
use reld_runtime::{ChildSpec, ChildType, Restart, Shutdown};
use serde_bytes::ByteBuf;

/// Translates a child spec. OTP's defaults: a worker has 5 seconds to shut down, a supervisor as long as it takes.
///
/// # Errors
/// An id or arguments that cannot be handed over.
pub(crate) fn child_spec(spec: &q::ChildSpec) -> Result<ChildSpec, TermError> {
    let kind = match spec.kind {
        q::ChildType::Worker => ChildType::Worker,
        q::ChildType::Supervisor => ChildType::Supervisor,
    };
    let shutdown = match (spec.shutdown, kind) {
        (Some(q::Shutdown::BrutalKill), _) => Shutdown::BrutalKill,
        (Some(q::Shutdown::Infinity), _) | (None, ChildType::Supervisor) => Shutdown::Infinity,
        (Some(q::Shutdown::Ms(ms)), _) => Shutdown::Ms(ms),
        (None, ChildType::Worker) => Shutdown::Ms(5000),
    };
    Ok(ChildSpec {
        id: ByteBuf::from(to_msgpack(&spec.id)?),
        module: spec.module.clone(),
        args: ByteBuf::from(to_msgpack(&spec.args)?),
        restart: match spec.restart {
            q::Restart::Permanent => Restart::Permanent,
            q::Restart::Transient => Restart::Transient,
            q::Restart::Temporary => Restart::Temporary,
        },
        shutdown,
        kind,
    })
}
