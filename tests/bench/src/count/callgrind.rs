//! A node whose instructions are counted.
//!
//! The daemon runs in valgrind, which runs its threads one at a time. Counted is what all of them
//! execute, so that it does not matter which thread does something. The driver's function `cut`
//! does nothing, but callgrind knows its name: before it is called, callgrind writes a file with
//! what was executed since the last call.

use std::fs;
use std::process::{Command, Stdio};

use reld_tests::{Node, release};
use serde_json::json;
use tempfile::TempDir;

use crate::upgrade::order;

/// Says whether callgrind can be run.
pub(crate) fn is_installed() -> bool {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    valgrind.is_ok_and(|status| status.success())
}

/// A node below callgrind.
pub(crate) struct Counted {
    node: Node,
    folder: TempDir,
    /// How many files there are.
    cuts: usize,
}

impl Counted {
    /// Starts it, with the benchmark's release.
    pub(crate) fn start(options: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = format!("--callgrind-out-file={}/out", folder.path().display());
        let callgrind =
            ["valgrind", "--tool=callgrind", &file, "--dump-line=no", "--dump-before=driver_1_0_0::cut*"];
        let node = Node::start_under(&callgrind, options, environment);
        node.ok(&["upgrade", &release("bench-1.0.0")]);
        Self { node, folder, cuts: 0 }
    }

    /// Returns the node.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Returns how many instructions the daemon executes while something is done.
    pub(crate) fn count(&mut self, work: impl FnOnce(&Node)) -> u64 {
        self.cut();
        work(&self.node);
        self.cut()
    }

    fn cut(&mut self) -> u64 {
        order(&self.node, &json!("cut"));
        self.cuts += 1;
        let file = self.folder.path().join(format!("out.{}", self.cuts));
        let text = fs::read_to_string(file).expect("callgrind knows the driver's `cut`");
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total.and_then(|total| total.parse().ok()).expect("callgrind writes a total")
    }
}
