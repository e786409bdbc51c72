//! Libraries with an invalid magic block or module table.

use std::mem::offset_of;

use reld_abi::{ABI_MAJOR, ABI_MINOR, Module};
use reld_loader::{Heap, Refusal};

use crate::fixture::{Bench, run_with};

/// The size of a module's table in ABI 1.0 minus its size today, which is negative.
fn module_of_1_0() -> isize {
    offset_of!(Module, schema).cast_signed() - size_of::<Module>().cast_signed()
}

#[track_caller]
fn check(flags: &[&str], expected: &str) {
    let bench = Bench::new();
    let text = bench.refusal(flags).to_string();
    assert!(text.contains(expected), "{text:?} does not contain {expected:?}");
    // Its constructors have run, so it must be unmapped again.
    bench.emptied();
}

#[test]
fn another_abi_is_refused_with_both_versions() {
    let newer = ABI_MINOR + 1;
    let differs = |field: &str, version: &str| {
        format!(
            "{field} differs: it was built for ABI {version}, this daemon offers ABI {ABI_MAJOR}.{ABI_MINOR}"
        )
    };
    check(&["-DMAJOR=2", "-DMINOR=3"], &differs("abi_major", "2.3"));
    check(&["-DMAJOR=0"], &differs("abi_major", &format!("0.{ABI_MINOR}")));
    check(&[&format!("-DMINOR={newer}")], &differs("abi_minor", &format!("1.{newer}")));
}

#[test]
fn with_another_abi_only_the_versions_are_checked() {
    check(&["-DMAJOR=2", "-DAPP_GROWTH=-100", "-DFLAGS=0", "-DLOAD=0"], "abi_major differs");
}

#[test]
fn a_wrong_magic_is_refused() {
    check(&[r#"-DMAGIC="other""#], "magic is \"other");
    check(&["-DBLOCK=0"], "address is 0x0");
}

#[test]
fn a_block_smaller_than_the_first_version_is_refused() {
    check(&["-DAPP_GROWTH=-24"], "size is 96, less than the 104 of ABI 1.0");
    let less = format!("-DMODULE_GROWTH={}", module_of_1_0() - 8);
    check(&[&less], "module number 0 is wrong: its size is 72, less than the 80 of ABI 1.0");
}

#[test]
fn a_larger_block_is_read_up_to_the_size_of_this_daemons_version() {
    let bench = Bench::new();
    let library = bench.open(&bench.build(&["-DAPP_GROWTH=64", "-DMODULE_GROWTH=64"])).unwrap();
    let names: Vec<_> = library.modules().iter().map(|module| module.name()).collect();
    assert_eq!(names, ["echo", "echo_sup"]);
}

#[test]
fn the_counters_of_libraries_are_added_up_while_they_are_mapped_and_when_they_are_unmapped() {
    let bench = Bench::new();
    let silent = bench.open(&bench.build(&[])).unwrap();
    let counting = bench.open(&bench.build(&["-DUSAGE=parts"])).unwrap();
    let heaps: Vec<_> = bench.loader.residents().iter().map(|resident| resident.heap).collect();
    // One of its threads has freed memory that another one had allocated.
    assert_eq!(heaps, [None, Some(Heap { blocks: 2, bytes: 200 })]);
    assert_eq!(bench.loader.left(), Heap::default());
    drop((counting, silent));
    bench.emptied();
    // The library leaves the address space a moment before its record.
    bench.loader.settle();
    assert_eq!(bench.loader.left(), Heap { blocks: 2, bytes: 200 });
}

#[test]
fn counters_outside_the_library_are_refused() {
    check(&["-DUSAGE=(const reld_usage*)64"], "usage lies outside the library");
    check(&["-DUSAGE=(const reld_usage*)1"], "usage is 2 parts at 0x1");
    check(&["-DUSAGE=parts", "-DUSAGE_COUNT=5000"], "usage is 5000 parts");
    check(&["-DUSAGE=parts", "-DUSAGE_COUNT=4096"], "usage lies outside the library");
}

#[test]
fn a_library_of_an_earlier_abi_is_opened_and_no_member_beyond_its_tables_is_read() {
    let bench = Bench::new();
    // The members exist and are set, but the sizes of the tables exclude them.
    let first = bench.build(&[
        "-DMINOR=0",
        "-DAPP_GROWTH=-16",
        "-DUSAGE=parts",
        &format!("-DMODULE_GROWTH={}", module_of_1_0()),
        "-DSCHEMA=described",
    ]);
    let opened = bench.open(&first).unwrap();
    assert_eq!(opened.modules().len(), 2);
    assert_eq!(bench.loader.residents()[0].heap, None);
    let report = reld_loader::probe(&first).unwrap();
    assert_eq!((report.abi.as_str(), &report.modules[0].schema), ("1.0", &None));
}

#[test]
fn a_library_that_does_not_unwind_is_refused() {
    check(&["-DFLAGS=0"], "panic=abort");
}

#[test]
fn another_app_or_version_than_requested_is_refused() {
    check(&[r#"-DNAME="other""#], r#"its name is "other", but "echo" was expected"#);
    check(&[r#"-DVSN="9.0.0""#], r#"its vsn is "9.0.0", but "0.1.0" was expected"#);
}

#[test]
fn a_module_that_lacks_a_function_of_its_behaviour_is_refused_with_its_name() {
    check(&["-DCALLBACK=0"], "its module echo is wrong: its callback is null");
    check(&["-DDROP_STATE=0"], "its module echo is wrong: its drop_state is null");
    check(&["-DBEHAVIOUR=9"], "its module echo is wrong: 9 is not a behaviour");
    check(&[r#"-DSECOND="echo""#], "its module echo is wrong: another module of the library has that name");
    check(&["-DMODULES=0"], "modules are 2 at 0x0");
}

#[test]
fn a_load_function_that_is_missing_or_fails_is_an_error() {
    check(&["-DLOAD=0"], "load is null");
    check(&["-DLOAD_STATUS=RELD_FAILED"], "its load function returned status 1");
}

#[test]
fn a_load_that_hangs_fails_at_its_deadline_and_the_next_load_succeeds() {
    let bench = Bench::new();
    let fifo = bench.folder.path().join("fifo");
    run_with("mkfifo", &fifo);
    let blocking = bench.build(&[&format!("-DBLOCK_ON=\"{}\"", fifo.display())]);
    let request = crate::fixture::request(&blocking);
    let error = bench.loader.open(request, std::time::Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error.refusal, Refusal::Deadline(_)), "{error}");
    // To open the pipe for writing waits for its reader and releases it.
    std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    bench.echo();
}
