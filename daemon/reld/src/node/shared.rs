//! What the API looks at beside the runtime.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use reld_handler::{AppName, AppSpec};

/// What the API may look at beside the runtime; shared with the thread that carries upgrades out.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The apps of the release that runs.
    pub(crate) apps: BTreeMap<AppName, AppSpec>,
    /// When a module's code became old.
    pub(crate) old_since: HashMap<String, Instant>,
    /// Whether code was changed by hand since the boot.
    pub(crate) dirty: bool,
}
