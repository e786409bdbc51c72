//! A child spec of the API, in the runtime's words.

use reld_api::request as q;
use reld_api::term::{TermError, to_json, to_msgpack};
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
    let shutdown = match spec.shutdown {
        Some(q::Shutdown::BrutalKill) => Shutdown::BrutalKill,
        Some(q::Shutdown::Infinity) => Shutdown::Infinity,
        Some(q::Shutdown::Ms(ms)) => Shutdown::Ms(ms),
        None => Shutdown::usual(kind),
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
        significant: spec.significant,
        shutdown,
        kind,
    })
}

/// Translates a child spec back.
///
/// # Errors
/// An id or arguments that are no MessagePack.
pub(crate) fn shown(spec: &ChildSpec) -> Result<q::ChildSpec, TermError> {
    Ok(q::ChildSpec {
        id: to_json(&spec.id)?,
        module: spec.module.clone(),
        args: to_json(&spec.args)?,
        restart: match spec.restart {
            Restart::Permanent => q::Restart::Permanent,
            Restart::Transient => q::Restart::Transient,
            Restart::Temporary => q::Restart::Temporary,
        },
        significant: spec.significant,
        shutdown: Some(match spec.shutdown {
            Shutdown::BrutalKill => q::Shutdown::BrutalKill,
            Shutdown::Infinity => q::Shutdown::Infinity,
            Shutdown::Ms(ms) => q::Shutdown::Ms(ms),
        }),
        kind: match spec.kind {
            ChildType::Worker => q::ChildType::Worker,
            ChildType::Supervisor => q::ChildType::Supervisor,
        },
    })
}
