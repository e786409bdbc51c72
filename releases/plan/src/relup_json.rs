//! The JSON form of a relup, as printed by `relctl plan FROM TO --window group --json`.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::instr::{Apply, LowLevel, PurgeMethod, PurgeWords, Suspend, SyncWith, Timeout};
use crate::rel::StartType;
use crate::relup::{Relup, Relups};

impl Serialize for Relup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let script: Vec<_> = self.lines.iter().map(|line| low(&line.instruction)).collect();
        json!({ "script": script, "warnings": self.warnings }).serialize(serializer)
    }
}

impl Serialize for Relups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [up, down] = [&self.up, &self.down].map(|direction| match direction {
            Ok(relup) => json!(relup),
            Err(error) => json!({ "error": error }),
        });
        json!({ "up": up, "down": down }).serialize(serializer)
    }
}

fn low(instruction: &LowLevel) -> Value {
    let op = instruction.word();
    match instruction {
        LowLevel::LoadObjectCode { app, vsn, modules } => {
            json!({ "op": op, "app": app, "vsn": vsn, "modules": modules })
        }
        LowLevel::Load { module, purge } | LowLevel::Remove { module, purge } => {
            let PurgeWords { pre, post } = purge;
            json!({ "op": op, "module": module, "pre_purge": or_brutal(*pre), "post_purge": or_brutal(*post) })
        }
        LowLevel::Purge { modules }
        | LowLevel::Resume { modules }
        | LowLevel::Stop { modules }
        | LowLevel::Start { modules } => json!({ "op": op, "modules": modules }),
        LowLevel::Suspend { modules } => {
            json!({ "op": op, "modules": modules.iter().map(suspend).collect::<Vec<_>>() })
        }
        LowLevel::CodeChange { mode, modules } => {
            let pairs: Vec<_> =
                modules.iter().map(|each| json!({ "module": each.module, "extra": each.extra })).collect();
            json!({ "op": op, "mode": mode, "modules": pairs })
        }
        LowLevel::SyncNodes { id, with: SyncWith::Nodes(nodes) } => {
            json!({ "op": op, "id": id, "nodes": nodes })
        }
        LowLevel::SyncNodes { id, with: SyncWith::From(call) } => {
            let Apply { module, function, args, .. } = call;
            json!({ "op": op, "id": id, "module": module, "function": function, "args": args })
        }
        LowLevel::Apply(call) => apply(call),
        LowLevel::StartApplication { app, start_type } => json!({ "op": op, "app": app, "type": start_type }),
        LowLevel::LoadApplication { app }
        | LowLevel::StopApplication { app }
        | LowLevel::UnloadApplication { app } => json!({ "op": op, "app": app }),
        LowLevel::PointOfNoReturn | LowLevel::RestartNewDaemon | LowLevel::RestartDaemon => {
            json!({ "op": op })
        }
    }
}

/// Returns the purge method, or OTP's default if none is written.
fn or_brutal(method: Option<PurgeMethod>) -> PurgeMethod {
    method.unwrap_or(PurgeMethod::Brutal)
}

fn suspend(suspend: &Suspend) -> Value {
    match suspend.timeout {
        Timeout::Default => json!({ "module": suspend.module }),
        timeout => json!({ "module": suspend.module, "timeout_ms": timeout }),
    }
}

/// Returns the JSON form of a call. A hand-written call of `application` has the same form as a
/// generated instruction, because both are the same term in OTP.
fn apply(call: &Apply) -> Value {
    let Apply { module, function, args, .. } = call;
    let start_type = |word: &Value| StartType::WORDS.iter().any(|(name, _)| word == name);
    match (module.as_str(), function.as_str(), args.as_slice()) {
        ("application", "start", [app, word]) if start_type(word) => {
            json!({ "op": "start_application", "app": app, "type": word })
        }
        ("application", "load" | "stop" | "unload", [app]) => {
            json!({ "op": format!("{function}_application"), "app": app })
        }
        _ => json!({ "op": "apply", "module": module, "function": function, "args": args }),
    }
}
