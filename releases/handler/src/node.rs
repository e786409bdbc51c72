//! What the handler needs of a node, in the handler's own words.
//!
//! The trait is the only road from releases to processes. Three rules make a saga over it short:
//!
//! - **A verb that answers an error has left nothing behind.** Only what answered `Ok` has to be undone. (`convert` alone
//!   leaves the shadow states made so far, since [`discard`](Node::discard) takes back all of them at once anyway.)
//! - **Every verb that waits has a deadline or a limit** and answers an error when it passes. A thread of an app that never comes
//!   back is the node's to replace; the verb does not wait for it longer.
//! - **The old thing is kept until [`switch`](Node::switch)**, so undoing is putting back. The verbs that only put
//!   back or flip tables in memory have no way to fail.
//!
//! The verbs are called from one thread, one at a time, in this order (in brackets what takes a verb back):
//!
//! ```text
//! load [unload] .. apply [apply]        functions of current code; children get other ids
//! stop_application [start_application]  apps that are restarted
//! stage [unstage]                       staged code is seen by the script's own starts and conversions only
//! start_application [stop_application, unload_application]    added and restarted apps start beside the old code
//! precopy [discard]                     shadow states beside the live ones, while everything runs
//! raise [lower]                         members come to rest, starts of their modules are held
//! convert [discard], apply [apply]      shadow states of those that have none, or ran since
//! comparison                            nobody was forgotten
//! switch                                the point of no return
//! kill, lower, sweep, config_change, stop_.., unload_application, stop_children, purge
//!                                       can leave something over, never fail the upgrade
//! start_children, call                  where one fails, the handler goes back by a downgrade
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reld_plan::{
    AppName, Apply, Behaviours, BuiltIn, Dropped, MemberChange, Mode, ModuleName, PurgeMethod, StartPhase,
    StartType, Vsn,
};
use serde::Serialize;
use serde_json::Value;

use crate::error::NodeError;
use crate::interrupt::Interrupt;
use crate::process::{Pid, Process};

/// A node as the release handler sees it.
pub trait Node {
    /// Returns the modules that have old code, with who still runs it. OTP: `check_old_code`, `check_process_code`.
    fn old_code(&self) -> Vec<OldCode>;

    /// Returns the processes that use the current code of these modules but are no members of a gate over them.
    ///
    /// Unlike OTP, which never learns of them, a process outside every supervision tree is found here.
    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider>;

    /// Returns the apps that run, each with its process; a library app has none. OTP: `which_applications`.
    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>>;

    /// Returns the apps that have ended by themselves although the node cannot be without them, and why.
    fn fallen(&self) -> Vec<(AppName, String)>;

    /// Returns the processes of an app.
    fn processes_of(&self, app: &AppName) -> Vec<Process>;

    /// Loads a library where it can hurt nobody, in a process that is thrown away: its constructors run there first. Returns
    /// what was found. One that this node has looked at so before is not looked at again.
    ///
    /// # Errors
    /// [`NodeError::Load`] with what the library did there.
    fn probe(&self, library: &Library) -> Result<Tried, NodeError>;

    /// Says whether an app could be given what its spec says: its environment, and the arguments of its start phases.
    /// Returns why not.
    fn refuses_spec(&self, app: &AppSpec) -> Option<String>;

    /// Returns how many threads that the library of an app started itself still run.
    fn threads(&self, app: &AppName, vsn: &Vsn) -> usize;

    /// Says what an upgrade would meet: asks the code that is to come, in a process that is thrown away, what it wants of
    /// the supervisors that run, and whether it takes what it would get. Runs none of it in the node, and asks no
    /// process.
    ///
    /// What has been answered once for a library is not asked again. Where code crashes or does not answer in time, that
    /// is what is said.
    fn foresee(&self, coming: &[Coming<'_>], look: Look) -> Foreseen;

    /// Asks a library that is to come, in a process that is thrown away, whether it would take a call of one of its
    /// functions. Returns why not; `None` also where it could not be asked.
    fn refuses(&self, library: &Library, call: &Apply) -> Option<String>;

    /// Returns what happened to the members since the last [`stage`](Node::stage), until the sweep after it.
    ///
    /// It is read from a journal of starts and exits, so that asking costs nothing per living process.
    fn comparison(&self) -> Comparison;

    /// Returns the supervisor that built-in calls name so: by its registered name, or its place as `app/child`.
    fn supervisor(&self, place: &str) -> Option<Pid>;

    /// Returns a supervisor's children; `None` where they have no ids, or it is none.
    fn children(&self, supervisor: Pid) -> Option<Vec<Child>>;

    /// Returns who ended abnormally since the last [`switch`](Node::switch), of several windows since the first one's, the
    /// first ones first. A node may leave out all but the first few.
    fn crashes(&self) -> Vec<Exited>;

    /// Returns the version of the daemon that a restart of the node would execute.
    ///
    /// # Errors
    /// [`NodeError::Successor`] where there is none that runs.
    fn successor(&self) -> Result<Vsn, NodeError>;

    /// Returns the images that are mapped although no module of them is current, old or staged.
    fn residents(&self) -> Vec<Resident>;

    /// Loads the library of an app version; its modules are neither current nor staged yet. OTP: `load_object_code`.
    ///
    /// Everything that can fail about foreign code fails here: digest, ELF, ABI, build id, missing modules. A node may
    /// answer with an image that it already has of the same app, version and digest. A wish that comes meanwhile is an
    /// error: the code of a library may take its time.
    fn load(
        &mut self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Image, NodeError>;

    /// Takes a [`load`](Node::load) back: gives an image back that is not staged. One that has current or old code stays.
    ///
    /// After a purge the node gives images back by itself. Whether and when one is unmapped is its own affair
    /// ([`residents`](Node::residents) shows what is not).
    fn unload(&mut self, image: Image) -> Result<(), NodeError>;

    /// Makes modules, removals and app specs the next current ones, and begins the journal.
    ///
    /// Until the switch only conversions and starts that the handler asks for see them.
    fn stage(&mut self, staging: &Staging) -> Result<(), NodeError>;

    /// Forgets what was staged.
    fn unstage(&mut self);

    /// Starts an app of the staged specs, or after the switch of the current ones; returns when it runs.
    ///
    /// An app that has no module to start, or the type `load` or `none`, only becomes known.
    /// OTP: `application:start(App, Type)`.
    fn start_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError>;

    /// Stops an app, which stays known. One that does not run is stopped. OTP: `application:stop`.
    ///
    /// Processes that do not end in their shutdown time are killed; an error means that some could not be, and says
    /// which. The app counts as stopped then, too.
    fn stop_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError>;

    /// Forgets an app that is stopped. OTP: `application:unload`.
    fn unload_application(&mut self, app: &AppName);

    /// Calls a function of an app: a process of the task module runs it, with its name and arguments as start argument.
    /// Staged code goes before current code. OTP: `apply`.
    ///
    /// # Errors
    /// [`NodeError::Apply`]: there is no such module, it did not take the arguments, the process did not end in time and
    /// was killed, or it ended otherwise than normally. (OTP takes no notice of an answer after the point of no return.)
    fn apply(&mut self, call: &Apply, deadline: Instant) -> Result<(), NodeError>;

    /// Carries a call of a built-in module out.
    ///
    /// # Errors
    /// [`NodeError::Call`] with the supervisor's or the application's own answer.
    fn call(&mut self, call: &BuiltIn, deadline: Instant) -> Result<(), NodeError>;

    /// Lets supervisors terminate the children that were held with [`Member::stop`]. `[lowered]` OTP: the instruction
    /// `stop`.
    ///
    /// # Errors
    /// [`NodeError::Call`] for the first that could not be; the others are terminated all the same.
    fn stop_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError>;

    /// Restarts the children of these modules that were stopped and still have their rows. OTP: the instruction `start`.
    ///
    /// # Errors
    /// [`NodeError::Call`] for the first that did not start.
    fn start_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError>;

    /// Tells each app that went on over the switch, and whose environment changed, what changed. Returns what they
    /// answered, where that is an error. OTP: `config_change`.
    fn config_change(&mut self, deadline: Instant) -> Vec<String>;

    /// Converts the states of a gate's members to shadow states while everything runs, so that few are left to convert
    /// when they are held.
    ///
    /// A member that runs afterwards loses its shadow state; the node goes over such members again,
    /// as often as it sees fit, and leaves the rest to [`convert`](Node::convert). Members of
    /// modules without a passage here are all left to it. The limit is for each state by itself.
    ///
    /// A passage with a way back is tried: each shadow state is carried back as well, to the code
    /// that runs, and what comes of that is dropped. It has the same limit, and no effect on the
    /// node.
    ///
    /// # Errors
    /// As [`convert`](Node::convert), and [`NodeError::NoWayBack`]. Nobody was held, and no shadow
    /// state is left.
    fn precopy(&mut self, gate: &Gate, passages: &[Passage], limit: Duration)
    -> Result<Precopied, NodeError>;

    /// Raises the gate: holds starts of the members' modules, lets the members drain, returns when all are at rest.
    ///
    /// Takes no longer for members that a [`precopy`](Node::precopy) over the same modules found at rest and that have
    /// not run since, however many they are.
    ///
    /// Members are the supervised processes of the gate's modules and the direct supervisors of those; processes that
    /// were suspended by hand are members too and stay suspended afterwards. The deadline counts for members without
    /// a time of their own.
    ///
    /// # Errors
    /// [`NodeError::NotAtRest`] names every member under [`Unrest::Abort`] that did not come to rest in time.
    fn raise(&mut self, gate: &Gate, deadline: Instant) -> Result<Raised, NodeError>;

    /// Converts the states of those members of one module to shadow states that have none. [gate raised] OTP:
    /// `code_change`.
    ///
    /// The live states are not touched, and what a conversion sends is kept until the switch. The limit is for each state
    /// by itself, so that more processes have more time.
    ///
    /// # Errors
    /// [`NodeError::ChangeCode`] or [`NodeError::ChangeCodeTimedOut`], naming the process, or [`NodeError::Starved`]. Shadow states made before
    /// the error, by this call too, stay until [`discard`](Node::discard).
    fn convert(&mut self, conversion: &Conversion, limit: Duration) -> Result<Converted, NodeError>;

    /// Drops all shadow states and what their conversions sent.
    fn discard(&mut self);

    /// Makes everything that is staged current, and the shadow states the states. [gate raised]
    ///
    /// In memory, a few pointers. What was current becomes old; what was old already is *condemned*: it is no longer
    /// found by name, and [`purge`](Node::purge) of [`Slot::Condemned`] ends it. Where the very image in the old slot
    /// becomes current again, the slots are swapped and nothing is condemned.
    ///
    /// At boot there is no gate, and nobody who could be at rest.
    fn switch(&mut self);

    /// Lowers the gate: held starts go on, members take their mail. Says how long each member was held.
    fn lower(&mut self) -> Pause;

    /// Moves the shadow states that nobody has taken yet into place and drops the old states. `[switched]`
    ///
    /// Returns when no member holds a state of old code, or at the deadline.
    fn sweep(&mut self, deadline: Instant);

    /// Kills processes; those that are gone already do not matter.
    fn kill(&mut self, pids: &[Pid]);

    /// Drops code that nobody runs; brutally, ends those first who do. OTP: `soft_purge`, `purge`.
    ///
    /// Images that have no code left are given back. A module without code in that slot is purged already.
    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod, deadline: Instant)
    -> Purged;
}

/// A loaded library, as the node numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Image(pub u64);

/// A module that is to be replaced, for [`Node::foresee`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coming<'a> {
    /// The module.
    pub module: &'a ModuleName,
    /// The library that it would come from.
    pub library: &'a Library,
    /// What would become of its processes.
    pub change: MemberChange,
    /// What would be left out of their states.
    pub dropped: &'a Dropped,
    /// The schemas say that a state may not be read: whatever [`Look`] is wanted, states are asked
    /// about.
    pub is_doubtful: bool,
}

/// How much is to be foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// What holds for as long as the tree does not change: before an install. States that may not
    /// be read, too.
    Tree,
    /// Also what holds for this moment only: states, and messages that wait.
    Moment,
}

/// What an upgrade would meet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Foreseen {
    /// How the children of supervisors would change.
    pub children: Vec<ForeseenChildren>,
    /// What the code that is to come does not take.
    pub refused: Vec<ForeseenRefusal>,
    /// The supervisors of which nobody knows what their children will be, and why.
    pub unknown: Vec<String>,
    /// What else was not asked about, or could not be, and why.
    pub unasked: Vec<String>,
}

/// How the child specs of one supervisor would change.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenChildren {
    /// Which ids would go and come.
    pub changed: ChangedChildren,
    /// Ids that stay, with another spec.
    pub differing: Vec<Value>,
}

/// Something that code which is to come does not take.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenRefusal {
    /// Whose it is: of a start argument the supervisor.
    pub process: Process,
    /// What it is.
    pub what: Refusable,
    /// The module that does not take it.
    pub module: ModuleName,
    /// The module's version.
    pub vsn: Vsn,
    /// Why.
    pub reason: String,
}

/// What can be refused by code.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusable {
    /// The start argument of the child of this id, which would be started again with it.
    StartArgument(Value),
    /// The state.
    State,
    /// A message in the mailbox.
    Message,
    /// What the supervisor was started with, of which its init is asked what it wants.
    Init,
}

/// What was found of a library that was tried in another process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// What its modules are, as it says itself.
    pub behaviours: Behaviours,
    /// Why its code will stay in memory when it is replaced, where that is known.
    pub stays: Option<String>,
}

/// The library of one app version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its app.
    pub app: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// The app's folder, which its processes may read (`priv/`).
    pub dir: PathBuf,
    /// The library itself. The node loads a private copy, never this file.
    pub file: PathBuf,
    /// SHA-256 of the file, in 64 hexadecimal digits.
    pub sha256: String,
    /// The modules that the library must have.
    pub modules: Vec<ModuleName>,
}

/// Everything that becomes current at the switch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Staging {
    /// New code, by module.
    pub modules: BTreeMap<ModuleName, Image>,
    /// Modules that will have no current code. Processes that run it become lingerers.
    pub removals: Vec<ModuleName>,
    /// Of `modules` those that every start takes from now on: the modules of apps that are restarted.
    pub at_once: Vec<ModuleName>,
    /// Windows of the same upgrade were carried out already: [`config_change`](Node::config_change) tells what changed
    /// since the first, and [`crashes`](Node::crashes) who crashed.
    pub continues: bool,
    /// The apps of the release gone to. One that is not among them keeps its spec until it is stopped.
    pub apps: Vec<AppSpec>,
}

/// An app as the node starts it. OTP: the application resource, with the environment that is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// Its name.
    pub name: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// Its folder.
    pub dir: PathBuf,
    /// The module with the application behaviour; `None` for a library app.
    pub start: Option<ModuleName>,
    /// What its end means to the node.
    pub start_type: StartType,
    /// The apps it needs.
    pub applications: Vec<AppName>,
    /// The phases of its start.
    pub start_phases: Vec<StartPhase>,
    /// Its configuration: `app.toml`, overridden by the release's `config.toml`.
    pub env: serde_json::Map<String, Value>,
}

/// Who is brought to rest, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The modules whose processes are members.
    pub members: Vec<Member>,
    /// What is done about the modules' processes outside every tree.
    pub orphans: OrphanPolicy,
    /// Children that are deleted right after the switch: the code that is to come need not take their start arguments.
    pub leaving: Vec<LeavingChild>,
}

/// A child that a script deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingChild {
    /// Its supervisor, by name or place.
    pub supervisor: String,
    /// Its id.
    pub id: Value,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub id: Value,
    /// Whether it runs, or is about to.
    pub runs: bool,
}

/// One module of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The module whose processes are brought to rest.
    pub module: ModuleName,
    /// How long each may take, where an instruction says so; else the gate's deadline counts.
    pub timeout: Option<Duration>,
    /// What is done about those that do not come to rest.
    pub unrest: Unrest,
    /// They are not converted, and stay suspended after the switch until [`stop_children`](Node::stop_children).
    pub stop: bool,
}

/// What is done about a member that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The gate is not raised.
    #[default]
    Abort,
    /// It is held where it is and killed right after the switch.
    Kill,
    /// It goes on in old code, and moves when its callback returns.
    Leave,
}

/// What is done about behaviour processes outside every supervision tree that use an updated module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanPolicy {
    /// The check refuses the upgrade; no gate ever sees this.
    #[default]
    Refuse,
    /// They are held and killed right after the switch.
    Kill,
    /// They are members like others.
    Include,
    /// They are left alone: their next message meets new code with a state of the old. OTP does this.
    Ignore,
}

/// What a pre-copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Precopied {
    /// How many processes had a shadow state before they were held, and did not run since.
    pub processes: usize,
    /// How often the node went over those that had none.
    pub rounds: usize,
    /// How long trials of the way back took, added up over all states.
    #[serde(skip)]
    pub trial: Duration,
}

/// What the gate brought to rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raised {
    /// How many members are at rest.
    pub at_rest: usize,
    /// How many of them have a shadow state already.
    pub precopied: usize,
    /// How many of these were tried on the way back.
    pub tried: usize,
    /// Members under [`Unrest::Leave`] that are not.
    pub left: Vec<Process>,
    /// Processes that are held to be killed right after the switch.
    pub doomed: Vec<Process>,
}

/// How the states of one module's processes are converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The module.
    pub module: ModuleName,
    /// What is done to a state.
    pub change: StateChange,
}

/// A conversion, and the way back of the states that it makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The conversion.
    pub conversion: Conversion,
    /// What is done to each new state to carry it back, where that is tried.
    pub back: Option<StateChange>,
}

/// What is done to a state.
#[derive(Debug, Clone, PartialEq)]
pub enum StateChange {
    /// It is written by the old code and read by the new one, without these places.
    Soft(Dropped),
    /// It goes through the newer code's `change_code`, with this data as `extra`.
    Advanced {
        /// Up: the new code converts. Down: the code that is left converts, then the older code reads.
        mode: Mode,
        /// Up: the version the states come from. Down: the version they go to.
        vsn: Vsn,
        /// For the app.
        extra: Value,
        /// Down: the places that the older code does not read of the answer.
        dropped: Dropped,
    },
    /// The new code's `init` is asked again with the original argument; child specs are merged, children stay.
    Supervisor,
}

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// How many shadow states it made.
    pub processes: usize,
    /// Which children changed, for each supervisor of the module where some did, whenever its shadow state was made.
    pub children: Vec<ChangedChildren>,
}

/// How the child specs of one supervisor changed. OTP: kept and new rows of a supervisor's code change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedChildren {
    /// The supervisor.
    pub supervisor: Process,
    /// Child ids of the old init that the new one does not name: their rows stay, and run on.
    pub vanished: Vec<Value>,
    /// Child ids that only the new init names: their rows are there, not started.
    pub added: Vec<Value>,
}

/// What happened to the members since staging.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Processes of staged modules that ended, whatever the reason.
    pub exits: Vec<Exited>,
    /// Processes of staged modules that were started or restarted.
    pub starts: Vec<Process>,
    /// Members at rest, of staged modules, that are alive and have no shadow state. Who was left or is doomed is no
    /// member.
    pub unconverted: Vec<Process>,
    /// How many calls to processes of staged modules were not answered before their callers gave up.
    pub timeouts: usize,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exited {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Its exit reason, for people.
    pub reason: String,
}

/// How long members were held, in microseconds, and how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pause {
    /// Half of the members were held no longer than this.
    pub p50_us: u64,
    /// 99 of 100 members were held no longer than this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// How many members were held.
    pub processes: usize,
}

/// Code that is not current and not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// What the last switch replaced.
    Old,
    /// What was old already at the last switch.
    Condemned,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Modules that have no code in the slot any more.
    pub modules: Vec<ModuleName>,
    /// Who was ended.
    pub killed: Vec<Process>,
    /// Who runs the code of the other modules.
    pub lingering: Vec<Lingerer>,
}

/// A process that runs old code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lingerer {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Its supervisor, by name or pid; `None` outside every tree.
    pub supervisor: Option<String>,
    /// The version of the code it runs.
    pub vsn: Vsn,
}

/// A module's old code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCode {
    /// The module.
    pub module: ModuleName,
    /// The version of the old code.
    pub vsn: Vsn,
    /// Who runs it.
    pub lingering: Vec<Lingerer>,
}

/// A process that uses a module and is no member of a gate over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The process.
    pub process: Process,
    /// Why it is none.
    pub kind: OutsiderKind,
}

/// Why a process is no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsiderKind {
    /// A behaviour process outside every supervision tree.
    Orphan,
    /// A task: its loop is its own, and it stays on its version until it ends or continues with a named entry.
    Task,
}

/// An image that is still mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// Its app.
    pub app: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// Why it is still mapped, for people.
    pub reason: String,
}
