//! A node with counted instructions.
//!
//! The daemon runs in valgrind, which runs one thread at a time. The counts cover all threads, so
//! it does not matter which thread does the work. The driver's function `cut` does nothing, but
//! callgrind is configured with its name: before each call it writes a file with the counts since
//! the previous call.

use std::fs;
use std::process::{Command, Stdio};

use reld_tests::{Node, release};
use serde_json::json;
use tempfile::TempDir;

use crate::upgrade::order;

/// Returns whether callgrind can be run.
pub(crate) fn is_installed() -> bool {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    valgrind.is_ok_and(|status| status.success())
}

/// A node that runs under callgrind.
pub(crate) struct Counted {
    node: Node,
    folder: TempDir,
    /// Number of files written by callgrind.
    cuts: usize,
}

impl Counted {
    /// Starts the node with the benchmark's release.
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

    /// Returns how many instructions the daemon executes during `work`.
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
