//! Files that are refused before any of their code runs, and files that pass.

use std::fs;
use std::process::Command;

use reld_abi::{ABI_MAJOR, ABI_MINOR};
use reld_loader::{Refusal, probe, verify_exports};

use crate::fixture::{self, Bench, DEADLINE};

/// Changes the bytes of a valid library, and compares the text of the refusal.
#[track_caller]
fn check_bytes(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let bench = Bench::new();
    let library = bench.build(&[]);
    let mut bytes = fs::read(&library).unwrap();
    change(&mut bytes);
    fs::write(&library, bytes).unwrap();
    check_text(&bench.open(&library).unwrap_err().refusal, expected);
}

#[track_caller]
fn check_text(refusal: &Refusal, expected: &str) {
    let text = refusal.to_string();
    assert!(text.contains(expected), "{text:?} does not contain {expected:?}");
}

#[test]
fn an_incomplete_elf_file_is_refused() {
    check_bytes(Vec::clear, "not a complete ELF file");
    check_bytes(|bytes| bytes.truncate(5), "too short");
    check_bytes(|bytes| bytes[0] = b'X', "does not begin with the ELF magic");
    check_bytes(|bytes| bytes.truncate(40), "not a complete ELF file");
    check_bytes(|bytes| bytes.truncate(bytes.len() / 2), "not a complete ELF file");
    check_bytes(|bytes| bytes.truncate(bytes.len() - 1), "not a complete ELF file");
}

#[test]
fn a_file_for_another_target_is_refused_by_the_field_that_differs() {
    check_bytes(|bytes| bytes[4] = 1, "class is 1, this daemon needs 2");
    check_bytes(|bytes| bytes[5] = 2, "byte order is 2, this daemon needs 1");
    check_bytes(|bytes| bytes[16] = 2, "type is 2, this daemon needs 3");
    check_bytes(|bytes| bytes[18] = 0xf3, "machine is 243, this daemon needs");
    let names = [("x86_64", 62, "x86-64"), ("aarch64", 183, "aarch64")];
    for (_, number, name) in names.into_iter().filter(|(machine, ..)| *machine != std::env::consts::ARCH) {
        check_bytes(|bytes| bytes[18] = number, &format!("machine is {name}, this daemon needs"));
    }
}

#[test]
fn a_missing_file_is_refused_with_the_systems_error() {
    let bench = Bench::new();
    let error = bench.open(&bench.folder.path().join("nobody.so")).unwrap_err();
    assert!(matches!(error.refusal, Refusal::Read(_)), "{error}");
    assert!(error.to_string().contains("nobody.so: the file cannot be read"), "{error}");
}

#[test]
fn a_library_without_the_entry_is_refused() {
    let refusal = Bench::new().refusal(&["-DENTRY=other_entry"]);
    assert!(matches!(refusal, Refusal::NoEntry), "{refusal}");
}

#[test]
fn static_tls_is_refused() {
    let refusal = Bench::new().refusal(&["-DSTATIC_TLS"]);
    assert!(matches!(refusal, Refusal::StaticTls), "{refusal}");
}

#[test]
fn a_library_without_a_build_id_is_refused() {
    let refusal = Bench::new().refusal(&["-Wl,--build-id=none"]);
    assert!(matches!(refusal, Refusal::NoBuildId), "{refusal}");
}

#[test]
fn a_library_that_needs_another_one_is_refused_with_the_name_of_that_one() {
    let bench = Bench::new();
    let other = bench.folder.path().join("libother.so");
    let source = bench.folder.path().join("other.c");
    fs::write(&source, "int other(void) { return 1; }\n").unwrap();
    fixture::run(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-Wl,-soname,libother.so", "-o"])
            .arg(&other)
            .arg(&source),
    );
    let refusal = bench.refusal(&["-Wl,--no-as-needed", other.to_str().unwrap()]);
    assert!(matches!(&refusal, Refusal::Needs { library } if library == "libother.so"), "{refusal}");
    assert_eq!(bench.loader.residents(), []);
}

#[test]
fn a_file_with_another_digest_than_recorded_is_refused_before_its_content_is_checked() {
    let bench = Bench::new();
    let mut request = fixture::request(&bench.build(&[]));
    request.sha256 = Some([7; 32]);
    let error = bench.loader.open(request, DEADLINE).unwrap_err();
    check_text(&error.refusal, "not 07070707");
    assert_eq!(bench.loader.residents(), []);
}

#[test]
fn undefined_symbols_are_refused_with_their_names() {
    let refusal = Bench::new().refusal(&["-DCALLBACK=nobody_defines_this", "-DPOLL=nor_this"]);
    check_text(&refusal, "nobody_defines_this");
    check_text(&refusal, "nor_this");
}

#[test]
fn executable_stacks_are_refused() {
    let refusal = Bench::new().refusal(&["-Wl,-z,execstack"]);
    check_text(&refusal, "link it with -Wl,-z,noexecstack");
}

#[test]
fn relocations_in_code_are_refused() {
    // A table in the text section that holds an address.
    let flags = ["-DTABLE_IN_CODE", "-Wl,-z,notext"];
    check_text(&Bench::new().refusal(&flags), "build all of it with -fPIC");
}

#[test]
fn a_unique_symbol_is_refused_with_its_name() {
    check_text(&Bench::new().refusal(&["-DUNIQUE"]), "it defines only_one as a unique symbol");
}

#[test]
fn a_block_that_claims_to_unwind_does_not_hide_rust_code_that_aborts() {
    let refusal = Bench::new().refusal(&[r#"-DBUILT_BY="reld-sdk 0.1.0, rustc""#]);
    assert!(matches!(refusal, Refusal::PanicAbort), "{refusal}");
}

#[test]
fn a_library_with_nodelete_is_opened_from_a_copy_without_that_flag() {
    let bench = Bench::new();
    let library = bench.open(&bench.build(&["-Wl,-z,nodelete"])).unwrap();
    let flags = Command::new("readelf").arg("-d").arg(library.path()).output().unwrap();
    let flags = String::from_utf8(flags.stdout).unwrap();
    assert!(flags.contains("FLAGS_1") && !flags.contains("NODELETE"), "{flags}");
}

#[test]
fn a_probe_describes_the_library_without_calling_its_load_function() {
    let bench = Bench::new();
    let report = probe(&bench.build(&["-DLOAD_STATUS=RELD_FAILED"])).unwrap();
    let modules: Vec<_> = report.modules.iter().map(|m| (m.name.as_str(), m.behaviour.as_str())).collect();
    assert_eq!(
        (report.app.as_str(), report.version.as_str(), report.abi.as_str()),
        ("echo", "0.1.0", &*format!("{ABI_MAJOR}.{ABI_MINOR}"))
    );
    assert_eq!(modules, [("echo", "gen_server"), ("echo_sup", "supervisor")]);
    assert_eq!((report.built_by.as_str(), report.needed), ("cc", vec!["libc.so.6".to_owned()]));
    assert_eq!(report.build_id.len(), 40);
}

#[test]
fn a_probe_reads_the_schema_of_each_module() {
    let schema =
        |flags: &[&str]| probe(&Bench::new().build(flags)).map(|report| report.modules[0].schema.clone());
    assert_eq!(schema(&["-DSCHEMA=described"]).unwrap(), Some(serde_json::json!({ "state": true })));
    assert_eq!(schema(&[]).unwrap(), None);
    check_text(
        &schema(&["-DSCHEMA=undescribed"]).unwrap_err().refusal,
        "its schema function failed: error: no words",
    );
    check_text(&schema(&["-DSCHEMA=scribble"]).unwrap_err().refusal, "its schema is not valid JSON");
}

#[test]
fn this_program_exports_the_allocator_to_libraries() {
    verify_exports().unwrap();
}
