//! S86: a purged library is unmapped, or the reason why it stays mapped is reported.
//!
//! The thread of a test plays a thread of the daemon: it runs code of the library, and flushes.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use reld_loader::{Library, flush, own_signals};
use reld_runtime::{Event, From, Step};
use reld_wire::Pid;

use crate::fixture::{Bench, DEADLINE};

/// Calls a fresh server of the library and returns its reply.
fn call(library: &Library, body: &[u8]) -> Vec<u8> {
    let Step::Ready(born) = library.modules()[0].init(b"") else { panic!("waits") };
    let from = From { caller: Pid::NONE, server: Pid::NONE, reference: 1 };
    let called = born.instance.unwrap().callback(&Event::Call(from, body));
    let Step::Ready(outcome) = called else { panic!("waits") };
    outcome.reply.clone().unwrap()
}

fn is_mapped(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap())
}

/// Returns the reason why the only mapped library, which is condemned, stays.
#[track_caller]
fn reason(bench: &Bench) -> String {
    bench.loader.settle();
    let residents = bench.loader.residents();
    let [resident] = residents.as_slice() else { panic!("one library is mapped: {residents:?}") };
    assert!(resident.condemned.is_some() && resident.bytes.unwrap() > 4096, "{resident:?}");
    resident.reason.clone()
}

/// Waits until no library of the bench is mapped.
#[track_caller]
fn gone(bench: &Bench, path: &Path) {
    bench.emptied();
    assert!(!is_mapped(path));
}

#[test]
fn a_library_is_in_use_until_its_last_state_is_dropped_and_is_unmapped_then() {
    let bench = Bench::new();
    let library = bench.echo();
    let path = library.path();
    let state = library.modules()[0].import(b"1").unwrap();
    let residents = bench.loader.residents();
    assert_eq!((residents[0].app.as_str(), residents[0].condemned), ("echo", None), "{residents:?}");
    drop(library);
    assert_eq!(reason(&bench), "its code still runs, or one of its values is still held");
    assert!(path.exists() && is_mapped(&path), "a state still needs the library");
    drop(state);
    gone(&bench, &path);
    assert!(!path.exists(), "the file of a purged library is removed");
}

#[test]
fn a_refused_library_is_unmapped_as_well() {
    let bench = Bench::new();
    bench.refusal(&["-DMAJOR=7"]);
    bench.emptied();
}

#[test]
fn the_unload_function_is_called_once_when_the_library_is_purged() {
    let bench = Bench::new();
    let library = bench.marking(&[]);
    let path = library.path();
    assert_eq!(bench.marks(), "");
    drop(library);
    gone(&bench, &path);
    assert_eq!(bench.marks(), "u");
}

#[test]
fn a_thread_local_value_keeps_the_library_until_its_thread_flushes() {
    let bench = Bench::new();
    let library = bench.marking(&[]);
    let path = library.path();
    call(&library, b"leave value");
    drop(library);
    let reason = reason(&bench);
    assert!(reason.contains("thread-local values of it live on thread"), "{reason}");
    assert_eq!(bench.marks(), "u", "no other thread may run the destructor");
    flush();
    gone(&bench, &path);
    assert_eq!(bench.marks(), "ud");
}

#[test]
fn a_value_of_a_key_is_released_with_the_values_that_its_destructor_registers() {
    let bench = Bench::new();
    let library = bench.marking(&[]);
    let path = library.path();
    call(&library, b"leave value");
    call(&library, b"leave key");
    drop(library);
    reason(&bench);
    flush();
    gone(&bench, &path);
    assert_eq!(bench.marks(), "udkd");
}

#[test]
fn a_thread_that_ends_runs_its_destructors_and_the_library_is_unmapped() {
    let bench = Bench::new();
    let library = bench.marking(&[]);
    let path = library.path();
    thread::scope(|scope| {
        scope.spawn(|| {
            call(&library, b"leave value");
            call(&library, b"leave key");
        });
    });
    // The scope ends before its thread does.
    let began = Instant::now();
    while bench.marks() != "dkd" {
        assert!(began.elapsed() < DEADLINE, "{}", bench.marks());
        thread::yield_now();
    }
    drop(library);
    gone(&bench, &path);
}

#[test]
fn a_library_is_unmapped_when_a_thread_with_its_values_ends_after_the_purge() {
    let bench = Bench::new();
    let library = bench.marking(&[]);
    let path = library.path();
    thread::scope(|scope| {
        scope.spawn(|| {
            call(&library, b"leave key");
            drop(library);
            assert!(is_mapped(&path));
        });
    });
    gone(&bench, &path);
    assert!(["ukd", "kdu"].contains(&bench.marks().as_str()), "{}", bench.marks());
}

#[test]
fn a_thread_of_the_library_keeps_it_mapped_until_the_very_end_of_the_thread() {
    let bench = Bench::new();
    let gate = bench.folder.path().join("gate");
    let library = bench.marking(&[&format!("-DTHREAD_WAITS_FOR={gate:?}")]);
    let path = library.path();
    call(&library, b"start thread");
    call(&library, b"start thread");
    drop(library);
    assert_eq!(reason(&bench), "2 threads that it started still run");
    std::fs::write(gate, "").unwrap();
    gone(&bench, &path);
    assert_eq!(bench.marks(), "udd");
}

#[test]
fn a_signal_calls_the_handlers_of_all_libraries_and_a_running_handler_keeps_its_library_mapped() {
    own_signals();
    let (bench, other_bench) = (Bench::new(), Bench::new());
    let gate = bench.folder.path().join("gate");
    let library = bench.marking(&[&format!("-DHANDLER_WAITS_FOR={gate:?}")]);
    let other = other_bench.marking(&[]);
    let path = library.path();
    call(&library, b"handle signal");
    call(&other, b"handle signal");
    let raised = thread::scope(|scope| {
        let raising = scope.spawn(|| call(&other, b"raise signal"));
        let began = Instant::now();
        while bench.marks() != "s" {
            assert!(began.elapsed() < DEADLINE, "its handler is not called");
            thread::yield_now();
        }
        drop(library);
        assert_eq!(reason(&bench), "it handles signal 12");
        std::fs::write(gate, "").unwrap();
        raising.join()
    });
    raised.unwrap();
    gone(&bench, &path);
    call(&other, b"raise signal");
    assert_eq!((bench.marks().as_str(), other_bench.marks().as_str()), ("su", "ss"));
    let (silent_bench, path) = (Bench::new(), other.path());
    drop(other);
    gone(&other_bench, &path);
    call(&silent_bench.echo(), b"raise signal");
}

#[test]
fn an_alternate_stack_keeps_the_library_mapped_until_its_thread_has_the_previous_stack_again() {
    let (other, bench) = (Bench::new(), Bench::new());
    let (witness, library) = (other.echo(), bench.echo());
    let (path, before) = (library.path(), call(&witness, b"stack"));
    call(&library, b"give stack");
    call(&library, b"give stack");
    assert_ne!(call(&library, b"stack"), before);
    assert_eq!(call(&witness, b"stack"), before, "a stack of another library is never seen");
    drop(library);
    assert!(reason(&bench).contains("live on thread"), "{}", reason(&bench));
    flush();
    gone(&bench, &path);
    assert_eq!(call(&witness, b"stack"), before);
}

#[test]
fn values_that_a_constructor_leaves_on_the_loader_thread_are_destroyed() {
    let bench = Bench::new();
    let library = bench.marking(&["-DCONSTRUCTOR_LEAVES"]);
    let path = library.path();
    drop(library);
    gone(&bench, &path);
    assert_eq!(bench.marks(), "udkd");
}

/// glibc has 1,024 keys for the whole process, and Rust's standard library aborts when there are
/// none left.
#[test]
fn keys_are_deleted_with_their_library_however_many_libraries_come_and_go() {
    let bench = Bench::new();
    for _ in 0..1_100 {
        let library = bench.echo();
        call(&library, b"leave key");
        drop(library);
        flush();
    }
    let began = Instant::now();
    while !bench.loader.residents().is_empty() {
        assert!(began.elapsed() < DEADLINE, "{:?}", bench.loader.residents());
        flush();
        thread::park_timeout(Duration::from_millis(1));
    }
}
