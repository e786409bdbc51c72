//! Paths in supervision trees. `shop` is the root supervisor of the app shop, and `shop/tills` is
//! its child with the id `tills`.

use reld_api::term;
use reld_runtime::{AppStatus, Behaviour, Runtime};
use reld_wire::Pid;
use serde_json::Value;

/// Finds a supervisor by its registered name, or by its path in the tree of an app. A process that
/// is registered under the name but is no supervisor is skipped, because a server may have the same
/// name as its app.
pub(crate) fn supervisor(runtime: &Runtime, place: &str) -> Result<Pid, String> {
    let is_supervisor =
        |pid: &Pid| runtime.process(*pid).is_some_and(|info| info.behaviour == Behaviour::Supervisor);
    if let Some(pid) = runtime.whereis(place).filter(is_supervisor) {
        return Ok(pid);
    }
    let found = at(runtime, place)?;
    if is_supervisor(&found) { Ok(found) } else { Err(format!("{place} is not a supervisor")) }
}

/// Finds a process by its path in the tree of an app.
pub(crate) fn at(runtime: &Runtime, place: &str) -> Result<Pid, String> {
    let mut parts = place.split('/');
    let app = parts.next().unwrap_or_default();
    let apps = runtime.applications().into_iter();
    let root = apps.filter(|(spec, _)| spec.name == app).find_map(|(_, status)| match status {
        AppStatus::Running { root, .. } => root,
        AppStatus::Stopped(_) | AppStatus::Starting | AppStatus::Stopping => None,
    });
    let root = root.ok_or_else(|| format!("{app} is neither a registered name nor a running app"))?;
    parts.try_fold(root, |pid, part| {
        let rows = runtime.which_children(pid).unwrap_or_default();
        let row = rows.iter().find(|row| is_called(&row.id, part));
        row.and_then(|row| row.pid).ok_or_else(|| format!("{place}: there is no running child {part}"))
    })
}

/// Compares a child id with a part of a path. An id can be any value, and a path contains its text
/// form.
fn is_called(id: &[u8], part: &str) -> bool {
    let name = match term::to_json(id) {
        Ok(Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => return false,
    };
    name == part
}
