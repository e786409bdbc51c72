//! The running process, and the node that the calling thread works for.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;
use thiserror::Error;

use crate::process::body::Body;
use crate::process::current;
use crate::process::rows::Rows;
use crate::words::code::Bytes;
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;

/// The request was refused: no callback runs on this thread, or the request refers to a name, timer
/// or request that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("refused: not in a callback, or there is no such name, timer or request")]
pub struct Refused;

thread_local! {
    /// The node that the thread works for while the thread has work. The reference is strong, so
    /// that requests need not check whether the node still exists.
    pub(super) static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// Runs `work` on the calling thread for a node, if the node still exists. The thread keeps the
/// node alive until [`rest`].
pub(crate) fn serve(world: &Weak<World>, work: impl FnOnce(&Arc<World>)) {
    WORLD.with(|kept| {
        if kept.borrow().is_none() {
            kept.replace(world.upgrade());
        }
        if let Some(world) = &*kept.borrow() {
            work(world);
        }
    });
}

/// Releases the node that the calling thread worked for, because the thread has nothing to do.
pub(crate) fn rest() {
    drop(WORLD.take());
}

/// Calls `work` with the world and the body of the running process.
pub(in crate::world) fn with<R>(work: impl FnOnce(&Arc<World>, &mut Body) -> R) -> Result<R, Refused> {
    current::with(|own| WORLD.with_borrow(|world| Ok(work(world.as_ref().ok_or(Refused)?, own))))
        .ok_or(Refused)?
}

/// Calls `work` with the node that the calling thread works for.
pub(super) fn working_for<R>(work: impl FnOnce(&Arc<World>) -> R) -> Result<R, Refused> {
    WORLD.with_borrow(|world| world.as_ref().map(work)).ok_or(Refused)
}

/// Returns the running process. OTP: `self/0`.
pub fn self_pid() -> Option<Pid> {
    Some(current::pid()).filter(|pid| *pid != Pid::NONE)
}

/// Returns the module of the running process.
pub fn self_module() -> Option<String> {
    with(|_, own| own.card.code.name().to_owned()).ok()
}

/// Reads a key from the environment of the running process's application.
pub fn get_env(key: &str) -> Option<Bytes> {
    with(|_, own| own.card.app.values.read().get(key).cloned()).ok()?
}

/// Returns the code with which a new process of a module starts; `None` if it is not loaded.
pub(crate) fn resolve(module: &str) -> Option<Arc<Code>> {
    WORLD.with_borrow(|world| world.as_ref()?.code.resolve(module))
}

/// Counts a restart.
pub(crate) fn restarted() {
    let _ = with(|world, _| world.counters.restarts.add());
}

/// Makes the children of the running supervisor readable for all threads.
pub(crate) fn publish_rows(rows: &Arc<RwLock<Rows>>) {
    let _ = with(|world, own| world.show(own, own.card.with_rows(rows)));
}
