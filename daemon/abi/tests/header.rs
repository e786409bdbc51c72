//! `reld.h` agrees with this crate: a C and a C++ compiler print every size, offset and constant,
//! and the test compares them with Rust's.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use reld_abi::*;

/// The facts that both sides must agree on: C expressions that convert to `unsigned long long`, and
/// Rust's value of each.
#[derive(Default)]
struct Facts(Vec<(String, u64)>);

impl Facts {
    fn add(&mut self, expression: String, value: u64) {
        self.0.push((expression, value));
    }

    /// Returns a program that prints one line for each fact.
    fn program(&self) -> String {
        let mut source = String::from("#include \"reld.h\"\n#include <stdio.h>\nint main(void) {\n");
        for (expression, _) in &self.0 {
            let text = expression.replace('"', "\\\"");
            writeln!(source, "printf(\"%s %llu\\n\", \"{text}\", (unsigned long long)({expression}));")
                .expect("writing to a String never fails");
        }
        source + "return 0; }\n"
    }

    /// Returns the expected output of that program.
    fn expected(&self) -> String {
        self.0.iter().map(|(expression, value)| format!("{expression} {value}\n")).collect()
    }
}

/// Returns the size of a member, given a function that borrows it.
fn member_size<T, M>(_: fn(&T) -> &M) -> u64 {
    size_of::<M>() as u64
}

/// Adds a struct's size, and the offset and size of each member. Does not compile if a member is
/// missing.
macro_rules! structs {
    ($facts:ident; $($c:ident = $rust:ident { $($member:ident $(= $c_member:ident)?),+ $(,)? })+) => {$(
        let _all_members = |value: $rust| { let $rust { $($member: _),+ } = value; };
        $facts.add(format!("sizeof({})", stringify!($c)), size_of::<$rust>() as u64);
        $(
            let name = [$(stringify!($c_member),)? stringify!($member)][0];
            let offset = std::mem::offset_of!($rust, $member) as u64;
            $facts.add(format!("offsetof({}, {name})", stringify!($c)), offset);
            let size = member_size::<$rust, _>(|value| &value.$member);
            $facts.add(format!("sizeof((({} *)0)->{name})", stringify!($c)), size);
        )+
    )+};
}

macro_rules! constants {
    ($facts:ident; $($c:ident = $rust:ident),+ $(,)?) => {$(
        $facts.add(stringify!($c).to_owned(), u64::try_from($rust).expect("not negative"));
    )+};
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    add_structs(&mut facts);
    add_constants(&mut facts);
    for (i, byte) in MAGIC.iter().enumerate() {
        facts.add(format!("RELD_MAGIC[{i}]"), u64::from(*byte));
    }
    add_text(&mut facts, "RELD_ENTRY_SYMBOL", ENTRY_SYMBOL);
    add_text(&mut facts, "RELD_ALLOCATOR_SYMBOL", ALLOCATOR_SYMBOL);
    facts
}

fn add_text(facts: &mut Facts, name: &str, text: &str) {
    for (i, byte) in text.bytes().chain([0]).enumerate() {
        facts.add(format!("{name}[{i}]"), u64::from(byte));
    }
}

fn add_structs(facts: &mut Facts) {
    structs! { facts;
        reld_bytes = Bytes { ptr, len }
        reld_buf = Buf { ptr, len, cap }
        reld_pid = Pid { slot, generation }
        reld_exit = Exit { kind, text }
        reld_from = From { caller, server, reference }
        reld_timer = Timer { id, at_ns }
        reld_event = Event { kind, reserved, from, reference, body, exit_kind, server }
        reld_series = Series { events, count, stop, begun }
        reld_future = Future { data_app, poll, drop }
        reld_outcome = Outcome { state_app, next, has_reply, reply, exit, future }
        reld_module = Module {
            size, behaviour, name, callback, export_state, import_state, change_code, change_code_down, accepts,
            drop_state, schema, format_status, callback_many,
        }
        reld_app = App {
            magic, size, abi_major, abi_minor, flags, name, vsn, built_by, modules, module_count, load, unload,
            usage, usage_count,
        }
        reld_usage = Usage { blocks, bytes, reserved }
        reld_allocator = Allocator { size, reserved, alloc, alloc_zeroed, realloc, dealloc }
        reld_message = Message { kind, exit_kind, from, reference, body }
        reld_answer = Answer { kind, reserved, reply, exit }
        reld_host = Host {
            size, abi_major, abi_minor, reserved, self_pid, send, call, take, forget, reply, send_after, cancel_timer,
            sleep, recv, spawn, register = register_name, unregister = unregister_name, whereis, link, unlink, monitor,
            demonitor, exit, trap_exit, get_env, log, send_interval, read_timer, blocking, bound_mailbox,
            find,
        }
    }
    facts.add("sizeof(reld_verdict)".to_owned(), size_of::<Verdict>() as u64);
    facts.add("sizeof(reld_status)".to_owned(), size_of::<Status>() as u64);
}

fn add_constants(facts: &mut Facts) {
    constants! { facts;
        RELD_ABI_MAJOR = ABI_MAJOR, RELD_ABI_MINOR = ABI_MINOR,
        RELD_EXIT_NORMAL = EXIT_NORMAL, RELD_EXIT_SHUTDOWN = EXIT_SHUTDOWN, RELD_EXIT_KILLED = EXIT_KILLED,
        RELD_EXIT_NOPROC = EXIT_NOPROC, RELD_EXIT_ERROR = EXIT_ERROR, RELD_EXIT_PANIC = EXIT_PANIC,
        RELD_EXIT_UNDECODABLE = EXIT_UNDECODABLE,
        RELD_EXIT_OVERLOADED = EXIT_OVERLOADED,
        RELD_EVENT_INIT = EVENT_INIT, RELD_EVENT_CALL = EVENT_CALL, RELD_EVENT_CAST = EVENT_CAST,
        RELD_EVENT_INFO = EVENT_INFO, RELD_EVENT_EXIT = EVENT_EXIT, RELD_EVENT_DOWN = EVENT_DOWN,
        RELD_EVENT_TERMINATE = EVENT_TERMINATE, RELD_EVENT_PREP_STOP = EVENT_PREP_STOP,
        RELD_EVENT_CONFIG_CHANGE = EVENT_CONFIG_CHANGE, RELD_EVENT_START_PHASE = EVENT_START_PHASE,
        RELD_EVENT_TOLD = EVENT_TOLD, RELD_REQUEST_PORT = REQUEST_PORT, RELD_REQUEST_TABLE = REQUEST_TABLE,
        RELD_EVENT_CONTINUE = EVENT_CONTINUE, RELD_EVENT_TIMEOUT = EVENT_TIMEOUT,
        RELD_VERDICT_READY = VERDICT_READY, RELD_VERDICT_PENDING = VERDICT_PENDING,
        RELD_VERDICT_CRASHED = VERDICT_CRASHED,
        RELD_NEXT_CONTINUE = NEXT_CONTINUE, RELD_NEXT_STOP = NEXT_STOP, RELD_NEXT_IGNORE = NEXT_IGNORE,
        RELD_OK = OK, RELD_FAILED = FAILED, RELD_PENDING = PENDING, RELD_REFUSED = REFUSED,
        RELD_BEHAVIOUR_GEN_SERVER = BEHAVIOUR_GEN_SERVER, RELD_BEHAVIOUR_SUPERVISOR = BEHAVIOUR_SUPERVISOR,
        RELD_BEHAVIOUR_APPLICATION = BEHAVIOUR_APPLICATION, RELD_BEHAVIOUR_TASK = BEHAVIOUR_TASK,
        RELD_BEHAVIOUR_GEN_STATEM = BEHAVIOUR_GEN_STATEM, RELD_BEHAVIOUR_GEN_EVENT = BEHAVIOUR_GEN_EVENT,
        RELD_BEHAVIOUR_EVENT_HANDLER = BEHAVIOUR_EVENT_HANDLER,
        RELD_FLAG_PANIC_UNWIND = FLAG_PANIC_UNWIND,
        RELD_ANSWER_REPLY = ANSWER_REPLY, RELD_ANSWER_TIMEOUT = ANSWER_TIMEOUT, RELD_ANSWER_EXIT = ANSWER_EXIT,
        RELD_REQUEST_CALL = REQUEST_CALL, RELD_REQUEST_SUPERVISOR = REQUEST_SUPERVISOR,
        RELD_REQUEST_STOP = REQUEST_STOP, RELD_STATUS_STATE = STATUS_STATE,
        RELD_INFINITY = INFINITY,
    }
}

/// A C program that builds the tables of an older and a newer daemon than the header's, and prints
/// the results of `RELD_HAS`.
const OTHER_TABLES: &str = r#"
#include <stdio.h>
#include "reld.h"

struct newer {
    reld_host known;
    void (*later)(void);
};

static void show(const reld_host *host) {
    printf("%d%d%d%d\n", RELD_HAS(host, size), RELD_HAS(host, log), RELD_HAS(host, send_interval),
           RELD_HAS(host, bound_mailbox));
}

int main(void) {
    static struct newer host;
    host.known.abi_minor = RELD_ABI_MINOR + 1;
    host.known.size = sizeof host;
    show(&host.known);
    host.known.abi_minor = 3;
    host.known.size = offsetof(reld_host, bound_mailbox);
    show(&host.known);
    host.known.abi_minor = 1;
    host.known.size = offsetof(reld_host, send_interval);
    show(&host.known);
    host.known.size = offsetof(reld_host, send_interval) + 1;
    show(&host.known);
    return 0;
}
"#;

/// A program with the tables of modules without a state. It prints the state as bytes, whether it
/// is read back, and the schema.
const STATELESS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include "reld_stateless.h"

static uint8_t *allocate(size_t size, size_t align) {
    (void)align;
    return (uint8_t *)malloc(size);
}

const reld_allocator *reld_allocator_v1(void) {
    static reld_allocator allocator;
    allocator.alloc = allocate;
    return &allocator;
}

static const reld_module app = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_APPLICATION,
    .name = {NULL, 0},
    .callback = NULL,
    RELD_STATELESS,
    .schema = reld_schema_nothing,
    .format_status = NULL,
    .callback_many = NULL,
};

static const reld_module sup = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_SUPERVISOR,
    .name = {NULL, 0},
    .callback = NULL,
    RELD_SUPERVISOR,
    .schema = NULL,
    .format_status = NULL,
    .callback_many = NULL,
};

int main(void) {
    reld_buf bytes = {NULL, 0, 0}, down = {NULL, 0, 0}, schema = {NULL, 0, 0};
    reld_bytes none = {NULL, 0};
    reld_exit why = {0, {NULL, 0, 0}};
    void *state = NULL, *changed = NULL;
    int failed = app.export_state(reld_nothing(), &bytes, &why) + app.import_state(none, &state, &why) +
                 app.change_code(none, none, none, &changed, &why) +
                 app.change_code_down(none, none, none, &down, &why) + app.schema(&schema, &why) +
                 app.accepts(RELD_EVENT_INIT, none, &why) + sup.accepts(RELD_EVENT_INIT, none, &why);
    app.drop_state(state);
    printf("%d %02x %02x %d ", failed, bytes.ptr[0], down.ptr[0], state == reld_nothing() && changed == state);
    printf("%.*s\n", (int)schema.len, (const char *)schema.ptr);
    free(bytes.ptr), free(down.ptr), free(schema.ptr);
    return 0;
}
"#;

/// Compiles the facts with `compiler`, runs the program and compares its output; then does the same
/// with the other tables.
#[track_caller]
fn check(compiler: &str, language: &[&str]) {
    let facts = facts();
    assert_eq!(run(compiler, language, "header", &facts.program()), facts.expected());
    assert_eq!(run(compiler, language, "tables", OTHER_TABLES), "1111\n1110\n1100\n1100\n");
}

#[track_caller]
fn run(compiler: &str, language: &[&str], name: &str, source: &str) -> String {
    let source = write_source(compiler, name, source);
    let program = source.with_extension("exe");
    let compiled = Command::new(compiler)
        .args(language)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", env!("CARGO_MANIFEST_DIR"), "-o"])
        .args([&program, &source])
        .output()
        .unwrap_or_else(|error| panic!("the header test needs the compiler {compiler}: {error}"));
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let printed = Command::new(&program).output().expect("a compiled program runs");
    String::from_utf8_lossy(&printed.stdout).into_owned()
}

fn write_source(compiler: &str, name: &str, source: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{compiler}.c"));
    std::fs::write(&path, source).expect("the target folder is writable");
    path
}

/// A constant that only the header has would escape the comparison.
#[test]
fn every_constant_of_the_header_is_compared() {
    let header = include_str!("../reld.h");
    let names = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next());
    let constants = names.filter(|name| !["RELD_H", "RELD_EXPORT", "RELD_HAS(table,"].contains(name));
    let facts = facts();
    let is_compared = |name: &&str| {
        let is_it = |(fact, _): &(String, u64)| fact == name || fact.strip_prefix(name) == Some("[0]");
        facts.0.iter().any(is_it)
    };
    let missing: Vec<&str> = constants.filter(|name| !is_compared(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_module_without_a_state_is_written_and_read_as_nil_in_c_and_cpp() {
    for (compiler, language) in [("cc", ["-std=c11", "-x", "c"]), ("g++", ["-std=c++20", "-x", "c++"])] {
        let printed = run(compiler, &language, "stateless", STATELESS);
        assert_eq!(printed, "0 c0 c0 1 {\"state\": {\"type\": \"null\"}}\n");
    }
}

#[test]
fn c_sees_the_boundary_as_rust_does() {
    check("cc", &["-std=c11", "-x", "c"]);
}

#[test]
fn cpp_sees_the_boundary_as_rust_does() {
    check("g++", &["-std=c++11", "-x", "c++"]);
}
