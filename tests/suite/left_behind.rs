//! Libraries of one line each that leave an address with libc, libstdc++ or the kernel, or change
//! the process. Each library either leaves or stays with a reason, and the node continues and stops
//! in order (S83, S86).

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use reld_tests::{Node, Run, eventually, field, folder, release};
use tempfile::TempDir;

use crate::doctored::doctored;

/// The language of a library, beside the C of the app itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Cpp,
    Rust,
    RustLto,
}

/// The outcome of a purge of the library.
#[derive(Debug, Clone, Copy)]
enum Then {
    Leaves,
    /// Stays mapped for a reason that contains these words.
    Stays(&'static str),
}

use Language::{C, Cpp, Rust, RustLto};
use Then::{Leaves, Stays};

/// A callback calls `line` on a thread of the pool.
#[rustfmt::skip]
const LIBRARIES: &[(&str, Language, &str, Then)] = &[
    // The environment, and other values of the process.
    ("putenv", C, r#"static char text[] = "LEFT=1"; void line(void) { putenv(text); }"#, Stays("imports putenv")),
    ("environ", C, r#"static char *all[] = {"PATH=/usr/bin:/bin", NULL}; void line(void) { environ = all; }"#, Stays("environ points into it")),
    ("an entry of environ", C, r#"void line(void) { environ[0] = "LEFT=1"; }"#, Stays("the environment variable LEFT lies in it")),
    ("setenv", C, r#"void line(void) { setenv("LEFT", "1", 1); }"#, Leaves),
    ("the program's name", C, r#"void line(void) { program_invocation_short_name = "left"; }"#, Stays("program_invocation_short_name points into it")),
    ("openlog", C, r#"void line(void) { openlog("left", 0, 0); }"#, Stays("imports openlog")),
    ("syslog", C, r#"void line(void) { syslog(LOG_DEBUG, "left"); }"#, Leaves),
    ("initstate", C, r#"static char state[64]; void line(void) { initstate(1, state, sizeof state); }"#, Stays("imports initstate")),
    ("hsearch", C, r#"void line(void) { ENTRY e = {"left", 0}; hcreate(8); hsearch(e, ENTER); }"#, Stays("imports hsearch")),
    ("getopt", C, r#"static char *all[] = {"left", "-ab", NULL}; void line(void) { getopt(2, all, "ab"); }"#, Stays("imports getopt")),
    ("setlocale", C, r#"void line(void) { setlocale(LC_ALL, "C.UTF-8"); textdomain("left"); }"#, Leaves),
    // Functions that are called later.
    ("atexit", C, r#"static void f(void) {} void line(void) { atexit(f); }"#, Leaves),
    ("at_quick_exit", C, r#"static void f(void) {} void line(void) { at_quick_exit(f); }"#, Leaves),
    ("on_exit", C, r#"static void f(int code, void *of) { (void)code, (void)of; } void line(void) { on_exit(f, 0); }"#, Stays("imports on_exit")),
    ("pthread_atfork", C, r#"static void f(void) {} void line(void) { pthread_atfork(f, f, f); }"#, Leaves),
    ("a signal handler", C, r#"static void f(int number) { (void)number; } void line(void) { signal(SIGUSR2, f); }"#, Leaves),
    ("an alternate stack", C, r#"static char stack[1 << 16]; void line(void) { stack_t s = {.ss_sp = stack, .ss_size = sizeof stack}; sigaltstack(&s, 0); }"#, Leaves),
    ("register_printf_specifier", C, r#"static int f(FILE *to, const struct printf_info *i, const void *const *a) { (void)to, (void)i, (void)a; return 0; } static int g(const struct printf_info *i, size_t n, int *t, int *s) { (void)i, (void)n, (void)t, (void)s; return 0; } void line(void) { register_printf_specifier('W', f, g); }"#, Stays("imports register_printf_specifier")),
    ("obstack", C, r#"static void f(void) {} void line(void) { obstack_alloc_failed_handler = f; }"#, Stays("obstack_alloc_failed_handler points into it")),
    ("callbacks of a call", C, r#"static int f(const void *a, const void *b) { return *(const char *)a - *(const char *)b; } static int g(const char *p, const struct stat *s, int k, struct FTW *f) { (void)p, (void)s, (void)k, (void)f; return 1; } void line(void) { char word[] = "left"; qsort(word, 4, 1, f); nftw("/proc/self", g, 4, 0); }"#, Leaves),
    // Streams.
    ("setvbuf", C, r#"static char buffer[4096]; void line(void) { FILE *f = tmpfile(); setvbuf(f, buffer, _IOFBF, sizeof buffer); fputs("left", f); }"#, Stays("imports setvbuf")),
    ("setbuf", C, r#"static char buffer[BUFSIZ]; void line(void) { FILE *f = tmpfile(); setbuf(f, buffer); fputs("left", f); }"#, Stays("imports setbuf")),
    ("fopencookie", C, r#"static ssize_t f(void *c, const char *t, size_t n) { (void)c, (void)t; return (ssize_t)n; } void line(void) { cookie_io_functions_t all = {.write = f}; fputs("left", fopencookie(0, "w", all)); }"#, Stays("imports fopencookie")),
    ("open_memstream", C, r#"static char *text; static size_t size; void line(void) { fputs("left", open_memstream(&text, &size)); }"#, Stays("imports open_memstream")),
    ("fmemopen", C, r#"static char text[64]; void line(void) { fputs("left", fmemopen(text, sizeof text, "w")); }"#, Stays("imports fmemopen")),
    ("an open file", C, r#"void line(void) { fputs("left", tmpfile()); }"#, Leaves),
    // Threads.
    ("timer_create", C, r#"static void f(union sigval v) { (void)v; } void line(void) { timer_t t; struct sigevent e = {.sigev_notify = SIGEV_THREAD}; struct itimerspec i = {{0, 20000000}, {0, 20000000}}; e.sigev_notify_function = f; timer_create(CLOCK_MONOTONIC, &e, &t); timer_settime(t, 0, &i, 0); }"#, Stays("imports timer_create")),
    ("mq_notify", C, r#"static void f(union sigval v) { (void)v; } void line(void) { struct sigevent e = {.sigev_notify = SIGEV_THREAD}; e.sigev_notify_function = f; mq_notify(mq_open("/reld-left", O_CREAT | O_RDWR, 0600, 0), &e); mq_unlink("/reld-left"); }"#, Stays("imports mq_notify")),
    ("aio_read", C, r#"static char buffer[64]; static struct aiocb c; static void f(union sigval v) { (void)v; } void line(void) { int p[2]; if (pipe(p) == 0) { c.aio_fildes = p[0]; c.aio_buf = buffer; c.aio_nbytes = 64; c.aio_sigevent.sigev_notify = SIGEV_THREAD; c.aio_sigevent.sigev_notify_function = f; aio_read(&c); } }"#, Stays("imports aio_read")),
    ("getaddrinfo_a", C, r#"static struct gaicb c = {.ar_name = "localhost"}; static struct gaicb *all[] = {&c}; void line(void) { getaddrinfo_a(GAI_NOWAIT, all, 1, 0); }"#, Stays("imports getaddrinfo_a")),
    ("thrd_create", C, r#"static int f(void *of) { (void)of; for (;;) { pause(); } } void line(void) { thrd_t t; thrd_create(&t, f, 0); }"#, Stays("imports thrd_create")),
    ("tss_create", C, r#"static void f(void *of) { (void)of; } void line(void) { tss_t t; tss_create(&t, f); tss_set(t, "left"); }"#, Stays("imports tss_create")),
    ("a thread that ends", C, r#"static void *f(void *of) { return of; } void line(void) { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0); }"#, Leaves),
    ("a key with a destructor", C, r#"static pthread_key_t k; static void f(void *of) { (void)of; } void line(void) { pthread_key_create(&k, f); pthread_setspecific(k, "left"); }"#, Leaves),
    ("a robust mutex", C, r#"static pthread_mutex_t m; void line(void) { pthread_mutexattr_t a; pthread_mutexattr_init(&a); pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST); pthread_mutex_init(&m, &a); pthread_mutex_lock(&m); }"#, Stays("imports pthread_mutexattr_setrobust")),
    // Other libraries.
    ("dlopen", C, r#"void line(void) { dlopen("libm.so.6", RTLD_NOW); }"#, Stays("imports dlopen")),
    ("dlsym", C, r#"void line(void) { dlsym(RTLD_DEFAULT, "puts"); }"#, Leaves),
    // C++.
    ("std::thread", Cpp, r#"static void f() { for (;;) { pause(); } } void line() { std::thread(f).detach(); }"#, Stays("imports std::thread")),
    ("std::async", Cpp, r#"void line() { std::async(std::launch::async, [] {}).wait(); }"#, Stays("imports std::thread")),
    ("std::set_terminate", Cpp, r#"static void f() {} void line() { std::set_terminate(f); }"#, Stays("imports std::set_terminate")),
    ("std::set_new_handler", Cpp, r#"static void f() {} void line() { std::set_new_handler(f); }"#, Stays("imports std::set_new_handler")),
    ("std::locale::global", Cpp, r#"struct F : std::numpunct<char> {}; void line() { std::locale::global(std::locale(std::locale(), new F)); }"#, Stays("imports std::locale")),
    ("a facet", Cpp, r#"struct F : std::numpunct<char> {}; void line() { std::cout.imbue(std::locale(std::locale(), new F)); std::cout << 1 << std::endl; }"#, Stays("imports std::locale with a facet of its own")),
    ("rdbuf", Cpp, r#"struct B : std::streambuf {}; static B b; void line() { std::cout.rdbuf(&b); }"#, Stays("imports std::basic_ios::rdbuf")),
    ("tie", Cpp, r#"static std::ostringstream s; void line() { std::cout.tie(&s); }"#, Stays("std::cout points into it")),
    ("register_callback", Cpp, r#"static void f(std::ios_base::event, std::ios_base &, int) {} void line() { std::cout.register_callback(f, 0); }"#, Stays("imports std::ios_base::register_callback")),
    ("a memory resource", Cpp, r#"void line() { std::pmr::set_default_resource(std::pmr::null_memory_resource()); }"#, Stays("imports std::pmr::set_default_resource")),
    ("static objects", Cpp, r#"static std::string s(100, 'x'); void line() { static std::string t(100, 'x'); thread_local std::string u(100, 'x'); t = s = u; }"#, Leaves),
    ("exceptions", Cpp, r#"void line() { try { throw std::runtime_error("left"); } catch (std::exception &e) { std::cout << e.what() << std::endl; } }"#, Leaves),
    ("std::call_once", Cpp, r#"static std::once_flag o; static std::mutex m; void line() { std::lock_guard<std::mutex> l(m); std::call_once(o, [] {}); }"#, Leaves),
    // Side effects of Rust's standard library.
    ("std of Rust", Rust, RUST, Leaves),
    ("std of Rust with LTO", RustLto, RUST, Leaves),
];

const RUST: &str = r#"
    use std::{cell::RefCell, collections::HashMap, env, process::Command, thread};
    thread_local! { static KEPT: RefCell<Vec<u8>> = RefCell::default(); }
    #[unsafe(no_mangle)]
    extern "C" fn line() {
        let map = HashMap::from([(1, thread::current().name().map(str::to_owned))]);
        KEPT.with_borrow_mut(|kept| kept.extend(thread::spawn(move || vec![map.len() as u8]).join().unwrap()));
        unsafe { env::set_var("LEFT", "1") };
        assert!(env::vars().any(|(name, _)| name == "LEFT") && env::current_dir().is_ok());
        assert!(Command::new("true").env("MORE", "1").status().unwrap().success());
        // Symbolising would map the library's own file.
        std::panic::set_hook(Box::new(|_| ()));
        assert!(std::panic::catch_unwind(|| panic!("left")).is_err());
        println!("{:?}", std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).is_ok());
    }
"#;

const C_HEAD: &str = "#define _GNU_SOURCE
#include <aio.h>\n#include <argp.h>\n#include <dlfcn.h>\n#include <errno.h>\n#include <fcntl.h>\n#include <ftw.h>
#include <libintl.h>\n#include <locale.h>\n#include <mqueue.h>\n#include <netdb.h>\n#include <obstack.h>
#include <printf.h>\n#include <pthread.h>\n#include <search.h>\n#include <signal.h>\n#include <stdio.h>
#include <stdlib.h>\n#include <string.h>\n#include <syslog.h>\n#include <threads.h>\n#include <time.h>\n#include <unistd.h>
#include <sys/syscall.h>\n#include <sys/wait.h>\n#include <getopt.h>\n";

const CPP_HEAD: &str = "#include <future>\n#include <iostream>\n#include <locale>\n#include <memory_resource>
#include <mutex>\n#include <new>\n#include <sstream>\n#include <stdexcept>\n#include <thread>\n#include <unistd.h>
extern \"C\" void line();\n";

/// Called by the next version. It uses everything that might access addresses left by the previous
/// version.
const POKE: &str = r#"void line(void) {
    setenv("POKED", "1", 1); getenv("LEFT"); syslog(LOG_DEBUG, "poked"); random(); printf("%W %d\n", 1); fflush(NULL);
    pid_t child = fork(); if (child == 0) { _exit(0); } waitpid(child, NULL, 0);
    // The kernel's disposition, which libc calls of a library do not show.
    struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } a;
    if (syscall(SYS_rt_sigaction, SIGUSR2, NULL, &a, sizeof a.mask) == 0 && a.handler != NULL) { raise(SIGUSR2); } }"#;

/// Returns an object file of a meter that calls `line` when it is read.
fn meter(version: &str) -> PathBuf {
    static BUILT: LazyLock<TempDir> =
        LazyLock::new(|| tempfile::tempdir().expect("a temporary folder can be made"));
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let object = BUILT.path().join(format!("{version}.o"));
    if object.exists() {
        return object;
    }
    let home = folder(&format!("examples/meter-{version}"));
    let source = fs::read_to_string(home.join("meter.c")).expect("the example is there");
    let (read, head) = ("    case READ:\n", "#include \"msgpack.h\"\n");
    assert!(source.contains(read) && source.contains(head));
    let source = source.replace(read, "    case READ:\n        line();\n");
    let text = object.with_extension("c");
    fs::write(&text, source.replace(head, &format!("{head}void line(void);\n"))).expect("it can be written");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-fPIC", "-fvisibility=hidden", "-c", "-I"]).arg(home);
    Run::of(cc.arg("-I").arg(folder("daemon/abi")).arg("-o").arg(&object).arg(text)).expect(0);
    object
}

/// Builds the library of a meter with this code.
pub(crate) fn library(version: &str, language: Language, code: &str) -> Vec<u8> {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| scratch.path().join(name);
    let compile = |program: &str, source: &str, flags: &[&str], text: String| {
        fs::write(path(source), text).expect("the folder can be written");
        let mut compiler = Command::new(program);
        compiler.args(flags).arg("-o").arg(path("line.o")).arg(path(source));
        Run::of(&mut compiler).expect(0);
    };
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let rust = |flags: &[&str]| {
        let flags =
            [&["--edition", "2024", "--crate-type", "staticlib", "-C", "opt-level=1"], flags].concat();
        compile(&rustc.to_string_lossy(), "line.rs", &flags, code.to_owned());
    };
    let flags = ["-O2", "-fPIC", "-fvisibility=hidden", "-c"];
    match language {
        C => compile("cc", "line.c", &[&flags[..], &["-std=gnu11"]].concat(), format!("{C_HEAD}{code}\n")),
        Cpp => {
            let flags = [&flags[..], &["-std=c++17", "-fno-gnu-unique"]].concat();
            compile("c++", "line.cc", &flags, format!("{CPP_HEAD}{code}\n"));
        }
        Rust => rust(&[]),
        RustLto => rust(&["-C", "lto=fat"]),
    }
    let mut link = Command::new(if language == Cpp { "c++" } else { "cc" });
    link.args(["-shared", "-Wl,--build-id", "-Wl,--gc-sections", "-o"]).arg(path("meter.so"));
    link.arg(meter(version)).arg(path("line.o")).args(["-lgcc_s", "-lm"]);
    Run::of(&mut link).expect(0);
    fs::read(path("meter.so")).expect("it was built")
}

/// Builds a library with a static object. Its constructor throws if the file `armed` exists.
pub(crate) fn throwing(version: &str, armed: &Path) -> Vec<u8> {
    let throw = format!("if (access({armed:?}, F_OK) == 0) throw std::runtime_error(\"it cannot begin\");");
    library(version, Cpp, &format!("struct S {{ S() {{ {throw} }} }} s; void line() {{}}"))
}

/// Returns a release of the plant with this library of its meter.
pub(crate) fn plant(version: &str, library: Vec<u8>) -> (TempDir, String) {
    let path = format!("lib/meter-{version}/meter.so");
    doctored(&format!("plant-{version}"), |files| drop(files.insert(path, library)))
}

#[track_caller]
fn read(node: &Node, name: &str) {
    let read = node.run(&["call", "meter", r#""read""#]);
    assert_eq!(read.code, 0, "{name}: {read:?}\n{}", node.log());
}

/// Runs relctl, which must succeed, and prints the node's log if it does not.
#[track_caller]
fn ok(node: &Node, name: &str, args: &[&str]) -> Run {
    let run = node.run(args);
    assert_eq!(run.code, 0, "{name}: {args:?}: {run:?}\n{}", node.log());
    run
}

#[track_caller]
fn check((name, language, code, then): (&str, Language, &str, Then), next: &str) {
    let (_scratch, tarball) = plant("1.0.0", library("1.0.0", language, code));
    let mut node = Node::start();
    ok(&node, name, &["unpack", &tarball]);
    let check = ok(&node, name, &["check", "1.0.0"]).stdout;
    ok(&node, name, &["upgrade", "1.0.0"]);
    read(&node, name);
    // The probe is a forked child and gets the environment.
    ok(&node, name, &["upgrade", next, "--probe", "true"]);
    let page = ok(&node, name, &["code"]).stdout;
    let stays = page.lines().find(|line| line.starts_with("stays mapped: meter 1.0.0"));
    match then {
        Leaves => assert_eq!((stays, node.mapped().len()), (None, 2), "{name}"),
        Stays(why) => {
            assert!(stays.is_some_and(|line| line.contains(why)), "{name}: {why}, not:\n{page}");
            let will = format!("app meter 1.0.0 will stay mapped: {why}");
            assert_eq!(check.contains(&will), why.starts_with("imports"), "{name}: {check}");
        }
    }
    read(&node, name);
    ok(&node, name, &["downgrade"]);
    read(&node, name);
    let status = node.terminate();
    assert_eq!(status.code(), Some(0), "{name}: {status}\n{}", node.log());
}

#[test]
fn a_library_that_leaves_an_address_behind_stays_with_the_reason_or_leaves_and_the_node_stops_in_order() {
    let (_scratch, next) = plant("1.1.0", library("1.1.0", C, POKE));
    release("plant-1.0.0");
    each(LIBRARIES, |case| case.0, |case| check(*case, &next));
}

/// Checks all cases, four at a time, and names those that failed.
#[track_caller]
pub(crate) fn each<T: Sync>(cases: &[T], name: fn(&T) -> &str, check: impl Fn(&T) + Sync) {
    let (next, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let next_case = || next.lock().expect("no thread panics while holding the lock").next();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = next_case() {
                    if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                        failed.lock().expect("no thread panics while holding the lock").push(name(case));
                    }
                }
            });
        }
    });
    assert_eq!(
        failed.into_inner().expect("no thread panics while holding the lock"),
        [""; 0],
        "the reasons are printed above"
    );
}

#[test]
fn a_library_stays_if_the_next_version_may_restore_a_pointer_into_it() {
    let code = |version: &str, line: &str| plant(version, library(version, C, line));
    let own = r#"static char *all[] = {"PATH=/usr/bin:/bin", NULL}; void line(void) { environ = all; }"#;
    let (_first, first) = code("1.0.0", own);
    let swap = "static char **other; void line(void) { char **now = environ; if (other == NULL) { other = calloc(1, sizeof *other); }
                environ = other; other = now; getenv(\"PATH\"); }";
    let (_second, second) = code("1.1.0", swap);
    let mut node = Node::start();
    node.ok(&["upgrade", &first]);
    read(&node, "the first version");
    node.ok(&["upgrade", &second]);
    read(&node, "it is saved");
    eventually("it is known to stay", || {
        let page = node.ok(&["code"]).stdout;
        let stays = page.lines().find(|line| line.starts_with("stays mapped: meter 1.0.0"))?;
        stays.contains("environ points into it, or may do so again, since").then_some(())
    });
    read(&node, "it is put back");
    assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
}

#[test]
fn packing_warns_that_a_library_will_stay_mapped() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let home = scratch.path().join("meter-1.0.0");
    let example = folder("examples/meter-1.0.0");
    fs::create_dir(&home).expect("the folder can be written");
    for name in ["app.toml", "Makefile", "msgpack.h", "meter.c"] {
        let text = fs::read_to_string(example.join(name)).expect("the example is there");
        let text = text
            .replace("return &app;", "extern int putenv(char *);\n    putenv(\"LEFT=1\");\n    return &app;");
        let text = text.replace("../../daemon/abi", &folder("daemon/abi").to_string_lossy());
        fs::write(home.join(name), text).expect("the folder can be written");
    }
    let release = scratch.path().join("release.toml");
    let text = "name = \"plant\"\nversion = \"1.0.0\"\ndaemon = \"0.1.0\"\n[[app]]\nname = \"meter\"\nversion = \"1.0.0\"\n";
    fs::write(&release, text).expect("the folder can be written");
    let mut pack = Command::new(Node::relctl_program());
    pack.arg("pack").arg(&release).arg("--apps").arg(scratch.path()).args(["--profile", "dev", "--output"]);
    pack.arg(scratch.path().join("plant.tar.gz"));
    let packed = Run::of(&mut pack).expect(0);
    let warning =
        "warning: app meter 1.0.0 will stay mapped: imports putenv (the environment keeps the string)";
    assert!(packed.stdout.contains(warning), "{packed:?}");
    let packed = Run::of(pack.arg("--json")).expect(0).json();
    assert_eq!(field::<Vec<String>>(&packed, "warnings").len(), 1, "{packed}");
}

/// Together these releases have all apps of this tree in their newest version.
const RELEASES: &[&str] =
    &["shop-1.1.0", "plant-1.1.0", "board-2.0.0", "habits-2.0.0", "stage-3.0.0", "wire-2.0.0", "yard-3.0.0"];

#[test]
fn no_app_of_this_tree_imports_a_function_that_would_keep_it_mapped() {
    for name in RELEASES {
        let node = Node::start();
        node.ok(&["unpack", &release(name)]);
        let (_, version) = name.split_once('-').expect("a name and a version");
        let check = node.ok(&["check", version]).stdout;
        assert!(!check.contains("will stay mapped"), "{name}: {check}");
    }
}
