//! Traces messages and other events between processes. OTP: `erlang:trace/3`.

use std::sync::{Arc, Weak};

use crate::world::World;
use crate::world::trace::{Only, Traced};

/// A running trace. The trace ends when this value is dropped.
#[derive(Debug)]
pub struct Tracing(Weak<World>);

impl Tracing {
    /// Calls `tell` for each traced event. `tell` runs on threads of the pool and must not wait.
    /// Returns `None` while another trace runs.
    pub(crate) fn start(
        world: &Arc<World>,
        only: Only,
        tell: impl Fn(Traced) + Send + Sync + 'static,
    ) -> Option<Self> {
        world.tracer.begin(only, tell).then(|| Self(Arc::downgrade(world)))
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if let Some(world) = self.0.upgrade() {
            world.tracer.end();
        }
    }
}
