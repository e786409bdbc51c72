//! Conversion of app specs for the runtime.

use reld_api::term;
use reld_handler::{AppSpec, StartPhase, StartType};
use reld_runtime as runtime;

/// Converts an app spec of the handler to one of the runtime.
///
/// # Errors
/// A value in the environment or in a start phase cannot be encoded.
pub(super) fn runtime_spec(spec: &AppSpec) -> Result<runtime::AppSpec, String> {
    let refuse = |key: &str, error: term::TermError| format!("{key} cannot be handed over: {error}");
    let value = |(key, value): (&String, _)| match term::to_msgpack(value) {
        Ok(bytes) => Ok((key.clone(), bytes)),
        Err(error) => Err(refuse(&format!("env.{key}"), error)),
    };
    let phase = |phase: &StartPhase| match term::to_msgpack(&phase.arg) {
        Ok(arg) => Ok((phase.name.clone(), arg)),
        Err(error) => Err(refuse(&format!("the argument of start phase {}", phase.name), error)),
    };
    Ok(runtime::AppSpec {
        name: spec.name.to_string(),
        version: spec.vsn.to_string(),
        start: spec.start.as_ref().map(ToString::to_string),
        start_type: start_type(spec),
        applications: spec.applications.iter().map(ToString::to_string).collect(),
        start_phases: spec.start_phases.iter().map(phase).collect::<Result<_, _>>()?,
        env: spec.env.iter().map(value).collect::<Result<_, _>>()?,
    })
}

/// Converts a start type. An app that the boot does not start gets the type temporary, because an
/// operator may start it by hand.
fn start_type(spec: &AppSpec) -> runtime::StartType {
    match spec.start_type {
        StartType::Permanent => runtime::StartType::Permanent,
        StartType::Transient => runtime::StartType::Transient,
        StartType::Temporary | StartType::Load | StartType::None => runtime::StartType::Temporary,
    }
}
