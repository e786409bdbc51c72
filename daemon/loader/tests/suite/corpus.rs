//! What the fuzzers start from, as an ordinary test; each file is named after what is wrong with it.

use std::fs;
use std::path::Path;

use reld_loader::Refusal;

#[path = "../../../../tests/fuzz/checks/elf.rs"]
mod elf;

#[test]
fn every_file_of_the_corpus_passes_or_is_refused_for_its_reason() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/elf");
    for entry in fs::read_dir(corpus).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        assert_eq!(elf::check(&bytes), reld_loader::check(&bytes).is_ok());
        let checked = reld_loader::check(&bytes);
        let is_right = match entry.file_name().to_str().unwrap() {
            "sound" | "nodelete" => checked.is_ok(),
            "no_build_id" => matches!(checked, Err(Refusal::NoBuildId)),
            "no_entry" => matches!(checked, Err(Refusal::NoEntry)),
            "static_tls" => matches!(checked, Err(Refusal::StaticTls)),
            "undefined" => matches!(checked, Err(Refusal::Undefined { .. })),
            "unique" => matches!(checked, Err(Refusal::Unique { .. })),
            "executable_stack" => matches!(checked, Err(Refusal::ExecutableStack)),
            "class_32" | "big_endian" | "another_machine" | "an_executable" => {
                matches!(checked, Err(Refusal::Target { .. }))
            }
            // The rest, and what a fuzzer found, is cut off or points nowhere.
            _ => checked.is_err(),
        };
        assert!(is_right, "{}: {checked:?}", entry.path().display());
    }
}
