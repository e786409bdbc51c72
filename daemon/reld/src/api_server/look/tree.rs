//! Supervision trees.

use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_runtime::{self as runtime, Behaviour, Child, Node, ProcessInfo};
use reld_wire::Pid;
use serde_json::Value;

use super::processes::sys_error;
use super::words::{age, behaviour, json, process_status};
use crate::api_server::api::Api;

pub(in crate::api_server) fn tree(api: &Api, request: &q::Tree) -> Result<r::Forest, ErrorReport> {
    if let Some(supervisor) = &request.supervisor {
        let pid = api.find_supervisor(supervisor)?;
        let node = api.runtime.tree(pid).ok_or_else(|| sys_error(&runtime::SysError::Noproc(pid)))?;
        return Ok(r::Forest { roots: vec![place(&node, false)], outside: Vec::new() });
    }
    let apps = api.runtime.applications();
    if let Some(app) = &request.app
        && !apps.iter().any(|(spec, _)| spec.name == *app)
    {
        return Err(ErrorReport::refused(ErrorCode::NoSuchApplication, format!("there is no app {app}"))
            .with_hint("`relctl apps` lists the apps"));
    }
    let roots = apps.iter().filter(|(spec, _)| request.app.as_ref().is_none_or(|app| spec.name == *app));
    let roots = roots.filter_map(|(_, status)| match status {
        runtime::AppStatus::Running { root: Some(root), .. } => api.runtime.tree(*root),
        _ => None,
    });
    let outside = if request.app.is_none() { outside(api) } else { Vec::new() };
    Ok(r::Forest { roots: roots.map(|node| place(&node, true)).collect(), outside })
}

/// Returns the processes without a supervisor. Application processes are left out, because their
/// supervision trees are shown.
pub(in crate::api_server) fn outside(api: &Api) -> Vec<r::TreeNode> {
    let without = |info: &ProcessInfo| info.parent.is_none() && info.behaviour != Behaviour::Application;
    let loose = api.runtime.processes().into_iter().filter(without);
    loose.filter_map(|info| api.runtime.tree(info.pid)).map(|node| place(&node, false)).collect()
}

pub(in crate::api_server) fn place(node: &Node, root: bool) -> r::TreeNode {
    let process = node.process.as_ref();
    let children: Vec<r::TreeNode> = node.children.iter().map(|child| place(child, false)).collect();
    let related = |pid: &Pid| {
        process.and_then(|info| info.parent) == Some(*pid)
            || node.children.iter().any(|child| child.child.pid() == Some(*pid))
    };
    r::TreeNode {
        id: node.id.as_deref().map_or(Value::Null, json),
        pid: node.child.pid().map(|pid| pid.to_string()),
        name: process.and_then(|info| info.names.first().cloned()),
        behaviour: process.map_or(
            if node.is_supervisor { r::Behaviour::Supervisor } else { r::Behaviour::GenServer },
            |info| behaviour(info.behaviour),
        ),
        root,
        app: process.map(|info| info.app.clone()).unwrap_or_default(),
        module: node.module.clone(),
        version: process.map(|info| info.version.clone()),
        code: process.map(age),
        status: match node.child {
            Child::Stopped => r::ProcessStatus::NotStarted,
            Child::Restarting => r::ProcessStatus::Restarting,
            Child::Starting(_) | Child::Running(_) => {
                process.map_or(r::ProcessStatus::Running, process_status)
            }
        },
        links: process
            .and_then(|info| info.ties.as_ref())
            .map(|ties| ties.links.iter().filter(|pid| !related(pid)).map(Pid::to_string).collect())
            .unwrap_or_default(),
        children,
    }
}
