//! Looking at what passes between processes. OTP: `erlang:trace/3`.

use std::sync::{Arc, Weak};

use crate::world::World;
use crate::world::trace::{Only, Traced};

/// Somebody looks; until this is dropped.
#[derive(Debug)]
pub struct Tracing(Weak<World>);

impl Tracing {
    /// Has `tell` called for what passes. It is called on the pool's threads, and must not wait. `None` while somebody else looks.
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
