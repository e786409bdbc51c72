//! What an app author uses: behaviours, supervisors, calls, timers and [`export_app!`].
//!
//! An app is a `cdylib` crate whose library a reld node loads, runs, and replaces by a newer version while it runs. A
//! whole one, with a server that counts and a supervisor that keeps it alive:
//!
//! ```rust,standalone_crate
//! #![forbid(unsafe_code)]
//!
//! use std::time::Duration;
//!
//! use reld_sdk::{
//!     Answer, Application, ChildSpec, Exit, From, GenServer, Info, Next, NotStarted, Root, StartArgs, Supervisor,
//!     SupervisorSpec, self_pid, send_after,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// The state: plain data that can be written and read, since it moves to the next version as bytes.
//! #[derive(Serialize, Deserialize)]
//! struct Counter {
//!     n: u64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! enum Request {
//!     Get,
//! }
//!
//! /// What the server sends itself.
//! #[derive(Serialize, Deserialize)]
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
//! #[derive(Serialize, Deserialize)]
//! struct CounterApp;
//!
//! impl Application for CounterApp {
//!     async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
//!         Ok((Self, Root::new("counter_sup", &())?))
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
//! Its `Cargo.toml` says `crate-type = ["cdylib"]` and `panic = "unwind"` (the default), `app.toml` beside it says how
//! the app is called and which module starts it, and from the second version on `appup.toml` says how to get there.
//!
//! # From one version to the next
//!
//! `appup.toml` lies with the newer version and serves both directions. Its first `[[up]]` entry whose `from` fits the
//! version left, or `[[down]]` entry whose `to` fits the version gone to, counts: a full version such as `1.2.0` is that
//! very one, anything shorter or with an operator (`1.2`, `>=1, <3`) a requirement as in `Cargo.toml`.
//!
//! | instruction | what it does | further keys |
//! |---|---|---|
//! | `{ update = "m" }` | suspends the processes of `m`, loads it, converts their states, resumes them | `change`, `timeout`, `deps`, `pre_purge`, `post_purge` |
//! | `{ load_module = "m" }` | loads it; nobody is suspended by name | `deps`, `pre_purge`, `post_purge` |
//! | `{ add_module = "m" }` | loads a module that is new | `deps` |
//! | `{ delete_module = "m" }` | removes a module, and ends who still runs it | `deps` |
//! | `{ restart_application = "a" }` | stops the app and starts its new version; its state is lost | |
//! | `{ apply = "m:f", args = [..] }` | calls a function, see below | `undo = { apply = "m:g", args = [..] }` |
//!
//! * `change`: `"soft"` (the default) reads the state as it is, going down without what was added;
//!   `{ advanced = DATA }` calls `change_code` with that data as `extra`; `"supervisor"` asks init
//!   for new child specs: children stay, and new ones are not started. For each id that only one of
//!   the two inits names there must be an `apply`; and a child that was added at run time must have
//!   a start argument that the new code takes.
//! * `timeout`: milliseconds, or `"infinity"`, for the processes to come to rest; without it one second, and
//!   `relctl upgrade --suspend-timeout` overrides both.
//! * `deps`: modules that must be loaded before this one going up, and after it going down.
//! * `pre_purge`, `post_purge`: `"soft"` (the default: code that somebody runs stays, and is listed) or `"brutal"` (who
//!   still runs it is killed). OTP's default is `"brutal"`.
//! * `keep = ["m"]`, beside `instructions`: modules that stay on the old library. All others of the app move, with or
//!   without an instruction.
//!
//! `apply` of the module `supervisor` or `application`:
//!
//! | call | when |
//! |---|---|
//! | `supervisor:rename_child` with `[SUP, ID, NEW]`: the child runs on under another id | before the pause |
//! | `supervisor:restart_child` with `[SUP, ID]`: starts what a new init names | after the switch, in the pause |
//! | `supervisor:start_child` with `[SUP, { id = .., module = .., args = .. }]` | after the switch, in the pause |
//! | `supervisor:terminate_child`, then `delete_child`, with `[SUP, ID]` | after the switch |
//! | `application:start`, `stop`, `load`, `unload` with `[APP]` | after the switch |
//!
//! SUP is a registered name or a place: `"shop"` is the root of the app `shop`, `"shop/tills"` its child `tills`. What
//! does not start after the switch takes the upgrade back by a downgrade. A child that starts is there when new code runs
//! for the first time: processes of the updated modules are held until it runs, for half a second at most, and answer its
//! calls meanwhile. But written behind a call that ends something, or one of an app's function, it starts when they
//! go on.
//!
//! `apply` of another module calls a [`Task`]: its argument is the function and its arguments, which serde reads as an
//! adjacently tagged enum. `{ apply = "moving:shift", args = ["till", 3] }` calls
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
//! Before `"point_of_no_return"` it runs in the old code, behind it in the new one, inside the pause and in the order
//! written; it must not call processes of the updated modules there. It may take five seconds. An error, a panic or a
//! late end takes the upgrade back, and `undo` takes back the call.
//!
//! Written behind something that waits for the switch, such as `restart_child`, it runs behind that. A failure then takes
//! the upgrade back by a downgrade, so that the opposite entry has to take back the call, not its `undo`. But a call that
//! an advanced or supervisor update of its app or appup is written behind may prepare that, and runs inside the pause.
//! `relctl plan` and `--dry-run` show with each step what of the order written is not kept.
//!
//! A conversion that needs something from outside the node (a child of the operating system, a device) has it opened by
//! such a call with an `undo` that closes it, written before the update: the states behind a call are converted inside
//! the pause, once. `change_code` takes what was opened, for instance out of a `static` of the library, into the new
//! state, and leaves the old thing open, since all may be taken back; the next callback closes it.
//!
//! While states are converted nobody runs: two upgraded modules never talk across versions inside the window. What was
//! sent before it is handled after it, by the newer code. Converting one state may take five seconds
//! (`--code-change-timeout`); then, as when a conversion fails, everything is as before. Ending `relctl` ends no
//! upgrade: the node finishes or takes back what it began, and `relctl status` shows it.
//!
//! Where a release is watched (`--settle`, `--probe`) or something can fail after the switch (a
//! child that starts), the way back is tried before anybody is held: each new state is written,
//! goes through what the opposite entry says, is read by the older code, and is dropped. A state
//! that has no way back fails the upgrade, and so does an appup without the opposite entry; `relctl
//! upgrade --one-way` goes all the same. So both conversions may run, and their results be dropped,
//! in either direction. Not tried are states behind a call, states that changed just before the
//! pause, and all that the new code makes of them later: a field that only it can write needs its
//! way back as well.
//!
//! # What an author must know
//!
//! * **States are bytes.** Between two versions a state, a message or an argument travels as MessagePack with field
//!   names. An added field needs `#[serde(default)]`, a renamed one `#[serde(alias)]`, and what else changed is the work
//!   of [`GenServer::change_code`]. A field of the old state that the new version reads nowhere fails the upgrade,
//!   unless it stands in [`GenServer::DROPPED`]. Literals, closures and pointers cannot be in a state.
//! * **The way back needs no code for what was added.** Where both versions describe their states
//!   ([`GenServer::schema`]), the node cuts fields that only the newer version has out of a state
//!   before the older version reads it, and `relctl plan NEW OLD` lists them. It cuts nothing where
//!   the older version has a field that the newer one lacks: that may be the same under another
//!   name, and the plan is refused. Convert such a state in [`GenServer::change_code_down`] and say
//!   `{ advanced = {} }`, or declare in [`GenServer::DROPPED`] what was removed. Nothing is cut
//!   below an `untagged` enum, among flattened fields, in a type that holds itself, in the keys of a
//!   map, or in a module without a schema: the older version refuses what it does not know. But serde
//!   reads an `untagged` enum as the first variant that fits, and passes over the rest, up and down:
//!   where such a type changed, `relctl plan` and `relctl diff` warn, and [`GenServer::change_code`]
//!   has to decide. A schema does not say what the keys of a map look like, so no plan warns of
//!   those.
//! * **Messages outlive versions, too.** What an older version sent may be handled by a newer one: keep reading the old
//!   form for one release.
//! * **What cannot be decoded ends the server**, as a message without a clause does in OTP. `relctl call` and `cast`
//!   ask first and send nothing that would; other apps' messages are delivered as they are.
//! * **[`Pid`], [`From`], [`Timer`], [`MonitorRef`], [`port::Listener`], [`port::Connection`] and [`ets::Table`] are
//!   plain values** that a state may hold. Dropping them does nothing: a timer goes on, a caller keeps waiting, a connection stays open.
//! * **`Drop` has no effects on the node.** States and futures are dropped outside callbacks, copies of a state among
//!   them. There, everything in this crate is refused.
//! * **tokio is not available in an app**, nor any crate that needs a runtime of its own: it would keep thread-locals and
//!   threads that forbid unloading the library. Wait with [`call()`], [`sleep`] and timers; the combinators of the
//!   `futures` crate work on them. A future that is woken from another thread is not polled again.
//! * **Do not block and do not spin.** A callback that computes or blocks for long keeps one of the node's few threads,
//!   and its process cannot be upgraded meanwhile. [`blocking()`] runs such work beside them.
//! * **What is printed is logged**, each line with app, module and pid. `print!` without the end of the line waits in the
//!   library, as in any program, until somebody ends the line, a process ends by itself, or the library is unloaded; `eprint!`
//!   is logged when the callback returns or waits. There is no terminal. A child process prints to the daemon's own stdout.
//! * **A panic ends the process, not the node.** A panic during a panic aborts the node, like a stack overflow: the
//!   language offers nothing to catch them.
//! * **`relctl diff` writes the first draft of an appup** from what two versions say about their types. A server says
//!   it with `#[derive(JsonSchema)]` on its types, after `use reld_sdk::schemars::{self, JsonSchema};`, and one line:
//!   see [`GenServer::schema`]. A supervisor whose start argument is `()` is described by its `init`, which
//!   `relctl pack` asks. A module that says nothing is compared by hand.
//! * **`cargo test` needs no node**: see [`harness`].
//!
//! `[callback]` in a function's documentation says that it works inside callbacks only and is refused elsewhere; `[task]`,
//! that it works in the one function of a [`Task`] only.

mod alloc;
mod application;
mod behaviour;
mod blocking;
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
pub use names::{From, MonitorRef, Pid, Timer, To};
pub use process::{
    RegisterError, SendError, bound_mailbox, cancel_timer, cast, continue_with, demonitor, env, exit, link,
    monitor, read_timer, receive_timeout, register, reply, self_pid, send, send_after, send_interval,
    trap_exit, unlink, unregister, whereis,
};
pub use schema::Schema;
pub use schemars;
pub use supervisor::Supervisor;
pub use task::Task;
pub use time::INFINITY;
pub use value::{State, Value};
