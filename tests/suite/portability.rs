//! The places in the source that depend on the machine's architecture. Each of them has a case for
//! all other machines.

use std::collections::BTreeMap;

use crate::tree;

/// The words that name a machine, in code.
const WORDS: &[&str] = &["target_arch", "x86_64", "X86_64", "aarch64", "AARCH64", "core::arch", "asm!"];

/// Each file with the number of its lines that name a machine, outside of tests. A new place needs
/// a case for all other machines.
const PLACES: &[(&str, usize)] = &[
    // The machine of the libraries, and the names of the dynamic linker.
    ("daemon/loader/src/check.rs", 7),
    // Stack traces.
    ("daemon/loader/src/frames/registers.rs", 6),
];

#[test]
fn only_listed_places_depend_on_the_machine() {
    let root = reld_tests::folder("");
    let mut found = BTreeMap::new();
    for folder in ["daemon", "releases", "cli"] {
        for (path, text) in tree::files(&root.join(folder), &["rs"]) {
            let path = path.strip_prefix(&root).expect("it is in the tree").display().to_string();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let names = |line: &&str| {
                !line.trim_start().starts_with("//") && WORDS.iter().any(|word| line.contains(word))
            };
            let lines = code.lines().filter(names).count();
            if lines > 0
                && !path.contains("/tests/")
                && !path.ends_with("/fixture.rs")
                && !path.ends_with("/site.rs")
            {
                found.insert(path, lines);
            }
        }
    }
    let listed: BTreeMap<_, _> = PLACES.iter().map(|(path, lines)| ((*path).to_owned(), *lines)).collect();
    assert_eq!(found, listed);
}
