//! What a library says about itself, for whoever wants to know without running a node.

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

/// What a library says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The app's name.
    pub app: String,
    /// The app's version.
    pub version: String,
    /// The version of the boundary it was built for, as `major.minor`.
    pub abi: String,
    /// What built it, for people.
    pub built_by: String,
    /// The GNU build id in hexadecimal digits.
    pub build_id: String,
    /// The shared libraries that it needs.
    pub needed: Vec<String>,
    /// Why it will stay mapped when it is purged; `None` where nothing in its file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
    /// Its modules, in its own order.
    pub modules: Vec<ProbedModule>,
}

/// A module of a probed library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedModule {
    /// The module's name.
    pub name: String,
    /// OTP's word for its behaviour; `task` for a home-brewed process.
    pub behaviour: String,
    /// What it reads and writes; `None` where the library does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl ProbeReport {
    /// Sees that the library in the file at `path`, which said this, is that version of that app, as every load does.
    ///
    /// # Errors
    /// [`Refusal::Identity`].
    pub fn confirm(&self, path: &Path, app: &str, version: &str) -> Result<(), LoadError> {
        library::check_identity([app, version], [&self.app, &self.version])
            .map_err(|refusal| LoadError::new(path, refusal))
    }
}

/// Reads what a library says about itself. Runs its constructors, its entry, the functions that
/// describe its modules and, when the process ends, its destructors; nothing else of it.
///
/// To be called in a process that may die of it, since constructors are foreign code: `reld probe FILE` as a child.
/// The file must not change meanwhile, and a path can be probed once in a process.
///
/// # Errors
/// Every [`Refusal`] of the file's check and of its magic block, and a module that fails to describe itself.
pub fn probe(path: &Path) -> Result<ProbeReport, LoadError> {
    look(path).map_err(|refusal| LoadError::new(path, refusal))
}

fn look(path: &Path) -> Result<ProbeReport, Refusal> {
    // Absolute, since the system's loader searches its own folders for a bare name.
    let path: PathBuf = path.canonicalize().map_err(Refusal::Read)?;
    let facts = check::check(&fs::read(&path).map_err(Refusal::Read)?)?;
    // Whose it is only its block says.
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

/// Asks a module to describe itself.
fn schema(table: &Table) -> Result<Option<Value>, Refusal> {
    let bad = |problem: String| Refusal::Module { module: table.name.clone(), problem };
    let bytes = outbound::schema(table).map_err(|exit| bad(format!("its schema was not written: {exit}")))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let schema =
        serde_json::from_slice(&bytes).map_err(|error| bad(format!("its schema is no JSON: {error}")))?;
    Ok(Some(schema))
}
