//! The interface between the release handler and a node.
//!
//! The release handler accesses processes only through this trait. Three rules keep the saga
//! simple:
//!
//! - **A verb that returns an error leaves nothing behind.** Only verbs that returned `Ok` have to
//!   be undone. (The one exception is `convert`, which leaves the shadow states made so far:
//!   [`discard`](Node::discard) drops all of them at once.)
//! - **Every verb that waits has a deadline or a limit** and returns an error when it expires. If a
//!   thread does not return from app code, the node starts another thread, and the verb does not
//!   wait.
//! - **Old code and old states are kept until [`switch`](Node::switch)**, so an undo only restores
//!   them. Verbs that only restore, or flip tables in memory, cannot fail.
//!
//! The handler calls the verbs from one thread, one at a time, in this order (undos in square
//! brackets). The verbs of a window take the token of their phase and return the token of the next
//! phase: see `token.rs`.
//!
//! ```text
//! load [unload] .. apply [apply]        functions of current code; children are renamed
//! stop_application [start_application]  apps that are restarted
//! stage [unstage]                       only the script's own starts and conversions see staged code
//! start_application [stop_application, unload_application]    added and restarted apps start beside the old code
//! precopy [discard]                     makes shadow states beside the live ones, while everything runs
//! raise [lower]                         members come to rest, starts of their modules are held
//! convert [discard], apply [apply]      makes the missing shadow states, and those of members that ran since
//! comparison                            proves that no member was missed
//! switch                                the point of no return
//! kill, resume, sweep, config_change, stop_.., unload_application, stop_children, purge
//!                                       leftovers are reported; they never fail the upgrade
//! start_children, call, apply           if one fails, the handler downgrades
//! ```

mod app;
mod conversion;
mod error;
mod foreseen;
mod gate;
mod journal;
mod library;
mod token;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reld_plan::{AppName, Apply, BuiltIn, ModuleName, PurgeMethod, Vsn};
use serde_json::{Map, Value};

pub use app::{AppSpec, Staging};
pub use conversion::{ChangedChildren, Conversion, Converted, Passage, StateChange};
pub use error::NodeError;
pub use foreseen::{Coming, Foreseen, ForeseenChildren, ForeseenRefusal, Look, Refusable};
pub use gate::{Gate, LeavingChild, Member, OrphanPolicy, Pause, Precopied, Raised, Unrest};
pub use journal::{Child, Comparison, Exited, Outsider, OutsiderKind};
pub use library::{Image, Library, Lingerer, OldCode, Purged, Resident, Slot, Tried};
pub use token::{Held, Idle, Staged, Switched};

use crate::interrupt::Interrupt;
use crate::process::{Pid, Process};

/// A node as the release handler sees it.
pub trait Node {
    /// Returns the modules that have old code, with the processes that run it. OTP:
    /// `check_old_code`, `check_process_code`.
    fn old_code(&self) -> Vec<OldCode>;

    /// Returns the processes that use the current code of these modules but are not members of a
    /// gate over them.
    ///
    /// Unlike OTP, this also finds processes outside every supervision tree.
    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider>;

    /// Returns the running apps, each with its process; a library app has none. OTP:
    /// `which_applications`.
    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>>;

    /// Returns the apps that ended by themselves and take the node down with them, each with the
    /// reason.
    fn fallen(&self) -> Vec<(AppName, String)>;

    /// Returns the processes of an app.
    fn processes_of(&self, app: &AppName) -> Vec<Process>;

    /// Loads a library in a disposable child OS process first, so that its constructors cannot harm
    /// the node. A library that this node has already probed is not probed again.
    ///
    /// # Errors
    /// [`NodeError::Load`] if the library fails there.
    fn probe(&self, library: &Library) -> Result<Tried, NodeError>;

    /// Returns why the node could not hand an app its environment or the arguments of its start
    /// phases; `None` if it can.
    fn refuses_spec(&self, app: &AppSpec) -> Option<String>;

    /// Returns the number of running threads that the library of an app started itself.
    fn threads(&self, app: &AppName, vsn: &Vsn) -> usize;

    /// Predicts an upgrade: runs the new code in a disposable child OS process, collects the
    /// children that its supervisors name, and tries the start arguments, states and messages that
    /// the new code would receive. The new code does not run in the node, and no callback of a
    /// running process is called.
    ///
    /// The findings are cached for each library. A crash or a timeout of the new code is a finding
    /// too.
    fn foresee(&self, coming: &[Coming<'_>], look: Look) -> Foreseen;

    /// Returns why a new library would reject a call of one of its functions. The call is tried in
    /// a disposable child OS process. `None` if the library accepts the call or the trial was not
    /// possible.
    fn refuses(&self, library: &Library, call: &Apply) -> Option<String>;

    /// Returns the events of the members between the last [`stage`](Node::stage) and the sweep
    /// after it.
    ///
    /// The events come from a journal of starts and exits, so the cost does not depend on the
    /// number of living processes.
    fn comparison(&self) -> Comparison;

    /// Returns the supervisor with this registered name, or at this place (`app/child`), as
    /// built-in calls name it.
    ///
    /// # Errors
    /// The missing part, and the nearest existing ones.
    fn supervisor(&self, place: &str) -> Result<Pid, String>;

    /// Returns the children of a supervisor; `None` if they have no ids, or the process is not a
    /// supervisor.
    fn children(&self, supervisor: Pid) -> Option<Vec<Child>>;

    /// Returns the processes that ended abnormally since the last [`switch`](Node::switch), oldest
    /// first. With several windows, the first switch counts. A node may return only the first few.
    fn crashes(&self) -> Vec<Exited>;

    /// Returns the version of the daemon that a restart would execute.
    ///
    /// # Errors
    /// [`NodeError::Successor`] if there is no usable one.
    fn successor(&self) -> Result<Vsn, NodeError>;

    /// Returns the images that are mapped although none of their modules is current, old or staged.
    fn residents(&self) -> Vec<Resident>;

    /// Loads the library of an app version. Its modules are not staged yet. OTP:
    /// `load_object_code`.
    ///
    /// Every defect of a library is found here: wrong digest, ELF, ABI or build id, and missing
    /// modules. A node may return an existing image of the same app, version and digest.
    /// Constructors may take long, so an interrupt ends the wait with an error.
    fn load(
        &mut self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Image, NodeError>;

    /// Undoes [`load`](Node::load) by releasing an image that is not staged. An image with current
    /// or old code stays.
    ///
    /// After a purge the node releases images by itself. The node decides when to unmap them;
    /// [`residents`](Node::residents) lists the images that are still mapped.
    fn unload(&mut self, image: Image) -> Result<(), NodeError>;

    /// Prepares modules, removals and app specs for the switch, and begins the journal.
    ///
    /// Until the switch, only conversions and starts requested by the handler use the staged code.
    fn stage(&mut self, idle: Idle, staging: &Staging) -> Result<Staged, NodeError>;

    /// Undoes [`stage`](Node::stage).
    fn unstage(&mut self, staged: Staged);

    /// Starts an app by its staged spec, or after the switch by its current one. Returns when the
    /// app runs.
    ///
    /// An app without a start module, or of type `load` or `none`, is only loaded.
    /// OTP: `application:start(App, Type)`.
    fn start_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError>;

    /// Stops an app; it stays loaded. An app that does not run counts as stopped. OTP:
    /// `application:stop`.
    ///
    /// Processes that exceed their shutdown time are killed. The error names those that could not
    /// be killed; the app counts as stopped all the same.
    fn stop_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError>;

    /// Unloads a stopped app. OTP: `application:unload`.
    fn unload_application(&mut self, app: &AppName);

    /// Calls a function of an app: a process of the task module runs it, with the function's name
    /// and arguments as its start argument. Staged code is preferred to current code. OTP: `apply`.
    ///
    /// # Errors
    /// [`NodeError::Apply`] if the module does not exist, it rejected the arguments, the process
    /// exceeded the deadline and was killed, or it ended abnormally. (OTP ignores the result after
    /// the point of no return.)
    fn apply(&mut self, call: &Apply, deadline: Instant) -> Result<(), NodeError>;

    /// Carries out a call of a built-in module.
    ///
    /// # Errors
    /// [`NodeError::Call`] with the answer of the supervisor or the application.
    fn call(&mut self, call: &BuiltIn, deadline: Instant) -> Result<(), NodeError>;

    /// Starts a child by a call of a built-in module while the members are still held.
    ///
    /// The child may call the members. The gate lets these calls through, because the new code is
    /// current. If the child does not run by the time `held`, the gate is lowered, and the start
    /// continues until the deadline.
    ///
    /// # Errors
    /// As [`call`](Node::call).
    fn start_child(
        &mut self,
        switched: &Switched,
        call: &BuiltIn,
        held: Instant,
        deadline: Instant,
    ) -> Result<(), NodeError>;

    /// Lets supervisors terminate the children that were held with [`Member::stop`], after the gate
    /// was lowered. OTP: the instruction `stop`.
    ///
    /// # Errors
    /// [`NodeError::Call`] for the first child that could not be terminated; the others are
    /// terminated all the same.
    fn stop_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError>;

    /// Restarts the stopped children of these modules that still have a child spec. OTP: the
    /// instruction `start`.
    ///
    /// # Errors
    /// [`NodeError::Call`] for the first child that did not start.
    fn start_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError>;

    /// Notifies each app that ran across the switch of changes in its environment. Returns the
    /// errors of the apps. OTP: `config_change`.
    fn config_change(&mut self, deadline: Instant) -> Vec<String>;

    /// Replaces the environment of an app outside an upgrade, and notifies the app if it runs.
    /// OTP: `config_change`.
    ///
    /// # Errors
    /// [`NodeError::Configure`] if the app refuses the change, crashes or exceeds the deadline, or
    /// a value cannot be handed over. The app has its previous environment again.
    fn configure(
        &mut self,
        app: &AppName,
        env: &Map<String, Value>,
        deadline: Instant,
    ) -> Result<(), NodeError>;

    /// Converts the states of a gate's members to shadow states while all processes run, so that
    /// few conversions are left for the pause.
    ///
    /// A member that runs afterwards loses its shadow state. The node decides how often it repeats
    /// the pass over such members. [`convert`](Node::convert) converts the remaining ones, and all
    /// members of modules without a passage here. The limit applies to each state.
    ///
    /// For a passage with a way back, each shadow state is also converted back to the running code,
    /// and the result is dropped. This trial has the same limit, and no effect on the node.
    ///
    /// # Errors
    /// As [`convert`](Node::convert), and [`NodeError::NoWayBack`]. No member was held, and no
    /// shadow state is left.
    fn precopy(
        &mut self,
        staged: &Staged,
        gate: &Gate,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError>;

    /// Raises the gate: holds starts of the members' modules, lets running callbacks finish, and
    /// returns when all members are at rest.
    ///
    /// Members cost no time here if a [`precopy`](Node::precopy) over the same modules found them
    /// at rest and they have not run since.
    ///
    /// Members are the supervised processes of the gate's modules and their direct supervisors.
    /// Processes that were suspended by hand are members too, and stay suspended afterwards. The
    /// deadline applies to members without a timeout of their own.
    ///
    /// # Errors
    /// [`NodeError::NotAtRest`] with every member under [`Unrest::Abort`] that did not come to rest
    /// in time.
    fn raise(
        &mut self,
        staged: Staged,
        gate: &Gate,
        deadline: Instant,
    ) -> Result<(Held, Raised), (Staged, NodeError)>;

    /// Makes the missing shadow states of the members of one module. OTP: `code_change`.
    ///
    /// The live states are not touched, and messages that a conversion sends are kept until the
    /// switch. The limit applies to each state, so more processes have more time.
    ///
    /// # Errors
    /// [`NodeError::ChangeCode`] or [`NodeError::ChangeCodeTimedOut`] with the process, or
    /// [`NodeError::Starved`]. Shadow states made before the error, also by this call, stay until
    /// [`discard`](Node::discard).
    fn convert(
        &mut self,
        held: &Held,
        conversion: &Conversion,
        limit: Duration,
    ) -> Result<Converted, NodeError>;

    /// Drops all shadow states and the messages that their conversions sent.
    fn discard(&mut self, staged: &Staged);

    /// Makes everything staged current, and the shadow states the live states.
    ///
    /// This changes a few pointers in memory. Current code becomes old. Code that was already old
    /// becomes *condemned*: it can no longer be looked up by name, and a [`purge`](Node::purge) of
    /// [`Slot::Condemned`] drops it. If the image in the old slot becomes current again, the slots
    /// are swapped and nothing is condemned.
    ///
    /// At boot there is no gate and there are no members.
    fn switch(&mut self, held: Held) -> Switched;

    /// Lowers the gate before the switch: held starts continue and members process their mailboxes,
    /// in old code. Returns how long the members were held.
    fn lower(&mut self, held: Held) -> (Staged, Pause);

    /// Lowers the gate after the switch, if it is still raised. Members process their mailboxes in
    /// new code. Returns how long the members were held.
    fn resume(&mut self, switched: &Switched) -> Pause;

    /// Moves the remaining shadow states into place and drops the old states.
    ///
    /// Returns when no member holds a state of old code, or at the deadline.
    fn sweep(&mut self, switched: Switched, deadline: Instant);

    /// Kills processes. Processes that have already ended are ignored.
    fn kill(&mut self, pids: &[Pid]);

    /// Drops code that no process runs. A brutal purge first kills the processes that run the code.
    /// OTP: `soft_purge`, `purge`.
    ///
    /// Images that hold no more code are released. A module without code in the slot counts as
    /// purged.
    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod, deadline: Instant)
    -> Purged;
}
