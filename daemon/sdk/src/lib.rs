//! The SDK for apps of reld: behaviours, supervisors, calls, timers and [`export_app!`].
//!
//! An app is a `cdylib` crate. A reld node loads its library, runs it, and replaces it with a newer
//! version while it runs. This is a complete app, with a server that counts and a supervisor that
//! keeps it alive:
//!
//! ```rust,standalone_crate
//! #![forbid(unsafe_code)]
//!
//! use std::time::Duration;
//!
//! use reld_sdk::schemars::{self, JsonSchema};
//! use reld_sdk::{
//!     Answer, Application, ChildSpec, Exit, From, GenServer, Info, Next, NotStarted, Root, Schema, StartArgs,
//!     Supervisor, SupervisorSpec, self_pid, send_after,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// The state: serializable data, because it moves to the next version as bytes.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Counter {
//!     n: u64,
//! }
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! enum Request {
//!     Get,
//! }
//!
//! /// The message that the server sends to itself.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Tick;
//!
//! impl GenServer for Counter {
//!     type Args = u64;
//!     type Call = Request;
//!     type Reply = u64;
//!     type Cast = ();
//!     type Message = Tick;
//!
//!     async fn init(n: u64) -> Result<Self, NotStarted> {
//!         tick()?;
//!         Ok(Self { n })
//!     }
//!
//!     async fn handle_call(&mut self, request: Request, _from: From) -> Answer<u64> {
//!         match request {
//!             Request::Get => Answer::Reply(self.n),
//!         }
//!     }
//!
//!     async fn handle_info(&mut self, info: Info<Tick>) -> Next {
//!         if let Info::Message(Tick) = info {
//!             self.n += 1;
//!             if let Err(exit) = tick() {
//!                 return Next::Stop(exit);
//!             }
//!         }
//!         Next::Continue
//!     }
//!
//!     fn schema() -> Schema {
//!         Schema::of_server::<Self>()
//!     }
//! }
//!
//! fn tick() -> Result<(), Exit> {
//!     if let Some(me) = self_pid() {
//!         send_after(me, Duration::from_millis(100), &Tick)?;
//!     }
//!     Ok(())
//! }
//!
//! struct CounterSup;
//!
//! impl Supervisor for CounterSup {
//!     type Args = ();
//!
//!     fn init((): ()) -> SupervisorSpec {
//!         SupervisorSpec::one_for_one().child(ChildSpec::worker("first", "counter", 10_000_u64))
//!     }
//! }
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct CounterApp;
//!
//! impl Application for CounterApp {
//!     async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
//!         Ok((Self, Root::new("counter_sup", &())?))
//!     }
//!
//!     fn schema() -> Schema {
//!         Schema::of_application::<Self>()
//!     }
//! }
//!
//! reld_sdk::export_app! {
//!     app: "counter",
//!     version: "0.1.0",
//!     modules: {
//!         counter: gen_server Counter,
//!         counter_sup: supervisor CounterSup,
//!         counter_app: application CounterApp,
//!     },
//! }
//! # fn main() {}
//! ```
//!
//! The [guide] explains a second app: clients over TCP, sessions, shared tables and timers.
//!
//! In its `Cargo.toml`, set `crate-type = ["cdylib"]` and `panic = "unwind"` (the default). The
//! file `app.toml` beside it has the name of the app and the module that starts it. From the second
//! version on, `appup.toml` describes the upgrade.
//!
//! # From one version to the next
//!
//! `appup.toml` is part of the newer version and serves both directions. On an upgrade, the first
//! `[[up]]` entry with a `from` that matches the old version is used; on a downgrade, the first
//! `[[down]]` entry with a `to` that matches the target version. A full version such as `1.2.0`
//! matches only itself. A shorter one, or one with an operator (`1.2`, `>=1, <3`), is a requirement
//! as in `Cargo.toml`.
//!
//! | instruction | effect | further keys |
//! |---|---|---|
//! | `{ update = "m" }` | suspends the processes of `m`, loads it, converts their states, resumes them | `change`, `timeout`, `deps`, `pre_purge`, `post_purge` |
//! | `{ load_module = "m" }` | loads it; no process is suspended for it | `deps`, `pre_purge`, `post_purge` |
//! | `{ add_module = "m" }` | loads a module that is new | `deps` |
//! | `{ delete_module = "m" }` | removes a module, and ends the processes that still run it | `deps` |
//! | `{ restart_application = "a" }` | stops the app and starts its new version; its state is lost | |
//! | `{ apply = "m:f", args = [..] }` | calls a function, see below | `undo = { apply = "m:g", args = [..] }` |
//!
//! * `change`: `"soft"` (the default) reads the state as it is; on a downgrade, added fields are
//!   cut out. `{ advanced = DATA }` calls `change_code` with that data as `extra`. `"supervisor"`
//!   calls init again for new child specs: children stay, and new ones are not started. For each id
//!   that only one of the two inits names you need an `apply`. A child that was added at run time
//!   needs a start argument that the new code accepts.
//! * `timeout`: the time that the processes have to come to rest, in milliseconds or `"infinity"`.
//!   The default is one second. `relctl upgrade --suspend-timeout` overrides both.
//! * `deps`: modules that must be loaded before this one on an upgrade, and after it on a
//!   downgrade.
//! * `pre_purge`, `post_purge`: with `"soft"` (the default), code that still has processes stays,
//!   and is listed. With `"brutal"`, these processes are killed. OTP's default is `"brutal"`.
//! * `keep = ["m"]`, beside `instructions`: modules that stay on the old library. All others of the
//!   app move, with or without an instruction.
//!
//! `apply` of the module `supervisor` or `application`:
//!
//! | call | when |
//! |---|---|
//! | `supervisor:rename_child` with `[SUP, ID, NEW]`: gives a running child another id | before the pause |
//! | `supervisor:restart_child` with `[SUP, ID]`: starts a child that only the new init names | after the switch, in the pause |
//! | `supervisor:start_child` with `[SUP, { id = .., module = .., args = .. }]` | after the switch, in the pause |
//! | `supervisor:terminate_child`, then `delete_child`, with `[SUP, ID]` | after the switch |
//! | `application:start`, `stop`, `load`, `unload` with `[APP]` | after the switch |
//!
//! SUP is a registered name or a place: `"shop"` is the root of the app `shop`, `"shop/tills"` its
//! child `tills`. If a child does not start after the switch, the upgrade is undone by a downgrade.
//!
//! A new child exists before new code runs for the first time: the processes of the updated modules
//! are held until the child runs, for at most half a second, and answer its calls meanwhile. But if
//! you write the start after a call that ends something, or after a call of an app's function, the
//! child starts when these processes are resumed.
//!
//! `apply` of any other module runs a [`Task`]. Its argument holds the function and the function's
//! arguments, which serde reads as an adjacently tagged enum.
//! `{ apply = "moving:shift", args = ["till", 3] }` calls
//!
//! ```
//! # use reld_sdk::{Exit, Task};
//! # use serde::Deserialize;
//! #[derive(Deserialize)]
//! #[serde(tag = "function", content = "args", rename_all = "snake_case")]
//! enum Function {
//!     Shift(String, i64),
//!     /// One argument is a tuple of one.
//!     Open((String,)),
//! }
//!
//! struct Moving;
//!
//! impl Task for Moving {
//!     type Args = Function;
//!
//!     async fn run(function: Function) -> Result<(), Exit> {
//!         match function {
//!             Function::Shift(till, by) if by < 0 => Err(Exit::error(format!("{till} cannot give {by}"))),
//!             Function::Shift(..) | Function::Open(..) => Ok(()),
//!         }
//!     }
//! }
//! # let body = serde_json::json!({"function": "shift", "args": ["till", 3]});
//! # assert!(matches!(serde_json::from_value(body).unwrap(), Function::Shift(_, 3)));
//! # let body = serde_json::json!({"function": "open", "args": ["till"]});
//! # assert!(matches!(serde_json::from_value(body).unwrap(), Function::Open(_)));
//! ```
//!
//! The word `"point_of_no_return"` divides the list. Only `load_object_code` and `apply` may come
//! before it; without the word, every call counts as one after it. Before the word the task runs in
//! the old code; after it, in the new code, inside the pause and in the order written. There it
//! must not call processes of the updated modules. It has five seconds. An error, a panic or a
//! time-out undoes the upgrade, and `undo` reverts the call.
//!
//! A task that you write after an instruction that waits for the switch, such as `restart_child`,
//! also runs after the switch. Its failure undoes the upgrade by a downgrade, so the opposite entry
//! has to revert the call; its `undo` does not run. There is one exception: if an advanced or
//! supervisor update of the task's app or appup follows the call, the call may prepare that update,
//! so it runs inside the pause. `relctl plan` and `--dry-run` show each step that leaves the
//! written order.
//!
//! If a conversion needs a resource outside of the node (a child process of the operating system, a
//! device), open it with such a call before the update, and close it in the call's `undo`. States
//! of updates after a call are converted inside the pause, once. In `change_code`, move the opened
//! resource into the new state, for instance out of a `static` of the library. Leave the old
//! resource open, because the upgrade may still be undone; close it in the next callback.
//!
//! No process of an updated module runs while states are converted: two upgraded modules never talk
//! across versions inside the window. Messages sent before the window are handled after it, by the
//! newer code. Converting one state may take five seconds (`--code-change-timeout`). After a
//! time-out or a failed conversion, everything is as before. Ending `relctl` does not end the
//! upgrade: the node finishes or undoes it, and `relctl status` shows it.
//!
//! If a release is watched (`--settle`, `--probe`) or a step after the switch can fail (a child
//! that starts), the way back is tried before any process is held. Each new state is written,
//! converted by the opposite entry, read by the older code, and dropped. The upgrade fails if a
//! state has no way back, or if the appup has no opposite entry; `relctl upgrade --one-way`
//! upgrades anyway. So both conversions may run in either direction, and their results may be
//! dropped. Some states are not tried: those converted after a call, those that changed just before
//! the pause, and those that the new code makes later. So a field that only the new code can write
//! needs a way back too.
//!
//! # Rules for apps
//!
//! * **States are bytes.** Between two versions, a state, a message or an argument is MessagePack
//!   with field names. Give an added field `#[serde(default)]` and a renamed one `#[serde(alias)]`;
//!   convert other changes in [`GenServer::change_code`]. A field of the old state that the new
//!   version never reads fails the upgrade, unless you list it in [`GenServer::DROPPED`]. Literals,
//!   closures and pointers cannot be in a state.
//! * **Added fields need no code for a downgrade.** If both versions describe their states
//!   ([`GenServer::schema`]), the node cuts the fields that only the newer version has before the
//!   older version reads a state, and `relctl plan NEW OLD` lists them. If the older version has a
//!   field that the newer one lacks, the node cuts nothing and the plan is refused: the field may
//!   be the same one under another name. Then convert the state in [`GenServer::change_code_down`]
//!   and write `{ advanced = {} }`, or list the removed field in [`GenServer::DROPPED`]. Nothing is
//!   cut below an `untagged` enum, among flattened fields, in a recursive type, in the keys of a
//!   map, or in a module without a schema: there the older version refuses unknown fields. But
//!   serde reads an `untagged` enum as the first variant that fits and skips the rest, in both
//!   directions. If such a type changed, `relctl plan` and `relctl diff` warn, and
//!   [`GenServer::change_code`] has to decide. A schema does not describe the keys of a map, so no
//!   plan warns about those.
//! * **Messages outlive versions, too.** A newer version may handle messages of an older one, so
//!   keep reading the old form for one release.
//! * **A message that cannot be decoded ends the server**, as a message without a matching clause
//!   does in OTP. `relctl call` and `cast` check this first and do not send such a message;
//!   messages of other apps are delivered unchecked.
//! * **[`Pid`], [`From`], [`Timer`], [`MonitorRef`], [`port::Listener`], [`port::Connection`] and
//!   [`ets::Table`] are plain values** that you may keep in a state. Dropping them does nothing: a
//!   timer goes on, a caller keeps waiting, a connection stays open.
//! * **`Drop` cannot affect the node.** States, including copies of a state, and futures are
//!   dropped outside of callbacks. There, every function of this crate is refused.
//! * **A tokio runtime must be short-lived.** A runtime that outlives its function, in a static or
//!   in threads of its own, keeps the library mapped after its purge. To use a crate that needs
//!   tokio, build a current-thread runtime inside [`blocking()`] and drop it there. Elsewhere wait
//!   with [`call()`], [`sleep`] and timers; the combinators of the `futures` crate work on them. A
//!   future that is woken from another thread is not polled again.
//! * **Records of [`log`] and `tracing` reach the node's log.** For `tracing`, enable its feature
//!   `log` in your app and install no subscriber.
//! * **Do not block and do not spin.** A callback that computes or blocks for long occupies one of
//!   the node's few threads, and its process cannot be upgraded meanwhile. Run such work with
//!   [`blocking()`].
//! * **Printed lines are logged** with app, module and pid. Text of `print!` without a newline
//!   waits in the library, as in any program, until the line is ended, a process ends by itself, or
//!   the library is unloaded; `eprint!` is logged when the callback returns or waits. There is no
//!   terminal. A child process prints to the daemon's own stdout.
//! * **A panic ends the process, not the node.** A panic during a panic aborts the node, and so
//!   does a stack overflow: Rust cannot catch them.
//! * **`relctl diff` writes the first draft of an appup** from the types of two versions. To
//!   describe the types of a server, write `use reld_sdk::schemars::{self, JsonSchema};`, put
//!   `#[derive(JsonSchema)]` on them, and add one line: see [`GenServer::schema`]. A supervisor
//!   with the start argument `()` is described by its `init`, which `relctl pack` calls. Compare a
//!   module without a description by hand.
//! * **`cargo test` needs no node**: see [`harness`].
//!
//! A function marked `[callback]` works inside callbacks only and is refused elsewhere. One marked
//! `[task]` works only in the function of a [`Task`].

mod alloc;
mod application;
mod behaviour;
mod blocking;
mod body;
mod bytes;
mod call;
mod callback;
mod child_spec;
mod codec;
mod daemon;
pub mod ets;
mod exit;
#[doc(hidden)]
pub mod export;
mod face;
mod ffi;
pub mod gen_event;
mod gen_server;
mod gen_statem;
#[cfg(test)]
mod golden;
mod guard;
pub mod guide;
pub mod harness;
mod host;
mod job;
mod logger;
mod names;
pub mod port;
mod process;
mod schema;
pub mod supervisor;
mod table;
pub mod task;
mod time;
mod usage;
mod value;
mod wait;
mod waker;

pub use application::{Application, EnvChange, Root, StartArgs, StartPhase, StartType, StopCause, Stopping};
pub use behaviour::{FormatStatus, StatusPart};
pub use blocking::blocking;
pub use call::{CallError, call, sleep, spawn, spawn_link, stop};
pub use child_spec::{AutoShutdown, ChildSpec, ChildType, Restart, Shutdown, SupervisorSpec};
pub use codec::Undecodable;
pub use exit::{Exit, NotStarted};
pub use gen_event::{EventHandler, GenEvent, Handled, HandlerEnd, HandlerSpec};
pub use gen_server::{Answer, GenServer, Info, Next};
pub use gen_statem::{GenStatem, Machine, StatemEvent, Transition};
pub use host::Refused;
pub use log;
pub use names::{From, MonitorRef, NotFound, Pid, Timer, To};
pub use process::{
    RegisterError, SendError, bound_mailbox, cancel_timer, cast, continue_with, demonitor, env, exit, find,
    link, monitor, read_timer, receive_timeout, register, reply, self_pid, send, send_after, send_interval,
    trap_exit, unlink, unregister, whereis,
};
pub use schema::Schema;
pub use schemars;
pub use supervisor::Supervisor;
pub use task::Task;
pub use time::INFINITY;
pub use value::{State, Value};
