//! Optional tools: tests that need a missing one are skipped, and a line on stderr reports it.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of tests of this program that were skipped.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Returns the path of a program that a test needs, from `PATH` and the folders of administrators.
/// `None` as in [`has`].
///
/// # Panics
/// The program is missing and required.
#[track_caller]
pub fn need(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    has(program, || found.is_some()).then_some(found).flatten()
}

/// Returns whether the machine has a tool that a test needs. If it has not, a line reports the
/// skipped test and counts it; with `RELD_REQUIRE=TOOL,...` in the environment the test fails
/// instead.
///
/// # Panics
/// The tool is missing and required.
#[track_caller]
pub fn has(tool: &str, works: impl FnOnce() -> bool) -> bool {
    if works() {
        return true;
    }
    let required = env::var("RELD_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == tool),
        "{tool} is required, and does not work here"
    );
    // The test runner has no place for a summary, so the last of these lines has the whole number.
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    // Not `eprintln!`: the test runner captures it.
    let _ = writeln!(std::io::stderr(), "skipped {count}: a test that needs {tool}");
    false
}
