//! Libraries that a packer would not pack and a node must not run. The check refuses each with its
//! reason before any member is suspended (S89, S90, S92; issue 5, part 1). They are variants of the
//! app `meter` of the examples.

use std::fs;
use std::path::Path;
use std::process::Command;

use reld_tests::{Node, Run, assert_contains, folder, release};
use serde_json::json;
use tempfile::TempDir;

use crate::doctored::doctored;

const LIBRARY: &str = "lib/meter-1.1.0/meter.so";

/// Builds meter 1.1.0 with these compiler flags, with `more` appended to its source, and with
/// changes of its text.
pub(crate) fn meter(flags: &[&str], more: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    built("1.1.0", flags, more, changes)
}

/// Like `meter`, for any version.
pub(crate) fn built(version: &str, flags: &[&str], more: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let home = folder(&format!("examples/meter-{version}"));
    let mut source = fs::read_to_string(home.join("meter.c")).expect("the example is there") + more;
    for (from, to) in changes {
        assert!(source.contains(from), "no {from} in meter.c");
        source = source.replace(from, to);
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let (text, library) = (scratch.path().join("meter.c"), scratch.path().join("meter.so"));
    fs::write(&text, source).expect("the folder can be written");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-fPIC", "-fvisibility=hidden", "-shared", "-Wl,--build-id", "-I"]).arg(&home);
    cc.arg("-I").arg(folder("daemon/abi")).args(flags).arg("-o").arg(&library).arg(&text);
    Run::of(&mut cc).expect(0);
    fs::read(library).expect("it was built")
}

/// Returns the release plant 1.1.0 with this library in place of meter's.
pub(crate) fn with_library(library: &[u8]) -> (TempDir, String) {
    doctored("plant-1.1.0", |files| drop(files.insert(LIBRARY.to_owned(), library.to_vec())))
}

fn plant() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    node.ok(&["cast", "meter", r#"{"add": 7}"#]);
    node
}

/// Checks that a release with this library is refused for this reason, and that the node continues
/// unchanged.
#[track_caller]
fn check(node: &Node, library: &[u8], words: &[&str]) {
    let (_scratch, tarball) = with_library(library);
    node.ok(&["unpack", &tarball]);
    let refused = node.run(&["check", "1.1.0"]).expect(1).stderr;
    assert_contains(&refused, &["app meter 1.1.0"]);
    assert_contains(&refused, words);
    let before = node.pid("meter", "meter");
    node.run(&["upgrade", "1.1.0"]).expect(1);
    assert_eq!(node.call("meter", "read"), json!({"total_wh": 7, "readings": 1}));
    assert_eq!((node.pid("meter", "meter"), node.mapped().len()), (before, 2));
    node.ok(&["remove", "1.1.0"]);
}

#[test]
fn s89_a_library_of_another_interface_is_refused_with_both_versions() {
    let node = plant();
    let major = [(".abi_major = RELD_ABI_MAJOR", ".abi_major = 2")];
    check(&node, &meter(&[], "", &major), &["abi_major differs", "ABI 2.", "offers ABI 1."]);
    let minor = [(".abi_minor = RELD_ABI_MINOR", ".abi_minor = 99")];
    check(&node, &meter(&[], "", &minor), &["abi_minor differs", "ABI 1.99", "offers ABI 1."]);
    let magic = [(".magic = RELD_MAGIC", ".magic = \"another\"")];
    check(&node, &meter(&[], "", &magic), &["magic is \"another", "reld.h"]);
    let other = [("TEXT(\"1.1.0\")", "TEXT(\"1.1.1\")")];
    check(&node, &meter(&[], "", &other), &["its vsn is \"1.1.1\", but \"1.1.0\" was expected"]);
}

#[test]
fn a_library_for_another_target_or_half_of_one_is_refused() {
    let node = plant();
    let sound = meter(&[], "", &[]);
    let with = |at: usize, byte: u8| {
        let mut library = sound.clone();
        library[at] = byte;
        library
    };
    check(&node, &with(18, 183), &["its machine is aarch64", "build a cdylib for the daemon's target"]);
    check(&node, &with(4, 1), &["its class is 1"]);
    check(&node, &sound[..sound.len() / 2], &["it is not a complete ELF file", "copy it again"]);
    check(&node, b"#!/bin/sh\n", &["it is not a complete ELF file"]);
}

#[test]
fn a_library_with_static_tls_or_unique_symbols_is_refused_with_the_remedy() {
    let node = plant();
    let static_tls = "static __thread int x __attribute__((tls_model(\"initial-exec\")));\n\
                      RELD_EXPORT int *tls(void) { return &x; }\n";
    check(&node, &meter(&[], static_tls, &[]), &["static"]);
    let unique = "__asm__(\".pushsection .data\\n.globl only\\n.type only, @gnu_unique_object\\nonly: .quad 1\\n\
                  .size only, 8\\n.popsection\");\n";
    check(&node, &meter(&[], unique, &[]), &["only", "-fno-gnu-unique"]);
    check(&node, &meter(&["-Wl,-z,execstack"], "", &[]), &["executable stacks", "-Wl,-z,noexecstack"]);
    let nobody = "int nobody(void);\nRELD_EXPORT int somebody(void) { return nobody(); }\n";
    check(&node, &meter(&[], nobody, &[]), &["nobody"]);
    let in_code = "__asm__(\".pushsection .text\\n.quad reld_app_v1\\n.popsection\");\n";
    check(&node, &meter(&["-Wl,-z,notext"], in_code, &[]), &["-fPIC"]);
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let other = scratch.path().join("libother.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-x", "c", "/dev/null", "-Wl,-soname,libother.so", "-o"]).arg(&other);
    Run::of(&mut cc).expect(0);
    let needs = ["-Wl,--no-as-needed", &other.to_string_lossy()];
    check(&node, &meter(&needs, "", &[]), &["libother.so"]);
    let abort = [("RELD_FLAG_PANIC_UNWIND", "0")];
    check(&node, &meter(&[], "", &abort), &["panic"]);
}

#[test]
fn s92_a_constructor_that_ends_its_process_ends_only_a_probe_process() {
    let node = plant();
    let crashes = "__attribute__((constructor)) static void crash(void) { abort(); }\n";
    check(&node, &meter(&[], crashes, &[]), &["signal 6"]);
    let exits = "__attribute__((constructor)) static void leave(void) { exit(7); }\n";
    check(&node, &meter(&[], exits, &[]), &["exited with 7"]);
}

#[test]
fn a_library_with_nodelete_and_one_with_128_mb_of_statics_leave_like_any_other() {
    let node = plant();
    let begin = node.resident_kb();
    let statics = "static char statics[128 << 20];\n\
                   __attribute__((constructor)) static void fill(void) { memset(statics, 1, sizeof statics); }\n";
    for library in [meter(&["-Wl,-z,nodelete"], "", &[]), meter(&[], statics, &[])] {
        let is_large = library.windows(7).any(|window| window == b"statics");
        let (_scratch, tarball) = with_library(&library);
        node.ok(&["upgrade", &tarball]);
        assert_eq!(node.mapped().len(), 2, "the older one has left");
        assert_eq!(node.resident_kb() > begin + 100_000.0, is_large);
        node.ok(&["downgrade"]);
        assert_eq!((node.code().residents, node.mapped().len()), (vec![], 2));
        assert!(node.resident_kb() < begin + 50_000.0, "{} of {begin}", node.resident_kb());
        node.ok(&["remove", "1.1.0"]);
    }
}

/// `-O3 -ffast-math` alone links libmvec.
#[test]
fn a_library_may_share_every_member_of_glibc_and_leaves_like_any_other() {
    let node = plant();
    let sines =
        "RELD_EXPORT void sines(double *a) { for (int i = 0; i < 1024; i++) a[i] = __builtin_sin(a[i]); }\n";
    let members =
        ["mvec.so.1", "resolv.so.2", "anl.so.1", "util.so.1", "m.so.6", "dl.so.2", "rt.so.1", "pthread.so.0"];
    let links = members.map(|member| format!("-l:lib{member}"));
    let flags = [&["-O3", "-ffast-math", "-Wl,--no-as-needed"][..], &links.each_ref().map(String::as_str)];
    let (_scratch, tarball) = with_library(&meter(&flags.concat(), sines, &[]));
    node.ok(&["upgrade", &tarball]);
    assert_eq!(node.call("meter", "read"), json!({"total_mwh": 7000, "readings": 1, "largest_mwh": 0}));
    node.ok(&["downgrade"]);
    assert_eq!((node.code().residents, node.mapped().len()), (vec![], 2));
}

/// A raw thread of C. glibc would unmap its code while it runs.
#[test]
fn s90_a_library_with_threads_that_it_does_not_declare_is_not_replaced_while_they_run() {
    let node = plant();
    let thread = "#include <pthread.h>\n#include <unistd.h>\n\
                  static void *run(void *nothing) { for (;;) { pause(); } return nothing; }\n";
    let start = "static reld_status load(const reld_host *table) {\n    pthread_t thread;\n    \
                 pthread_create(&thread, NULL, run, NULL);\n";
    let changes = [
        ("#include \"msgpack.h\"\n", &*format!("#include \"msgpack.h\"\n{thread}")),
        ("static reld_status load(const reld_host *table) {\n", start),
    ];
    let (_scratch, tarball) = with_library(&meter(&["-pthread"], "", &changes));
    node.ok(&["upgrade", &tarball]);
    let refused = node.run(&["downgrade"]).expect(1).stderr;
    assert_contains(
        &refused,
        &["app meter 1.1.0 has started threads, and 1 of them still run", "threads = true"],
    );
    let read = node.call("meter", "read");
    assert_eq!(read, json!({"total_mwh": 7000, "readings": 1, "largest_mwh": 0}), "it goes on");
}

#[test]
fn s87_a_file_that_was_replaced_after_it_was_unpacked_is_refused() {
    let node = plant();
    node.ok(&["unpack", &release("plant-1.1.0")]);
    let file = node.root().join(LIBRARY);
    let other = meter(&["-O2"], "", &[]);
    replace(&file, &other);
    let refused = node.run(&["check", "1.1.0"]).expect(1).stderr;
    assert_contains(
        &refused,
        &["release 1.1.0 is damaged on disk", LIBRARY, "is changed", "`relctl unpack`"],
    );
    node.run(&["upgrade", "1.1.0"]).expect(1);
}

/// Replaces a file by a rename, as a package manager does.
fn replace(file: &Path, content: &[u8]) {
    let fresh = file.with_extension("new");
    fs::write(&fresh, content).expect("the root can be written");
    fs::rename(fresh, file).expect("the root can be written");
}
