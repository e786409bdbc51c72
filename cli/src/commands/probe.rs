//! Inspects a library with `reld probe FILE --json`, in a child OS process, because the library may
//! crash or hang.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use reld_plan::{AppName, Interface, ModuleName, ModuleSchema, Schemas, Vsn};
use reld_store::{Abi, Probe, Probed};
use serde::Deserialize;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::time::timeout;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The time limit of a probe, including idle time.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct ReldProbe {
    runtime: Handle,
    reld: PathBuf,
}

/// The fields of the output of `reld probe --json` that the packer needs.
#[derive(Debug, Deserialize)]
struct Printed {
    app: AppName,
    version: Vsn,
    abi: String,
    #[serde(default)]
    stays: Option<String>,
    modules: Vec<PrintedModule>,
}

#[derive(Debug, Deserialize)]
struct PrintedModule {
    name: ModuleName,
    behaviour: String,
    #[serde(default)]
    schema: Option<Interface>,
}

/// Returns the daemon's program, by default the one next to relctl.
pub(super) fn daemon(named: Option<PathBuf>) -> PathBuf {
    let beside = || env::current_exe().ok().map(|relctl| relctl.with_file_name("reld"));
    named.or_else(|| beside().filter(|reld| reld.exists())).unwrap_or_else(|| "reld".into())
}

impl ReldProbe {
    /// Returns a probe that runs this daemon, by default the one next to relctl. Must be created
    /// inside the tokio runtime and used only on its blocking threads.
    pub(super) fn new(reld: Option<PathBuf>) -> Self {
        Self { runtime: Handle::current(), reld: daemon(reld) }
    }

    async fn output(&self, library: &Path) -> Result<Output, Fault> {
        let args = [OsStr::new("limited"), OsStr::new("--"), self.reld.as_os_str(), OsStr::new("probe")];
        let child = Command::new(env::current_exe()?)
            .args(args)
            .arg(library)
            .arg("--json")
            .kill_on_drop(true)
            .output();
        let late = |_| format!("inspecting it took longer than {} s", PATIENCE.as_secs());
        Ok(timeout(PATIENCE, child).await.map_err(late)??)
    }
}

impl Probe for ReldProbe {
    fn probe(&self, library: &Path) -> Result<Probed, Fault> {
        let output = self.runtime.block_on(self.output(library))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "`{} probe` failed, {}\n{}",
                self.reld.display(),
                output.status,
                stderr.trim_end()
            )
            .into());
        }
        probed(serde_json::from_slice(&output.stdout)?)
    }
}

fn probed(printed: Printed) -> Result<Probed, Fault> {
    let applications = printed.modules.iter().filter(|module| module.behaviour == "application");
    Ok(Probed {
        applications: applications.map(|module| module.name.clone()).collect(),
        name: printed.app,
        version: printed.version,
        modules: printed.modules.iter().map(|module| module.name.clone()).collect(),
        schemas: Schemas { modules: printed.modules.into_iter().map(schema).collect() },
        abi: abi(&printed.abi)?,
        stays: printed.stays,
        // The probe has opened the library on this machine, so the targets agree.
        target: format!("{}-unknown-linux-gnu", env::consts::ARCH),
    })
}

fn schema(module: PrintedModule) -> (ModuleName, ModuleSchema) {
    (module.name, ModuleSchema { behaviour: module.behaviour, interface: module.schema })
}

fn abi(text: &str) -> Result<Abi, Fault> {
    let (major, minor) = text.split_once('.').ok_or_else(|| format!("{text:?} is not an ABI version"))?;
    Ok(Abi { major: major.parse()?, minor: minor.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, expected: Result<Probed, &str>) {
        let answer = serde_json::from_str(printed).map_err(Fault::from).and_then(probed);
        assert_eq!(answer.map_err(|fault| fault.to_string()), expected.map_err(str::to_owned));
    }

    fn known(behaviour: &str, interface: Option<Interface>) -> ModuleSchema {
        ModuleSchema { behaviour: behaviour.to_owned(), interface }
    }

    #[test]
    fn the_output_of_reld_probe_becomes_the_packers_input() {
        let casts = Interface { cast: Some(true.into()), ..Interface::default() };
        check(
            r#"{"app": "counter", "version": "0.1.1", "abi": "1.3", "built_by": "rustc", "build_id": "ab", "needed": [], "stays": "imports putenv",
                "modules": [{"name": "counter", "behaviour": "gen_server", "schema": {"cast": true}}, {"name": "app", "behaviour": "application"}]}"#,
            Ok(Probed {
                name: "counter".parse().unwrap(),
                version: "0.1.1".parse().unwrap(),
                modules: vec!["counter".parse().unwrap(), "app".parse().unwrap()],
                applications: vec!["app".parse().unwrap()],
                schemas: Schemas {
                    modules: [
                        ("counter".parse().unwrap(), known("gen_server", Some(casts))),
                        ("app".parse().unwrap(), known("application", None)),
                    ]
                    .into(),
                },
                abi: Abi { major: 1, minor: 3 },
                stays: Some("imports putenv".to_owned()),
                target: format!("{}-unknown-linux-gnu", env::consts::ARCH),
            }),
        );
        check(
            r#"{"app": "a", "version": "1.0.0", "abi": "one", "modules": []}"#,
            Err(r#""one" is not an ABI version"#),
        );
    }
}
