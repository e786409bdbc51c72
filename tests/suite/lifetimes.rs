//! Code of libraries that runs at load and unload: constructors, `load`, `unload`, destructors. The
//! node does not wait for any of it (S83, S92).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use reld_tests::{Node, Run, assert_contains, eventually, field, folder, release};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::doctored::doctored;
use crate::misfits::built;

const HEAD: &str = "#include \"msgpack.h\"\n";

/// Returns C code for a meter: it waits until a gate file exists, and appends marks to another
/// file.
fn helpers(folder: &Path) -> String {
    let path = |name| folder.join(name);
    let defined = format!(
        "#define GATE {:?}\n#define MARKS {:?}\n#define ARMED {:?}\n",
        path("gate"),
        path("marks"),
        path("armed")
    );
    defined + HELPERS
}

const HELPERS: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static void __attribute__((noinline, unused)) await_gate(void) {
    while (access(GATE, F_OK) != 0) {
        usleep(1000);
    }
}
static void __attribute__((unused)) hang(void) {
    if (access(ARMED, F_OK) == 0) {
        await_gate();
    }
}
static void __attribute__((unused)) mark(const char *text) {
    int file = open(MARKS, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (write(file, text, strlen(text)) < 0) {
        _exit(9);
    }
    close(file);
}
"#;

/// Returns a plant with this code in its meter, in this version.
fn plant(node: &Node, version: &str, code: &str, changes: &[(&str, &str)]) -> (TempDir, String) {
    let head = format!("{HEAD}{}{code}\n", helpers(&home(node)));
    let changes = [&[(HEAD, head.as_str())], changes].concat();
    let library = built(version, &[], "", &changes);
    let path = format!("lib/meter-{version}/meter.so");
    doctored(&format!("plant-{version}"), |files| drop(files.insert(path, library)))
}

fn home(node: &Node) -> PathBuf {
    node.root().with_file_name("")
}

fn open_gate(node: &Node) {
    fs::write(home(node).join("gate"), "").expect("the folder can be written");
}

fn marks(node: &Node) -> String {
    fs::read_to_string(home(node).join("marks")).unwrap_or_default()
}

fn read(node: &Node) -> Value {
    node.call("meter", r#""read""#)
}

fn readings(node: &Node) -> u64 {
    field(&read(node), "readings")
}

/// Returns why meter 1.0.0 stays mapped.
fn stays(node: &Node) -> Option<String> {
    let mut residents = node.code().residents.into_iter();
    residents.find(|resident| resident.app == "meter").map(|meter| meter.reason)
}

/// Waits for an alarm about library code that does not return.
fn await_alarm(node: &Node, words: &str) {
    eventually(words, || {
        let status = node.status();
        (status.degraded && status.alarms.iter().any(|alarm| alarm.contains(words))).then_some(())
    });
}

/// Upgrades another app: one library is loaded and one is unmapped.
fn check_moves_counter(node: &Node, version: &str) {
    let dir = folder(&format!("examples/counter-{version}"));
    node.ok(&["upgrade", "--app", "counter", &dir.to_string_lossy(), "--profile", "dev"]);
    eventually("the other library is unmapped", || {
        (node.code().residents.iter().all(|resident| resident.app != "counter")).then_some(())
    });
}

const LOAD: &str = "static reld_status load(const reld_host *table) {\n";
const LAST: &str = "    .load = load,\n";

#[test]
fn calls_are_answered_and_libraries_come_and_go_while_a_destructor_of_a_replaced_library_runs() {
    let node = Node::start();
    // `load` is called only in the daemon, not in a probe process.
    let code = "static int is_loaded;\n\
                __attribute__((destructor)) static void end(void) { if (is_loaded) { await_gate(); mark(\"d\"); } }";
    let load = format!("{LOAD}    is_loaded = 1;\n");
    let (_scratch, tarball) = plant(&node, "1.0.0", code, &[(LOAD, &load)]);
    node.ok(&["upgrade", &tarball]);
    node.ok(&["upgrade", &release("plant-1.1.0")]);
    let before = marks(&node);
    // Callbacks run on existing and new threads while the loader is blocked.
    for _ in 0..20 {
        assert_eq!(readings(&node), 0);
    }
    check_moves_counter(&node, "0.1.0");
    assert_eq!((before, marks(&node)), (String::new(), String::new()), "it still runs");
    await_alarm(&node, "app meter 1.0.0: its destructor does not return");
    assert_eq!(stays(&node).as_deref(), Some("its destructor does not return"));
    open_gate(&node);
    eventually("it leaves", || stays(&node).is_none().then_some(()));
    assert_eq!(marks(&node), "d", "once");
    let status = node.status();
    assert_eq!((status.degraded, status.alarms), (false, vec![]));
}

#[test]
fn constructors_and_destructors_run_once_in_order_with_the_usual_arguments() {
    let mut node = Node::start();
    let code = r#"
        static int is_loaded;
        static void note(const char *what) {
            if (is_loaded) {
                mark(what);
            }
        }
        void first(int n, char **arguments, char **environment) {
            int is_right = n > 2 && strstr(arguments[0], "reld") && arguments[n] == NULL && environment[0];
            mark(is_right ? "0" : "!");
        }
        __attribute__((constructor(101))) static void one(void) { mark("1"); }
        __attribute__((constructor(102))) static void two(void) { mark("2"); }
        static void after_all(void) { note("x"); }
        __attribute__((destructor(101))) static void end_one(void) { note("B"); }
        __attribute__((destructor(102))) static void end_two(void) { note("A"); }
        void last(void) { note("C"); }
        static void unload(void) { note("u"); }
        int __cxa_atexit(void (*function)(void *), void *of, void *dso);
        static void of_no_image(void *of) { note(of); }
    "#;
    let load = format!(
        "{LOAD}    is_loaded = 1;\n    mark(\"l\");\n    atexit(after_all);\n    __cxa_atexit(of_no_image, \"n\", NULL);\n"
    );
    let last = format!("{LAST}    .unload = unload,\n");
    let head = format!("{HEAD}{}{code}\n", helpers(&home(&node)));
    let changes = [(HEAD, head.as_str()), (LOAD, load.as_str()), (LAST, last.as_str())];
    let library = built("1.0.0", &["-Wl,-init=first", "-Wl,-fini=last"], "", &changes);
    let (_scratch, tarball) = doctored("plant-1.0.0", |files| {
        drop(files.insert("lib/meter-1.0.0/meter.so".to_owned(), library));
    });
    node.ok(&["unpack", &tarball]);
    node.ok(&["check", "1.0.0"]);
    let looked = marks(&node);
    node.ok(&["upgrade", "1.0.0"]);
    assert_eq!(marks(&node)[looked.len()..], *"012l");
    node.ok(&["upgrade", &release("plant-1.1.0")]);
    eventually("it leaves", || stays(&node).is_none().then_some(()));
    assert_eq!(marks(&node)[looked.len()..], *"012luABCnx");
    assert_eq!(node.mapped().len(), 2);

    node.ok(&["downgrade"]);
    let begun = marks(&node);
    assert!(begun.ends_with("x012l"), "{begun}");
    assert_eq!(node.terminate().code(), Some(0));
    assert_eq!(
        marks(&node)[begun.len()..],
        *"ABCnx",
        "destructors of mapped libraries run at the end of the daemon"
    );
}

#[test]
fn a_library_that_stays_mapped_is_not_ended_before_the_daemon_is() {
    let mut node = Node::start();
    let code = "static int is_loaded;\n__attribute__((destructor)) static void end(void) { if (is_loaded) { mark(\"d\"); } }";
    let load = format!("{LOAD}    is_loaded = 1;\n    static char text[] = \"LEFT=1\";\n    putenv(text);\n");
    let (_scratch, tarball) = plant(&node, "1.0.0", code, &[(LOAD, &load)]);
    node.ok(&["upgrade", &tarball]);
    node.ok(&["upgrade", &release("plant-1.1.0")]);
    assert!(stays(&node).is_some_and(|why| why.starts_with("imports putenv")));
    assert_eq!(readings(&node), 0);
    assert_eq!(marks(&node), "");
    assert_eq!(node.terminate().code(), Some(0));
    assert_eq!(marks(&node), "d");
}

#[test]
fn an_unload_that_does_not_return_keeps_its_library_and_delays_nothing() {
    let node = Node::start();
    let last = format!("{LAST}    .unload = await_gate,\n");
    let (_scratch, tarball) = plant(&node, "1.0.0", "", &[(LAST, &last)]);
    node.ok(&["upgrade", &tarball]);
    node.ok(&["upgrade", &release("plant-1.1.0")]);
    // The downgrade loads the same version again.
    node.ok(&["downgrade"]);
    assert_eq!(readings(&node), 0);
    check_moves_counter(&node, "0.1.1");
    await_alarm(&node, "app meter 1.0.0: its unload does not return");
    assert_eq!(stays(&node).as_deref(), Some("its unload does not return"));
    let page = node.ok(&["status"]).stdout;
    assert!(page.contains("degraded") && page.contains("its unload does not return"), "{page}");
    open_gate(&node);
    eventually("it leaves", || stays(&node).is_none().then_some(()));
    assert!(!node.status().degraded);
    assert_eq!(node.mapped().len(), 2);
}

/// Stores a thread-local value on the reading thread. Its destructor waits for the gate.
const HOLDS: &[&str] = &[
    "pthread_key_create(&key, end); pthread_setspecific(key, \"held\");",
    "int __cxa_thread_atexit_impl(void (*)(void *), void *, void *); __cxa_thread_atexit_impl(end, NULL, &key);",
];

#[test]
fn a_thread_local_destructor_that_does_not_return_keeps_its_thread_and_library_with_an_alarm() {
    for hold in HOLDS {
        let node = Node::start();
        let code = format!(
            "#include <pthread.h>\nstatic pthread_key_t key;\nstatic void end(void *of) {{ (void)of; await_gate(); }}\n\
             static void hold(void) {{ {hold} }}"
        );
        let read = "    case READ:\n";
        let (_scratch, tarball) =
            plant(&node, "1.0.0", &code, &[(read, &format!("{read}        hold();\n"))]);
        node.ok(&["upgrade", &tarball]);
        assert_eq!(readings(&node), 0);
        node.ok(&["upgrade", &release("plant-1.1.0")]);
        for _ in 0..20 {
            assert_eq!(readings(&node), 0);
        }
        await_alarm(&node, "app meter 1.0.0: a thread-local destructor does not return");
        assert_eq!(stays(&node).as_deref(), Some("a thread-local destructor does not return"));
        // Thread-local destructors of other libraries run.
        check_moves_counter(&node, "0.1.0");
        assert_eq!(readings(&node), 0);
        open_gate(&node);
        eventually("it leaves", || stays(&node).is_none().then_some(()));
        assert_eq!((node.status().degraded, node.mapped().len()), (false, 2));
    }
}

/// Checks a load of version 1.1.0 that does not return once the file `armed` exists. `meanwhile`
/// runs while it hangs.
fn never_loaded(code: &str, changes: &[(&str, &str)], what: &str, meanwhile: impl Fn(&Node)) {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let armed = home(&node).join("armed");
    let (_scratch, tarball) = plant(&node, "1.1.0", code, changes);
    node.ok(&["unpack", &tarball]);
    node.ok(&["check", "1.1.0"]);
    fs::write(armed, "").expect("the folder can be written");
    let mut upgrading = node.relctl(&["upgrade", "1.1.0"]).spawn().expect("relctl can be run");
    await_alarm(&node, &format!("app meter 1.1.0: {what}"));
    assert_eq!(read(&node), json!({"total_wh": 0, "readings": 0}), "the node goes on");
    let aborted = node.ok(&["abort"]);
    assert!(aborted.stdout.contains("caused by: aborted by the operator"), "{aborted:?}");
    assert_eq!(upgrading.wait().expect("relctl ends").code(), Some(4));
    meanwhile(&node);
    open_gate(&node);
    eventually("the late library is unmapped", || (node.mapped().len() == 2).then_some(()));
    assert!(!node.status().degraded);
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(readings(&node), 0);
}

#[test]
fn a_constructor_that_does_not_return_delays_only_its_upgrade_which_can_be_aborted() {
    let code = "__attribute__((constructor)) static void begin(void) { hang(); }";
    never_loaded(code, &[], "its constructor does not return", |node| check_moves_counter(node, "0.1.1"));
}

#[test]
fn a_load_that_does_not_return_delays_only_its_upgrade_which_can_be_aborted() {
    let load = format!("{LOAD}    hang();\n");
    never_loaded("", &[(LOAD, &load)], "its load does not return", |node| check_moves_counter(node, "0.1.1"));
}

/// IFUNC resolvers are the only library code that still runs inside glibc's loader.
#[test]
fn a_resolver_that_does_not_return_stops_all_loading_and_an_alarm_asks_for_a_restart() {
    let code = r#"
        static long call(long number, const void *a, const void *b) {
            long answer;
            __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
            return answer;
        }
        static void nothing_at_all(void) {}
        static void *resolve(void) {
            static const long moment[] = {0, 1000000};
            while (call(21, ARMED, NULL) == 0 && call(21, GATE, NULL) != 0) {
                call(35, moment, NULL);
            }
            return nothing_at_all;
        }
        RELD_EXPORT void resolved(void) __attribute__((ifunc("resolve")));
        RELD_EXPORT void calls_resolved(void) { resolved(); }
    "#;
    never_loaded(code, &[], "dlopen does not return for it", |node| {
        let alarms = node.status().alarms;
        assert!(alarms.iter().any(|alarm| alarm.contains("restart the daemon")), "{alarms:?}");
        assert_eq!(readings(node), 0);
    });
}

#[test]
fn an_exception_of_a_constructor_is_found_by_a_probe_process_and_ends_the_daemon_with_a_log_line() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let armed = home(&node).join("armed");
    let library = crate::left_behind::throwing("1.1.0", &armed);
    let (_scratch, tarball) = doctored("plant-1.1.0", |files| {
        drop(files.insert("lib/meter-1.1.0/meter.so".to_owned(), library));
    });
    node.ok(&["unpack", &tarball]);
    fs::write(&armed, "").expect("the folder can be written");
    let refused = node.run(&["check", "1.1.0"]).expect(1).stderr;
    assert!(refused.contains("app meter 1.1.0") && refused.contains("signal 6"), "{refused}");
    assert_eq!(read(&node), json!({"total_wh": 0, "readings": 0}), "no process was affected");

    // An exception in the daemon itself cannot be caught, so the log names the app.
    fs::remove_file(&armed).expect("the file exists");
    node.ok(&["check", "1.1.0"]);
    fs::write(&armed, "").expect("the folder can be written");
    node.run(&["upgrade", "1.1.0"]);
    assert_eq!(node.ended().signal(), Some(6));
    let log = node.log();
    let last = log.lines().find(|line| line.contains("an exception left a constructor: the daemon ends"));
    assert!(last.is_some_and(|line| line.contains("app=\"meter\"")), "{log}");
}

#[test]
fn a_release_that_fails_to_boot_three_times_gives_way_with_an_alarm() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let load = format!("{LOAD}    if (access(ARMED, F_OK) == 0) {{\n        return 1;\n    }}\n");
    let (_scratch, tarball) = plant(&node, "1.1.0", "", &[(LOAD, &load)]);
    node.ok(&["upgrade", &tarball]);
    assert!(node.terminate().success());
    let armed = home(&node).join("armed");
    fs::write(&armed, "").expect("the folder can be written");
    for _ in 0..2 {
        let mut daemon = Node::daemon_in(&node.root());
        let failed = Run::of(daemon.arg("--socket").arg(node.socket())).expect(1);
        assert_contains(&failed.stderr, &["1.1.0"]);
    }
    node.kill_9_and_restart();
    let alarm = "release 1.1.0 failed to boot 3 times and gave way to 1.0.0, which is permanent now";
    for _ in 0..2 {
        let status = node.status();
        assert_eq!((node.version().as_str(), status.permanent.as_deref()), ("1.0.0", Some("1.0.0")));
        assert_eq!(status.alarms, [alarm]);
        assert_contains(&node.ok(&["status"]).stdout, &[&format!("alarm      {alarm}")]);
        node.kill_9_and_restart();
    }
    fs::remove_file(&armed).expect("the file exists");
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(node.status().alarms, [""; 0]);
}
