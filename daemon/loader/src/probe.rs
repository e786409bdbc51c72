//! Reads the description of a library without running a node.

use std::fs;
use std::path::{Path, PathBuf};

use reld_runtime::Behaviour;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::block::{Block, Table};
use crate::check::{self, Facts};
use crate::error::{LoadError, Refusal};
use crate::image::{Mapping, hex};
use crate::library;
use crate::outbound;

/// The description of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The app's name.
    pub app: String,
    /// The app's version.
    pub version: String,
    /// The ABI version that it was built for, as `major.minor`.
    pub abi: String,
    /// The compiler and SDK version that built it, for display.
    pub built_by: String,
    /// The GNU build id in hexadecimal digits.
    pub build_id: String,
    /// The names of the shared libraries that it needs.
    pub needed: Vec<String>,
    /// The reason why the library will stay mapped when it is purged, or `None` if its file shows
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
    /// The modules of the library, in the order of its table.
    pub modules: Vec<ProbedModule>,
}

/// A module of a probed library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedModule {
    /// The module's name.
    pub name: String,
    /// OTP's name of the behaviour, or `task` for a process with a loop of its own.
    pub behaviour: String,
    /// The schema of the values that the module reads and writes, or `None` if the library does not
    /// provide one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl ProbeReport {
    /// Checks that the library from the file at `path` has this app name and version. Every load
    /// makes the same check.
    ///
    /// # Errors
    /// [`Refusal::Identity`].
    pub fn confirm(&self, path: &Path, app: &str, version: &str) -> Result<(), LoadError> {
        library::check_identity([app, version], [&self.app, &self.version])
            .map_err(|refusal| LoadError::new(path, refusal))
    }
}

/// Reads the description of a library. Four kinds of its code run: its constructors, its entry
/// function, the schema functions of its modules and, when the OS process ends, its destructors.
///
/// Must be called in a child process (`reld probe FILE`), because foreign constructors may crash
/// it. The file must not change meanwhile, and an OS process can probe a path only once.
///
/// # Errors
/// Every [`Refusal`] of the check of the file and of its magic block, and the refusal of a module
/// that fails to write its schema.
pub fn probe(path: &Path) -> Result<ProbeReport, LoadError> {
    look(path).map_err(|refusal| LoadError::new(path, refusal))
}

fn look(path: &Path) -> Result<ProbeReport, Refusal> {
    // The path must be absolute, because `dlopen` searches its own folders for a bare name.
    let path: PathBuf = path.canonicalize().map_err(Refusal::Read)?;
    let facts = check::check(&fs::read(&path).map_err(Refusal::Read)?)?;
    // The app's name is not known yet, because it is in the block.
    let block = Mapping::open("", &path, &facts)?.block()?;
    library::check_panics(&block, &facts)?;
    report(block, facts)
}

fn report(block: Block, facts: Facts) -> Result<ProbeReport, Refusal> {
    let (major, minor) = block.abi;
    Ok(ProbeReport {
        app: block.name,
        version: block.version,
        abi: format!("{major}.{minor}"),
        built_by: block.built_by,
        build_id: hex(&facts.build_id),
        needed: facts.needed,
        stays: facts.stays,
        modules: block.modules.into_iter().map(module).collect::<Result<_, _>>()?,
    })
}

fn module(table: Table) -> Result<ProbedModule, Refusal> {
    let behaviour = match table.behaviour {
        Behaviour::GenServer => "gen_server",
        Behaviour::Supervisor => "supervisor",
        Behaviour::Application => "application",
        Behaviour::Task => "task",
        Behaviour::GenStatem => "gen_statem",
        Behaviour::GenEvent => "gen_event",
        Behaviour::EventHandler => "event_handler",
    };
    let schema = schema(&table)?;
    Ok(ProbedModule { name: table.name, behaviour: behaviour.to_owned(), schema })
}

/// Calls the schema function of a module.
fn schema(table: &Table) -> Result<Option<Value>, Refusal> {
    let bad = |problem: String| Refusal::Module { module: table.name.clone(), problem };
    let bytes = outbound::schema(table).map_err(|exit| bad(format!("its schema function failed: {exit}")))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let schema = serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("its schema is not valid JSON: {error}")))?;
    Ok(Some(schema))
}
