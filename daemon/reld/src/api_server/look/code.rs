//! Apps, modules and libraries.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_loader::Resident;
use reld_runtime::{self as runtime, Place, ProcessInfo};
use serde_json::Value;

use super::words::{json, millis};
use crate::api_server::api::Api;
use crate::api_server::libraries::libraries;
use crate::node::Shared;

pub(in crate::api_server) fn apps(api: &Api) -> r::AppList {
    let (specs, code, processes) =
        (api.shared.lock().apps.clone(), api.runtime.code(), api.runtime.processes());
    let app = |(spec, status): (runtime::AppSpec, runtime::AppStatus)| r::App {
        status: match &status {
            runtime::AppStatus::Running { .. } => r::AppStatus::Running,
            runtime::AppStatus::Stopped(Some(_)) => r::AppStatus::Ended,
            _ => r::AppStatus::Loaded,
        },
        reason: match status {
            runtime::AppStatus::Stopped(exit) => exit.map(|exit| exit.to_string()),
            _ => None,
        },
        start_type: specs
            .iter()
            .find(|(name, _)| name.as_str() == spec.name)
            .map_or_else(|| "permanent".to_owned(), |(_, spec)| spec.start_type.to_string()),
        modules: code
            .iter()
            .filter(|version| version.app == spec.name && version.place == Place::Current)
            .map(|version| version.module.clone())
            .collect(),
        processes: processes.iter().filter(|info| info.app == spec.name).count() as u64,
        env: environment(api, &spec.name),
        name: spec.name,
        version: spec.version,
    };
    r::AppList { apps: api.runtime.applications().into_iter().map(app).collect() }
}

pub(in crate::api_server) fn environment(api: &Api, app: &str) -> BTreeMap<String, Value> {
    let values = api.runtime.environment(app).unwrap_or_default();
    values.iter().map(|(key, value)| (key.clone(), json(value))).collect()
}

pub(in crate::api_server) fn code(api: &Api, module: Option<&str>) -> Result<r::CodeTable, ErrorReport> {
    let versions = api.runtime.code();
    let wanted = |name: &str| module.is_none_or(|module| module == name);
    let mut names: Vec<&str> =
        versions.iter().map(|version| version.module.as_str()).filter(|n| wanted(n)).collect();
    names.dedup();
    if let (Some(module), true) = (module, names.is_empty()) {
        return Err(not_loaded(module));
    }
    let processes = api.runtime.processes();
    let mut users: HashMap<&str, u64> = HashMap::new();
    for info in processes.iter().filter(|info| !info.is_old) {
        *users.entry(&info.module).or_default() += 1;
    }
    let current_users = |name: &str| users.get(name).copied().unwrap_or_default();
    let row = |name: &&str| module_row(api, name, &versions, current_users(name));
    let modules: Vec<r::Module> = names.iter().map(row).collect();
    let is_asked =
        |library: &r::Library| module.is_none() || modules.iter().any(|module| module.app == library.app);
    let libraries = libraries(api, &api.runtime.census()).into_iter().filter(is_asked).collect();
    Ok(r::CodeTable { modules, libraries, residents: residents(api) })
}

/// Returns the purged libraries that are still mapped.
pub(in crate::api_server) fn residents(api: &Api) -> Vec<r::Resident> {
    let purged = api.loader.residents().into_iter().filter_map(|library| {
        let since = library.condemned?;
        Some(r::Resident {
            app: library.app,
            version: library.version,
            bytes: library.bytes.unwrap_or_default(),
            reason: library.reason,
            for_ms: millis(since.elapsed()),
        })
    });
    purged.collect()
}

/// Returns the libraries with a function that the daemon has called and that does not return.
pub(in crate::api_server) fn late(api: &Api) -> Vec<Resident> {
    api.loader.residents().into_iter().filter(|library| library.stuck.is_some()).collect()
}

pub(in crate::api_server) fn not_loaded(module: &str) -> ErrorReport {
    ErrorReport::refused(ErrorCode::NotLoaded, format!("module {module} is not loaded"))
        .with_hint("`relctl code` lists the modules")
}

pub(in crate::api_server) fn module_row(
    api: &Api,
    name: &str,
    versions: &[runtime::Version],
    current_processes: u64,
) -> r::Module {
    let at = |place| versions.iter().find(|version| version.module == name && version.place == place);
    let current = at(Place::Current);
    r::Module {
        module: name.to_owned(),
        app: versions
            .iter()
            .find(|version| version.module == name)
            .map(|version| version.app.clone())
            .unwrap_or_default(),
        current: current.map(|version| version.version.clone()),
        current_processes,
        old: at(Place::Old).map(|version| r::OldCode {
            version: version.version.clone(),
            lingering: lingering(api, |info| info.module == name),
        }),
    }
}

/// Returns the processes that run old code.
pub(in crate::api_server) fn lingering(api: &Api, wanted: impl Fn(&ProcessInfo) -> bool) -> Vec<r::Lingerer> {
    let old = api.runtime.processes().into_iter().filter(|info| info.is_old && wanted(info));
    let shared = api.shared.lock();
    old.map(|info| lingerer(api, &shared, &info)).collect()
}

pub(in crate::api_server) fn lingerer(api: &Api, shared: &Shared, info: &ProcessInfo) -> r::Lingerer {
    let since = shared.old_since.get(&info.module).copied().unwrap_or_else(Instant::now);
    r::Lingerer {
        pid: info.pid.to_string(),
        name: info.names.first().cloned(),
        supervisor: info.parent.map(|parent| api.runtime.called(parent)),
        module: info.module.clone(),
        version: info.version.clone(),
        since_ms: millis(since.elapsed()),
    }
}
