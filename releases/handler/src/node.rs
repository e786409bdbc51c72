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
//! The verbs are called from one thread, one at a time, in this order (in brackets the verb that
//! takes one back). The verbs of a window take the token of their phase, and return that of the next:
//! see `token.rs`.
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
//! kill, resume, sweep, config_change, stop_.., unload_application, stop_children, purge
//!                                       can leave something over, never fail the upgrade
//! start_children, call, apply           where one fails, the handler goes back by a downgrade
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
    fn stage(&mut self, idle: Idle, staging: &Staging) -> Result<Staged, NodeError>;

    /// Forgets what was staged.
    fn unstage(&mut self, staged: Staged);

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

    /// Starts a child by a call of a built-in module before the members go on.
    ///
    /// It may call them: what it waits for is let through, for the new code is current. When it does not run at `held`,
    /// the gate comes down, and it goes on to start until the deadline.
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
    fn precopy(
        &mut self,
        staged: &Staged,
        gate: &Gate,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError>;

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
    fn raise(
        &mut self,
        staged: Staged,
        gate: &Gate,
        deadline: Instant,
    ) -> Result<(Held, Raised), (Staged, NodeError)>;

    /// Converts the states of those members of one module to shadow states that have none. OTP: `code_change`.
    ///
    /// The live states are not touched, and what a conversion sends is kept until the switch. The limit is for each state
    /// by itself, so that more processes have more time.
    ///
    /// # Errors
    /// [`NodeError::ChangeCode`] or [`NodeError::ChangeCodeTimedOut`], naming the process, or [`NodeError::Starved`]. Shadow states made before
    /// the error, by this call too, stay until [`discard`](Node::discard).
    fn convert(
        &mut self,
        held: &Held,
        conversion: &Conversion,
        limit: Duration,
    ) -> Result<Converted, NodeError>;

    /// Drops all shadow states and what their conversions sent.
    fn discard(&mut self, staged: &Staged);

    /// Makes everything that is staged current, and the shadow states the states.
    ///
    /// In memory, a few pointers. What was current becomes old; what was old already is *condemned*: it is no longer
    /// found by name, and [`purge`](Node::purge) of [`Slot::Condemned`] ends it. Where the very image in the old slot
    /// becomes current again, the slots are swapped and nothing is condemned.
    ///
    /// At boot there is no gate, and nobody who could be at rest.
    fn switch(&mut self, held: Held) -> Switched;

    /// Lowers the gate before the switch: held starts go on, members take their mail, in old code.
    /// Says how long each member was held.
    fn lower(&mut self, held: Held) -> (Staged, Pause);

    /// Lowers the gate after the switch, if it is not down: as [`lower`](Node::lower), in new code.
    fn resume(&mut self, switched: &Switched) -> Pause;

    /// Moves the shadow states that nobody has taken yet into place and drops the old states.
    ///
    /// Returns when no member holds a state of old code, or at the deadline.
    fn sweep(&mut self, switched: Switched, deadline: Instant);

    /// Kills processes; those that are gone already do not matter.
    fn kill(&mut self, pids: &[Pid]);

    /// Drops code that nobody runs; brutally, ends those first who do. OTP: `soft_purge`, `purge`.
    ///
    /// Images that have no code left are given back. A module without code in that slot is purged already.
    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod, deadline: Instant)
    -> Purged;
}
