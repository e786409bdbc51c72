//! Checks the fuzzers' corpus in an ordinary test. Each file is named after its defect.

use std::fs;
use std::path::Path;

use reld_loader::Refusal;

#[path = "../../../../tests/fuzz/checks/elf.rs"]
mod elf;

/// Whether the refusal is the right one for a file.
type IsRight = fn(Option<Refusal>) -> bool;

/// The files that pass, or are refused for one reason. All other files, including those that a
/// fuzzer has found, are truncated or contain invalid addresses.
const NAMED: [(&str, IsRight); 12] = [
    ("sound", |refusal| refusal.is_none()),
    ("nodelete", |refusal| refusal.is_none()),
    ("no_build_id", |refusal| matches!(refusal, Some(Refusal::NoBuildId))),
    ("no_entry", |refusal| matches!(refusal, Some(Refusal::NoEntry))),
    ("static_tls", |refusal| matches!(refusal, Some(Refusal::StaticTls))),
    ("undefined", |refusal| matches!(refusal, Some(Refusal::Undefined { .. }))),
    ("unique", |refusal| matches!(refusal, Some(Refusal::Unique { .. }))),
    ("executable_stack", |refusal| matches!(refusal, Some(Refusal::ExecutableStack))),
    ("class_32", is_for_another_machine),
    ("big_endian", is_for_another_machine),
    ("another_machine", is_for_another_machine),
    ("an_executable", is_for_another_machine),
];

fn is_for_another_machine(refusal: Option<Refusal>) -> bool {
    matches!(refusal, Some(Refusal::Target { .. }))
}

#[test]
fn every_file_of_the_corpus_passes_or_is_refused_for_its_reason() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/elf");
    let mut named = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let refusal = reld_loader::check(&bytes).err();
        assert_eq!(elf::check(&bytes), refusal.is_none());
        let shown = format!("{}: {refusal:?}", entry.path().display());
        match NAMED.iter().find(|(name, _)| *name == entry.file_name()) {
            Some((_, is_right)) => {
                named += 1;
                assert!(is_right(refusal), "{shown}");
            }
            None => assert!(refusal.is_some(), "{shown}"),
        }
    }
    assert_eq!(named, NAMED.len(), "some named files are missing");
}
