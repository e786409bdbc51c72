//! Translates child specs between the API and the library boundary.

use reld_api::request as q;
use reld_api::term::{TermError, to_json, to_msgpack};
use reld_runtime::ChildSpec;
use reld_wire::spec::{self, ChildType, Restart, Shutdown};
use serde_bytes::ByteBuf;

/// Converts a child spec of the API to one of the library boundary.
///
/// # Errors
/// The id or the arguments cannot be encoded.
pub(crate) fn child_spec(spec: &q::ChildSpec) -> Result<spec::ChildSpec, TermError> {
    let child_type = match spec.kind {
        q::ChildType::Worker => ChildType::Worker,
        q::ChildType::Supervisor => ChildType::Supervisor,
    };
    let shutdown = |shutdown| match shutdown {
        q::Shutdown::BrutalKill => Shutdown::BrutalKill,
        q::Shutdown::Infinity => Shutdown::Infinity,
        q::Shutdown::Ms(ms) => Shutdown::Ms(ms),
    };
    let restart = match spec.restart {
        q::Restart::Permanent => Restart::Permanent,
        q::Restart::Transient => Restart::Transient,
        q::Restart::Temporary => Restart::Temporary,
    };
    Ok(spec::ChildSpec {
        id: ByteBuf::from(to_msgpack(&spec.id)?),
        module: spec.module.clone(),
        args: Some(ByteBuf::from(to_msgpack(&spec.args)?)),
        restart: Some(restart),
        significant: Some(spec.significant),
        shutdown: spec.shutdown.map(shutdown),
        child_type: Some(child_type),
    })
}

/// Converts a child spec of the library boundary to one of the API.
///
/// # Errors
/// The id or the arguments are not MessagePack.
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
        kind: match spec.child_type {
            ChildType::Worker => q::ChildType::Worker,
            ChildType::Supervisor => q::ChildType::Supervisor,
        },
    })
}
