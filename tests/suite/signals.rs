//! Signals and children belong to the whole process: changes by a library do not affect the node
//! and the other apps.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use reld_tests::{Node, Run, eventually, release};

use crate::left_behind::{Language, each, library, plant};

/// Helpers for the libraries: a handler, and a check of the current disposition.
const HEAD: &str = "static volatile int came; static void f(int number) { (void)number; came = 1; }
static void is(int number, void (*handler)(int)) { struct sigaction a;
    if (sigaction(number, NULL, &a) != 0 || a.sa_handler != handler) abort(); }
static pid_t child(int code) { pid_t child = fork(); if (child == 0) _exit(code); return child; }
static void forever(void *(*run)(void *)) { pthread_t t; pthread_create(&t, 0, run, 0); }\n";

/// A name, code of the library that runs on a thread of the pool, and the signal that the log names
/// together with the app.
#[rustfmt::skip]
const LIBRARIES: &[(&str, &str, Option<&str>)] = &[
    ("SIGCHLD ignored", "void line(void) { signal(SIGCHLD, SIG_IGN); is(SIGCHLD, SIG_IGN); }", Some("SIGCHLD")),
    ("SIGCHLD without zombies", "void line(void) { struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}; sigaction(SIGCHLD, &a, NULL); }", Some("SIGCHLD")),
    ("SIGCHLD handled", "void line(void) { struct sigaction a = {.sa_handler = f, .sa_flags = SA_NOCLDWAIT | SA_RESTART}; sigaction(SIGCHLD, &a, NULL); pid_t c = child(0); if (waitpid(c, NULL, 0) != c) abort(); while (!came) {} signal(SIGCHLD, SIG_DFL); }", None),
    ("SIGPIPE by default", "void line(void) { signal(SIGPIPE, SIG_DFL); is(SIGPIPE, SIG_DFL); }", Some("SIGPIPE")),
    ("SIGPIPE ignored", "void line(void) { is(SIGPIPE, SIG_IGN); signal(SIGPIPE, SIG_IGN); }", None),
    ("SIGXFSZ by default", "void line(void) { signal(SIGXFSZ, SIG_DFL); }", Some("SIGXFSZ")),
    ("SIGINT by default", "void line(void) { signal(SIGINT, SIG_DFL); }", Some("SIGINT")),
    ("SIGHUP ignored", "void line(void) { signal(SIGHUP, SIG_IGN); }", Some("SIGHUP")),
    ("SIGTERM by default", "void line(void) { signal(SIGTERM, SIG_IGN); signal(SIGTERM, SIG_DFL); is(SIGTERM, SIG_DFL); }", Some("SIGTERM")),
    ("SIGTERM ignored", "void line(void) { is(SIGTERM, SIG_DFL); signal(SIGTERM, SIG_IGN); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("SIGTERM handled", "void line(void) { struct sigaction a = {.sa_handler = f}, b = a; if (sigaction(SIGTERM, &a, &b) != 0 || b.sa_handler != SIG_DFL) abort(); is(SIGTERM, f); if (signal(SIGTERM, SIG_DFL) != f) abort(); }", Some("SIGTERM")),
    ("__sigaction", "int __sigaction(int, const struct sigaction *, struct sigaction *); void line(void) { struct sigaction a = {.sa_handler = SIG_IGN}; __sigaction(SIGTERM, &a, NULL); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("bsd_signal", "__sighandler_t bsd_signal(int, __sighandler_t); void line(void) { bsd_signal(SIGTERM, SIG_IGN); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("ssignal", "void line(void) { ssignal(SIGTERM, SIG_IGN); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("sysv_signal", "void line(void) { sysv_signal(SIGTERM, SIG_IGN); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("sigset", "void line(void) { if (sigset(SIGTERM, SIG_IGN) != SIG_DFL) abort(); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("sigset to hold", "void line(void) { if (sigset(SIGTERM, SIG_HOLD) != SIG_DFL) abort(); if (sigset(SIGTERM, SIG_DFL) != SIG_HOLD) abort(); }", Some("SIGTERM")),
    ("sigignore", "void line(void) { sigignore(SIGTERM); is(SIGTERM, SIG_IGN); }", Some("SIGTERM")),
    ("siginterrupt", "void line(void) { signal(SIGTERM, f); siginterrupt(SIGTERM, 1); struct sigaction a; sigaction(SIGTERM, NULL, &a); if (a.sa_flags & SA_RESTART) abort(); }", Some("SIGTERM")),
    ("a mask of all", "void line(void) { sigset_t all; sigfillset(&all); pthread_sigmask(SIG_BLOCK, &all, NULL); sigprocmask(SIG_BLOCK, &all, NULL); }", None),
    ("a child of its own", "void line(void) { pid_t c = fork(); if (c == 0) { signal(SIGPIPE, SIG_DFL); raise(SIGPIPE); _exit(0); } int s; if (waitpid(c, &s, 0) != c || !WIFSIGNALED(s)) abort(); }", None),
    ("any child", "void line(void) { int s; siginfo_t i; pid_t c = child(3); if (wait(&s) != c || WEXITSTATUS(s) != 3) abort(); c = child(4); if (waitpid(-1, &s, 0) != c) abort(); c = child(5); if (wait3(&s, 0, NULL) != c) abort(); c = child(6); if (wait4(-1, &s, 0, NULL) != c) abort(); c = child(7); if (waitid(P_ALL, 0, &i, WEXITED) != 0 || i.si_pid != c) abort(); if (wait(&s) != -1 || errno != ECHILD) abort(); }", None),
    ("wait", "static void *g(void *of) { for (;;) if (wait(NULL) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("__wait", "pid_t __wait(int *); static void *g(void *of) { for (;;) if (__wait(NULL) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("waitpid", "static void *g(void *of) { for (;;) if (waitpid(-1, NULL, WNOHANG) <= 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("__waitpid", "pid_t __waitpid(pid_t, int *, int); static void *g(void *of) { for (;;) if (__waitpid(-1, NULL, 0) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("wait3", "static void *g(void *of) { for (;;) if (wait3(NULL, 0, NULL) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("wait4", "static void *g(void *of) { for (;;) if (wait4(-1, NULL, 0, NULL) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
    ("waitid", "static void *g(void *of) { for (;;) if (waitid(P_ALL, 0, NULL, WEXITED) < 0) usleep(100); return of; } void line(void) { forever(g); }", None),
];

/// Returns the masks of the ignored and the handled signals of the process.
fn dispositions(node: &Node) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", node.id())).expect("the daemon lives");
    let lines = status.lines().filter(|line| line.starts_with("SigIgn") || line.starts_with("SigCgt"));
    lines.map(str::to_owned).collect()
}

/// Sends a request and closes the connection before the answer.
fn hang_up(node: &Node) {
    let mut socket = UnixStream::connect(node.socket()).expect("the daemon listens");
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: reld\r\n\r\n").expect("the daemon reads");
}

/// Checks that the node waits for children, survives a lost client, and stops in order.
#[track_caller]
fn check_lives_and_stops(mut node: Node, name: &str) {
    node.ok(&["unpack", &release("plant-1.1.0")]);
    // The check also warns that a library with a thread of its own is not replaced.
    let check = node.run(&["check", "1.1.0"]);
    assert!(!check.stderr.contains("was not loaded"), "{name}: {check:?}\n{}", node.log());
    (0..20).for_each(|_| hang_up(&node));
    assert_eq!(node.run(&["status"]).code, 0, "{name}: {}", node.log());
    let status = node.terminate();
    assert_eq!(status.code(), Some(0), "{name}: {status}\n{}", node.log());
}

#[track_caller]
fn check((name, code, named): (&str, &str, Option<&str>)) {
    let node = Node::start();
    let (_scratch, tarball) = plant("1.0.0", library("1.0.0", Language::C, &format!("{HEAD}{code}")));
    node.ok(&["upgrade", &tarball]);
    let before = dispositions(&node);
    let read = node.run(&["call", "meter", r#""read""#]);
    assert_eq!(read.code, 0, "{name}: {read:?}\n{}", node.log());
    assert_eq!(dispositions(&node), before, "{name}");
    let log = node.log();
    let line = log.lines().find(|line| line.contains("belongs to the node"));
    match named {
        None => assert_eq!(line, None, "{name}"),
        Some(signal) => {
            let is_named = |line: &str| line.contains("meter") && line.contains(signal);
            assert!(line.is_some_and(is_named), "{name}: {line:?} in\n{log}");
        }
    }
    check_lives_and_stops(node, name);
}

#[test]
fn a_library_that_changes_signals_or_children_does_not_affect_the_node() {
    release("plant-1.1.0");
    each(LIBRARIES, |case| case.0, |case| check(*case));
}

#[test]
fn a_daemon_that_inherits_ignored_or_blocked_signals_waits_for_children_and_stops_in_order() {
    for shell in [
        "trap '' CHLD; exec \"$@\"",
        "trap '' CHLD TERM HUP PIPE; exec \"$@\"",
        "exec env --block-signal --ignore-signal=CHLD \"$@\"",
    ] {
        check_lives_and_stops(Node::start_under(&["sh", "-c", shell, "sh"], &[], &[]), shell);
    }
}

/// A name, the signal, and code of a library that replaces the handler `before` by `h`.
#[rustfmt::skip]
const SETTERS: &[(&str, &str, &str)] = &[
    ("sigaction", "USR1", "struct sigaction a = {.sa_handler = h}, o; sigaction(SIGUSR1, &a, &o); before = o.sa_handler;"),
    ("sigaction in two steps", "USR1", "struct sigaction a = {.sa_handler = h}, o; sigaction(SIGUSR1, NULL, &o); sigaction(SIGUSR1, &a, NULL); before = o.sa_handler;"),
    ("__sigaction", "USR1", "int __sigaction(int, const struct sigaction *, struct sigaction *); struct sigaction a = {.sa_handler = h}, o; __sigaction(SIGUSR1, &a, &o); before = o.sa_handler;"),
    ("signal", "USR1", "before = signal(SIGUSR1, h);"),
    ("bsd_signal", "USR1", "__sighandler_t bsd_signal(int, __sighandler_t); before = bsd_signal(SIGUSR1, h);"),
    ("ssignal", "USR1", "before = ssignal(SIGUSR1, h);"),
    ("sigset", "USR1", "before = sigset(SIGUSR1, h);"),
    ("sysv_signal", "USR1", "before = sysv_signal(SIGUSR1, h);"),
    ("SIGCHLD", "CHLD", "before = signal(SIGCHLD, h);"),
    ("a signal of a fault", "FPE", "before = signal(SIGFPE, h);"),
    ("a signal of real time", "RTMIN", "before = signal(SIGRTMIN, h);"),
];

/// Sends a signal to the daemon.
fn send(node: &Node, signal: &str) {
    Run::of(Command::new("kill").args([&format!("-{signal}"), &node.id().to_string()])).expect(0);
}

#[track_caller]
fn check_chain((name, signal, set): (&str, &str, &str)) {
    let code = format!(
        "static __sighandler_t before; static volatile int came, is_set;
         static void h(int n) {{ came++; if (before != SIG_DFL && before != SIG_IGN) before(n); }}
         void line(void) {{ if (!is_set++) {{ {set} }} printf(\"%s %d\\n\", VERSION, came); fflush(stdout); }}"
    );
    let plant = |version: &str| {
        let code = format!("#define VERSION \"{version} came\"\n{code}");
        plant(version, library(version, Language::C, &code))
    };
    let mut node = Node::start();
    let packed = ["1.0.0", "1.1.0"].map(plant);
    let read = || node.ok(&["call", "meter", r#""read""#]);
    for (_, tarball) in &packed {
        node.ok(&["upgrade", tarball]);
        read();
    }
    eventually("1.0.0 leaves", || node.code().residents.is_empty().then_some(()));
    assert_eq!(node.mapped().len(), 2, "{name}");
    send(&node, signal);
    // Signals and printed lines arrive with a delay.
    eventually("1.1.0 handles the signal", || {
        read();
        node.log().contains("1.1.0 came 1").then_some(())
    });
    assert!(!node.log().contains("1.0.0 came 1"), "{name}: {}", node.log());
    // No library handles the signal now, and it does not end the daemon.
    if name != "sysv_signal" {
        node.ok(&["downgrade"]);
        eventually("1.1.0 leaves", || node.code().residents.is_empty().then_some(()));
        if signal != "FPE" {
            send(&node, signal);
        }
        read();
    }
    assert_eq!(node.terminate().code(), Some(0), "{name}: {}", node.log());
}

#[test]
fn a_signal_handler_that_calls_its_predecessor_never_calls_an_unloaded_version() {
    // Packs the releases once, before the parallel cases.
    release("plant-1.0.0");
    release("plant-1.1.0");
    each(SETTERS, |case| case.0, |case| check_chain(*case));
}
