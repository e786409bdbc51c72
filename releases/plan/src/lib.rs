//! Release documents and the planner: pure code from appups to a script.
//!
//! - **Purpose**: parses and prints `app.toml`, `appup.toml` and `release.toml`, parses
//!   `config.toml` and `rollout.toml`; translates appups into a relup as Erlang/OTP does; turns the
//!   relup into one window for the whole release; checks every script; drafts appups.
//! - **Promises**: the same documents always give the same plan. A mistake is reported with its
//!   place and with OTP's name for it. If there are several mistakes, the planner reports the one
//!   that OTP would report.
//! - **Must not use**: files, clocks, threads, OS processes. Callers read the files and pass the
//!   texts.
//!
//! ```
//! use reld_plan::{AppDocs, Rel, Release, plan};
//!
//! let release = |vsn: &str, app_vsn: &str, appup: Option<&str>| {
//!     let app = format!("name = 'counter'\nversion = '{app_vsn}'\nmodules = ['counter']");
//!     let rel = format!(
//!         "name = 'shop'\nversion = '{vsn}'\ndaemon = '1.0.0'\n[[app]]\nname = 'counter'\nversion = '{app_vsn}'"
//!     );
//!     let docs = AppDocs::parse(("app.toml", &app), appup.map(|text| ("appup.toml", text)))?;
//!     Release::new(Rel::parse("release.toml", &rel)?, [docs])
//! };
//! let appup = "app = 'counter'\nversion = '0.1.1'\n[[up]]\nfrom = '0.1.0'\ninstructions = [{ update = 'counter' }]";
//! let script = plan(&release("1.0.0", "0.1.0", None)?, &release("1.1.0", "0.1.1", Some(appup))?)?;
//! let words: Vec<_> = script.steps.iter().map(|step| step.action.word()).collect();
//! assert_eq!(words, ["load_object_code", "load", "suspend", "switch", "resume"]);
//! # Ok::<(), reld_plan::PlanError>(())
//! ```

mod app;
mod apply;
mod appup;
mod behaviours;
mod boot;
mod boot_error;
mod bootable;
mod check;
mod coalesce;
mod collect;
mod config;
mod detour;
mod diff;
mod doc_error;
mod dropped;
mod environment;
mod error;
mod facts;
mod fleet_file;
mod graph;
mod group;
mod instr;
mod instr_print;
mod instr_read;
mod keys;
mod misfit;
mod name;
mod order;
mod plan;
mod print;
mod quote;
mod read;
mod reason;
mod rel;
mod release;
mod relup;
mod relup_file;
mod relup_json;
mod relup_print;
mod revision;
mod rollout;
mod schemas;
mod script;
mod script_print;
mod start_order;
mod states;
mod syntax;
mod translate;
mod version;
mod warning;
mod way_back;
mod window;
mod windows;

pub use app::{App, StartPhase};
pub use apply::BuiltIn;
pub use appup::{Appup, Entry, Written, WrongInstruction};
pub use behaviours::Behaviours;
pub use boot_error::BootError;
pub use check::{CheckError, Rule};
pub use config::{Config, ConfigEdit};
pub use detour::detour;
pub use diff::{AppChange, AppDiff, Diff, Finding, KeyDiff, ModuleChange, ModuleDiff, PackedRelease, diff};
pub use doc_error::DocError;
pub use dropped::Dropped;
pub use environment::{Layers, Origin};
pub use error::PlanError;
pub use fleet_file::FleetFile;
pub use instr::{
    Apply, Change, CodeChange, HighLevel, Instruction, LowLevel, ModType, Mode, PurgeMethod, PurgeWords,
    Suspend, SyncWith, Timeout,
};
pub use keys::{DOCUMENTS, Document, Key, Table};
pub use misfit::misfits;
pub use name::{AppName, ModuleName, NameError};
pub use plan::{pick_direction, plan, plan_direction, plan_windows};
pub use quote::{bounded, printable};
pub use reason::{Cause, Reason};
pub use rel::{Rel, RelApp, StartType};
pub use release::{AppDocs, AppupFile, Release, ReleaseApp};
pub use relup::{Line, Relup, RelupOptions, Relups, make_relup, make_relups};
pub use relup_file::{RelupEntry, RelupFile};
pub use revision::{Anew, Revision};
pub use rollout::{OnFailure, Rollout, Share};
pub use schemas::{ChildSpec, Interface, ModuleSchema, Schemas, SupervisorSpec};
pub use script::{Action, Mark, Member, MemberChange, Order, Script, Step};
pub use syntax::InstructionError;
pub use version::{Vsn, VsnError, VsnMatch};
pub use warning::Warning;
pub use way_back::Moved;
pub use windows::Windows;
