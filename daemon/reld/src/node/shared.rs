//! The part of the node's state that the API reads in addition to the runtime.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use reld_handler::{AppName, AppSpec};

/// The part of the node's state that the API reads in addition to the runtime. The operator's
/// thread writes it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The apps of the running release.
    pub(crate) apps: BTreeMap<AppName, AppSpec>,
    /// The time at which the replaced code of a module became old.
    pub(crate) old_since: HashMap<String, Instant>,
    /// Whether code was changed by hand since the boot.
    pub(crate) dirty: bool,
    /// The folder of each app that was upgraded by itself. The next upgrade of the app removes it.
    pub(crate) places: BTreeMap<AppName, PathBuf>,
}
