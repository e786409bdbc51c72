/*
 * reld.h: the boundary between the reld daemon and an app's library, for C11 and C++11.
 *
 * This file mirrors the crate reld-abi (daemon/abi/src). A test compares the two.
 *
 * How the two sides meet
 *   A library exports one function, reld_app_v1(), which returns its reld_app block. The daemon
 *   compares magic, size and version before it calls anything else, then hands its reld_host table
 *   to reld_app.load. From then on the daemon calls the library through the reld_module tables, and
 *   the library calls the daemon through the reld_host table.
 *
 * The promise
 *   - The daemon refuses a library with another RELD_ABI_MAJOR.
 *   - Tables only grow at their end, and contain their `size`. Read no more than `size` bytes
 *     (RELD_HAS).
 *   - The daemon refuses a library with a newer RELD_ABI_MINOR than its own. The error names both
 *     versions. A library that can do without a newer member declares an older minor version in its
 *     reld_app, and checks RELD_HAS before it uses the member. It receives no events that are newer
 *     than the declared version.
 *   - A reld_bytes is borrowed for the duration of the call. A reld_buf changes its owner. It is
 *     always allocated and freed with the daemon's allocator, reld_allocator_v1().
 *   - Nothing may unwind or longjmp across the boundary.
 *   - App values travel as MessagePack with field names.
 *
 * Tags
 *   [callback]       may be called only while the daemon runs a callback of this library on the
 *                    calling thread
 *   [any thread]     may be called on any thread at any time
 *   [loader thread]  is called on the daemon's loader thread; if a call does not return, the daemon
 *                    continues with a new loader thread
 *   [pool]           is called on any thread of the daemon's pool; a process never runs on two
 *                    threads at the same time
 *
 * Output
 *   Lines that a library prints with printf, puts, perror, write and the like go to the daemon's
 *   log, with app, module and pid. The streams stdout and stderr have no descriptor and no buffer.
 *   A library must not close them or set a buffer.
 *
 * How a library is unmapped
 *   When the daemon has no more references into a library, it calls `unload`, runs the library's
 *   thread-local destructors on the daemon's threads, calls the library's destructors and atexit
 *   functions, and unmaps the library. Constructors and destructors run on the loader thread,
 *   outside dlopen and dlclose. A slow constructor or destructor delays only its own library. No
 *   exception may leave a constructor or destructor.
 *   A library stays mapped in these cases. `relctl code` shows the reason.
 *   - It stays as long as a thread that it started or one of its signal handlers runs.
 *   - It stays as long as environ, a standard stream or another variable of libc points into it. It
 *     stays for good if such a pointer existed when another library was loaded, because the other
 *     library may have saved the pointer and may restore it.
 *   - It stays for good if it imports a function that keeps an address that the daemon cannot look
 *     up: putenv (use setenv), timer_create, mq_notify, aio_*, lio_*, getaddrinfo_a, openlog,
 *     on_exit (use atexit), fopencookie, fmemopen, open_memstream, setvbuf and the like,
 *     register_printf_*, getopt, hsearch, initstate, dlopen, thrd_create, tss_create, clone, robust
 *     mutexes; in libstdc++ std::thread, std::async (use pthread_create), set_terminate,
 *     set_new_handler, locale::global and facets of its own, rdbuf, register_callback,
 *     sync_with_stdio, pmr::set_default_resource. `relctl pack` warns about these.
 *   - It stays as long as its unload function or one of its destructors does not return.
 *   A library that stays for good runs its destructors only at the end of the daemon.
 *
 * Resources of the whole OS process
 *   - SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ and SIGCHLD belong to the daemon. If a library sets
 *     a disposition for one of them with sigaction, signal and the like, the disposition has no
 *     effect, and the log reports this with the app's name. A query returns the disposition that
 *     the library has set. There is one exception: a handler of SIGCHLD is called, without
 *     SA_NOCLDWAIT. In a child that a library forks, these functions are those of libc.
 *   - For all other signals, a query returns the disposition that the library itself has set, and
 *     never the handler of another library. When a signal arrives, the handlers of all libraries
 *     are called, with the flags and the mask of the handler that was set last. SIG_DFL and SIG_IGN
 *     take effect only if no library handles the signal, except that SIG_DFL for a fault (SIGSEGV
 *     and the like) takes effect at once. The handlers of a library are removed after its `unload`,
 *     when its threads have ended. A signal without handlers then has no effect.
 *   - wait, waitpid(-1) and the like find only children in the daemon's process group. Wait for
 *     other children by pid.
 *   - The working directory and the umask are shared by all apps. The daemon depends on neither.
 *
 * The library owns values with names ending in _app, the daemon those with names ending in _host.
 */
#ifndef RELD_H
#define RELD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The major version of the boundary. It must be equal on both sides. */
#define RELD_ABI_MAJOR 1u
/* The minor version of the boundary. It counts the extensions since RELD_ABI_MAJOR changed. */
#define RELD_ABI_MINOR 7u
/* Tests whether a table of the daemon has a member. The daemon may be older or newer than this
 * header. */
#define RELD_HAS(table, member)                                                                                        \
    ((size_t)((const char *)(&(table)->member + 1) - (const char *)(table)) <= (size_t)(table)->size)
/* The first 8 bytes of every reld_app, including the final 0. */
#define RELD_MAGIC "reldapp"
/* The names of the two exported functions. */
#define RELD_ENTRY_SYMBOL "reld_app_v1"
#define RELD_ALLOCATOR_SYMBOL "reld_allocator_v1"

/* --------------------------------------------------------------------------------- plain values */

/* Borrowed bytes. They are valid until the call that they were passed to returns. ptr may be null
 * if len is 0. */
typedef struct reld_bytes {
    const uint8_t *ptr;
    size_t len;
} reld_bytes;

/* Owned bytes, allocated by the daemon's allocator with alignment 1. The owner frees them with that
 * allocator. If cap is 0, ptr may be null, and there is nothing to free. */
typedef struct reld_buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
} reld_buf;

/* A process id. A pid is never reused for another process, and {0, 0} stands for no process. */
typedef struct reld_pid {
    uint32_t slot;
    uint32_t generation;
} reld_pid;

/* The reason why a process ended or is to end. */
typedef struct reld_exit {
    uint32_t kind; /* RELD_EXIT_* */
    reld_buf text; /* details as UTF-8; owned */
} reld_exit;

#define RELD_EXIT_NORMAL 0u
#define RELD_EXIT_SHUTDOWN 1u    /* shutdown, or {shutdown, text} */
#define RELD_EXIT_KILLED 2u      /* cannot be trapped */
#define RELD_EXIT_NOPROC 3u      /* the process never existed, or has ended */
#define RELD_EXIT_ERROR 4u       /* the app's own code gave up; text is its reason */
#define RELD_EXIT_PANIC 5u       /* the app panicked; text is message and location */
#define RELD_EXIT_UNDECODABLE 6u /* bytes did not decode; text names module, version and field */
#define RELD_EXIT_OVERLOADED 7u  /* a call was not delivered: the mailbox is full. Since ABI 1.4 */

/* The data that a reply to a call needs. It is plain data, so a state may keep it across an
 * upgrade. */
typedef struct reld_from {
    reld_pid caller;
    reld_pid server;
    uint64_t reference;
} reld_from;

/* A running timer. It is plain data, so a state may keep it across an upgrade. */
typedef struct reld_timer {
    uint64_t id;
    uint64_t at_ns; /* the time at which it fires, since the daemon started */
} reld_timer;

/* ------------------------------------------------------------------------------------ callbacks */

/* The event that a callback handles. It is borrowed for the call. */
typedef struct reld_event {
    uint32_t kind;      /* RELD_EVENT_* */
    uint32_t reserved;  /* 0 */
    reld_pid from;      /* the sender; the dead process for EXIT and DOWN */
    uint64_t reference; /* of the call; of the monitor for DOWN */
    reld_bytes body;    /* MessagePack; the UTF-8 text of the exit for EXIT, DOWN and TERMINATE */
    uint32_t exit_kind; /* RELD_EXIT_* for EXIT, DOWN and TERMINATE */
    reld_pid server;    /* the running process, for CALL; since ABI 1.6 */
} reld_event;

/* Several events that a process handles in a row. Later versions add members only at the end. Since
 * ABI 1.7. */
typedef struct reld_series {
    /* Pointers to the events, in their order: each of the kind CAST or INFO. All are lent until
     * callback_many returns. */
    const reld_event *const *events;
    size_t count; /* the length of `events`, at least 1 */
    /* Flags of the daemon. While one of them is not 0, the library must not begin any event but the
     * first. The daemon may set them at any time, on any thread. Each is an atomic byte; a relaxed
     * load is enough. */
    const volatile uint8_t *stop[3];
    size_t begun; /* written by callback_many: how many events it has begun, at least 1 */
} reld_series;

#define RELD_EVENT_INIT 0u      /* body is the start argument, the state is null; all behaviours; see below */
#define RELD_EVENT_CALL 1u      /* expects a reply; gen_server */
#define RELD_EVENT_CAST 2u      /* gen_server */
#define RELD_EVENT_INFO 3u      /* any other message, timers included; gen_server */
#define RELD_EVENT_EXIT 4u      /* a linked process ended and this process traps exits; gen_server */
#define RELD_EVENT_DOWN 5u      /* a monitored process ended; gen_server */
#define RELD_EVENT_TERMINATE 6u /* about to end; gen_server, and application after its supervision tree has stopped */
#define RELD_EVENT_PREP_STOP 7u /* about to be stopped; body {root, cause}, before ABI 1.3 the root's pid or nil; application */
#define RELD_EVENT_CONFIG_CHANGE 8u /* environment changed; body {changed, new, removed}; application, since ABI 1.1; a text as the reply refuses the change, since ABI 1.6 */
#define RELD_EVENT_CONTINUE 9u /* sent by the process to itself, before all other messages; gen_server, since ABI 1.2 */
#define RELD_EVENT_TIMEOUT 10u /* no message came within the time set by `send`; gen_server, since ABI 1.2 */
#define RELD_EVENT_START_PHASE 11u /* a start phase of app.toml; body {phase, type, arg}; application, since ABI 1.3 */
#define RELD_EVENT_TOLD 16u      /* {port: EVENT} or {table: EVENT}, see RELD_REQUEST_PORT, _TABLE; gen_server, since ABI 1.2 */

/*
 * The daemon itself reads and writes the values of applications and supervisors, as MessagePack.
 * BIN is a bin that contains MessagePack, which the daemon passes on unchanged. Members in [] are
 * optional and default as in OTP. A pid is {slot, generation}.
 *
 *   to an application's init    {type: "normal", env: {KEY: VALUE}}
 *   from an application's init  {module, args: BIN}, the root of its tree, or nil for none
 *   from a supervisor's init    {children: [SPEC],
 *                               [name, strategy, intensity, period_ms, auto_shutdown]}
 *   name                        a registered name; since ABI 1.6
 *   SPEC                        {id: BIN, module,
 *                               [args: BIN, restart, significant, shutdown, type]}
 *   strategy                    "one_for_one", "one_for_all", "rest_for_one" or
 *                               "simple_one_for_one"
 *   auto_shutdown               "never", "any_significant" or "all_significant"
 *   restart                     "permanent", "transient" or "temporary"
 *   shutdown                    {ms: N}, "infinity" or "brutal_kill"
 *   type                        "worker" or "supervisor"
 */

/* The result of a callback or a poll. */
typedef uint32_t reld_verdict;
#define RELD_VERDICT_READY 0u   /* done; the outcome holds the result */
#define RELD_VERDICT_PENDING 1u /* waits; the daemon must poll outcome.future again or drop it */
#define RELD_VERDICT_CRASHED 2u /* outcome.exit holds the reason; the state is gone */

struct reld_outcome;

/* A callback that waits. */
typedef struct reld_future {
    /* The daemon owns it until poll returns a verdict other than PENDING, which means that the
     * library has freed it, or until the daemon calls drop. */
    void *data_app;
    /* [pool] Polls the callback again. `completed` holds the references with answers ready for
     * reld_host.take. It is borrowed. */
    reld_verdict (*poll)(void *data_app, const uint64_t *completed, size_t count, struct reld_outcome *out);
    /* [pool] Cancels the callback at the point where it waits. It is called outside any callback,
     * so most functions of reld_host refuse. */
    void (*drop)(void *data_app);
} reld_future;

/* The outcome of a callback. The daemon passes it zeroed. */
typedef struct reld_outcome {
    void *state_app;    /* the state after READY; null when the process ends now, and always for tasks */
    uint32_t next;      /* RELD_NEXT_* after READY */
    uint32_t has_reply; /* 1 when `reply` answers the call, or is the result of an init */
    reld_buf reply;     /* MessagePack; for INIT a supervisor's spec or an application's root */
    reld_exit exit;     /* after CRASHED or RELD_NEXT_STOP */
    reld_future future; /* after PENDING */
} reld_outcome;

#define RELD_NEXT_CONTINUE 0u /* continue with the next message */
#define RELD_NEXT_STOP 1u     /* end with `exit`, after TERMINATE; a task ends with this */
#define RELD_NEXT_IGNORE 2u   /* from INIT only */

/* The result of a function that is not a callback. */
typedef int32_t reld_status;
#define RELD_OK 0
#define RELD_FAILED 1  /* the reld_exit out parameter holds the reason */
#define RELD_PENDING 2 /* there is no answer or message yet */
#define RELD_REFUSED 3 /* called outside a callback, or with an invalid argument */

/* -------------------------------------------------------------------------- tables of a library */

#define RELD_BEHAVIOUR_GEN_SERVER 1u
#define RELD_BEHAVIOUR_SUPERVISOR 2u  /* only INIT */
#define RELD_BEHAVIOUR_APPLICATION 3u /* INIT, PREP_STOP, TERMINATE */
#define RELD_BEHAVIOUR_TASK 4u        /* only INIT, which runs until the task ends */
/* Since ABI 1.2. The daemon treats these as gen_servers and only displays their names. */
#define RELD_BEHAVIOUR_GEN_STATEM 5u
#define RELD_BEHAVIOUR_GEN_EVENT 6u
#define RELD_BEHAVIOUR_EVENT_HANDLER 7u

/* A callback table. It is immutable, and the unit of the instructions load, update and purge. */
typedef struct reld_module {
    uint32_t size;      /* sizeof(reld_module) */
    uint32_t behaviour; /* RELD_BEHAVIOUR_* */
    reld_bytes name;    /* UTF-8, unique within a release */
    /* [pool] Runs one callback. Takes ownership of state_app, which is null for INIT, and returns
     * the new state in `out`. */
    reld_verdict (*callback)(void *state_app, const reld_event *event, reld_outcome *out);
    /* [pool] Writes the state as MessagePack into *out, which the daemon then owns, and leaves the
     * state unchanged. This function and the next three are null for supervisors and tasks. */
    reld_status (*export_state)(const void *state_app, reld_buf *out, reld_exit *why);
    /* [pool] Builds a state from bytes of this version. Every field must be read, or declared
     * dropped. */
    reld_status (*import_state)(reld_bytes state, void **out_app, reld_exit *why);
    /* [pool] Builds a state of this version from the bytes of version `from`. This function and
     * change_code_down may run several times for the same state, and as a trial whose result is
     * dropped. */
    reld_status (*change_code)(reld_bytes from, reld_bytes state, reld_bytes extra, void **out_app, reld_exit *why);
    /* [pool] Converts bytes of this version to bytes of version `to`, which the daemon then owns.
     * */
    reld_status (*change_code_down)(reld_bytes to, reld_bytes state, reld_bytes extra, reld_buf *out, reld_exit *why);
    /* [pool] Checks whether `body` can be decoded as the body of this RELD_EVENT_*. Runs no
     * callback. */
    reld_status (*accepts)(uint32_t kind, reld_bytes body, reld_exit *why);
    /* [pool] Frees a state. It is called outside any callback. Null for supervisors and tasks. */
    void (*drop_state)(void *state_app);
    /* [loader thread] Writes the schema of the values that the module reads and writes, as a JSON
     * object that the daemon then owns. Leaves *out empty if the schema is not known. Only programs
     * that inspect a library without loading it call this, before reld_app.load; a node never does.
     * May be null. Since ABI 1.1. */
    reld_status (*schema)(reld_buf *out, reld_exit *why);
    /* [pool] Writes a copy of `body` for display, without the secrets. The daemon then owns it.
     * `body` is a state (RELD_STATUS_STATE) or a message of kind RELD_EVENT_CALL, _CAST or _INFO.
     * Leaves *out empty if `body` may be displayed unchanged. If the function fails, `body` is not
     * displayed. If it is null, every body may be displayed. It is called outside any callback.
     * Since ABI 1.5. */
    reld_status (*format_status)(uint32_t kind, reld_bytes body, reld_buf *out, reld_exit *why);
    /* [pool] Handles several events, like that many calls of `callback`: the state of each event is
     * the result of the one before. Takes ownership of `state_app`. It returns after the last
     * event, or earlier: when a flag in reld_series.stop is set, and after an event that has any
     * other result than RELD_NEXT_CONTINUE without a reply, such as one that waits or crashes.
     * `out` and the verdict are those of the last event that it has begun, and `begun` counts that
     * event. The daemon keeps the other events. Requests that an event leaves open end with the
     * series. May be null. Since ABI 1.7. */
    reld_verdict (*callback_many)(void *state_app, reld_series *series, reld_outcome *out);
} reld_module;

#define RELD_STATUS_STATE 32u /* the kind of a state in reld_module.format_status. Since ABI 1.5 */

/* A flag in reld_app.flags: the library unwinds on panic. The daemon requires this. A C library has
 * no panics, and sets the flag too. */
#define RELD_FLAG_PANIC_UNWIND 1u

struct reld_host;

/* One of several counters of the memory that a library has allocated and not freed. There are
 * several counters so that threads need not share one. A thread may free a block that another
 * thread has allocated, so only the sums over all counters are meaningful, modulo 2^64. Each member
 * must be written as a relaxed atomic. A reld_buf counts for its owner. */
typedef struct reld_usage {
    uint64_t blocks;
    uint64_t bytes;
    uint64_t reserved[6]; /* 0; pads the counter to the size of a cache line */
} reld_usage;

/* The magic block of a library. It is immutable, and valid as long as the library is mapped. */
typedef struct reld_app {
    uint8_t magic[8];    /* RELD_MAGIC */
    uint32_t size;       /* sizeof(reld_app) */
    uint32_t abi_major;  /* RELD_ABI_MAJOR */
    uint32_t abi_minor;  /* RELD_ABI_MINOR */
    uint32_t flags;      /* RELD_FLAG_* */
    reld_bytes name;     /* UTF-8 */
    reld_bytes vsn;      /* a semantic version */
    reld_bytes built_by; /* compiler and SDK, for display */
    const reld_module *const *modules;
    size_t module_count;
    /* [loader thread] Gives the library the daemon's table. Called once, before any callback. The
     * table stays valid. */
    reld_status (*load)(const struct reld_host *host);
    /* [loader thread] Called once, when the daemon has no more references into the library. The
     * library should end its threads and flush its buffers here. The library is unmapped when its
     * threads have ended. Until then its thread-local destructors may run. This delays no other
     * library. May be null. */
    void (*unload)(void);
    /* Counters of the memory that the library has allocated and not freed. They are an array of
     * usage_count counters in a static of the library. The daemon may read them at any time, for
     * display. Null if the library does not count. Since ABI 1.4. */
    const reld_usage *usage;
    size_t usage_count;
} reld_app;

/* Exports a function from a library whose other functions are hidden (-fvisibility=hidden). */
#define RELD_EXPORT __attribute__((visibility("default")))

/* The only function that a library exports. [any thread] It may be called more than once, and
 * always returns the same block. */
RELD_EXPORT const reld_app *reld_app_v1(void);

/* ------------------------------------------------------------------------- tables of the daemon */

/* The daemon's allocator. `align` is a power of two. [any thread] */
typedef struct reld_allocator {
    uint32_t size;     /* sizeof(reld_allocator) in the daemon */
    uint32_t reserved; /* 0 */
    /* Allocates a block. This function and the next two return null if there is no memory. */
    uint8_t *(*alloc)(size_t size, size_t align);
    uint8_t *(*alloc_zeroed)(size_t size, size_t align);
    /* Resizes a block. If it returns null, the old block is unchanged. */
    uint8_t *(*realloc)(uint8_t *ptr, size_t size, size_t align, size_t new_size);
    /* Frees a block. size and align must be those of its allocation. */
    void (*dealloc)(uint8_t *ptr, size_t size, size_t align);
} reld_allocator;

/* The only function that the daemon exports. */
const reld_allocator *reld_allocator_v1(void);

/* A message that a task has taken from its mailbox. */
typedef struct reld_message {
    uint32_t kind;      /* RELD_EVENT_CALL, CAST, INFO, EXIT, DOWN or TOLD */
    uint32_t exit_kind; /* RELD_EXIT_* for EXIT and DOWN */
    reld_pid from;
    uint64_t reference; /* of the call or the monitor */
    reld_buf body;      /* MessagePack, or the text of the exit; owned by the library */
} reld_message;

/* The answer to a request. */
typedef struct reld_answer {
    uint32_t kind;     /* RELD_ANSWER_* */
    uint32_t reserved; /* 0 */
    reld_buf reply;    /* for REPLY; owned by the library */
    reld_exit exit;    /* for EXIT; owned by the library */
} reld_answer;

#define RELD_ANSWER_REPLY 0u   /* the server replied, or the sleep is over */
#define RELD_ANSWER_TIMEOUT 1u /* the timeout of the request expired */
#define RELD_ANSWER_EXIT 2u    /* the server ended, or never existed */

#define RELD_REQUEST_CALL 0u       /* to a gen_server or a task */
/*
 * To a supervisor, in OTP's words. The body is one of the following, as MessagePack with field
 * names. SPEC and BIN are defined at RELD_EVENT_INIT; a BIN here is an id, or the argument of a
 * simple_one_for_one child:
 *
 *   {start_child: SPEC}  {start_child_args: BIN}              pid
 *   {restart_child: BIN}                                      pid
 *   {terminate_child: BIN}  {terminate_pid: pid}              nil
 *   {delete_child: BIN}  {rename_child: [BIN, BIN]}           nil
 *   {get_childspec: BIN}  {get_childspec_of: pid}             SPEC
 *   "which_children"                                          [{id, pid, restarting, type, module}]
 *   "count_children"                                          {specs, active, supervisors, workers}
 *
 * The reply is {ok: ..} or {error: {reason, pid, text}}.
 */
#define RELD_REQUEST_SUPERVISOR 1u

/* Stops a process. Its terminate is called, and when the process has ended, the answer is
 * RELD_ANSWER_EXIT with the exit reason. The body is the requested reason: {kind: "normal" |
 * "shutdown" | "killed" | "noproc" | "error" | "panic" | "undecodable" | "overloaded", text}, with
 * text for the kinds that have one. Since ABI 1.5. OTP: gen_server:stop/3. */
#define RELD_REQUEST_STOP 2u
/*
 * To a port, with no process as `to`. Since ABI 1.2; an older daemon refuses it. The body is one of
 * the following, as MessagePack with field names. PORT is a number. HOW is "now" (answer nil at
 * once if the port is not ready), "wait" (answer nil when the port is ready; repeat the request
 * then) or "tell" (answer nil at once, and send a RELD_EVENT_TOLD when the port is ready):
 *
 *   {listen: {address, options, supervisor: bool}}        PORT
 *   {connect: {address, options, how}}                    PORT; how: now or tell
 *   {accept: {port, how}}                                 EVENT accepted, or nil
 *   {read: {port, how}}                                   EVENT data, or nil
 *   {write: {port, bytes}}                                nil
 *   {writable: {port, how}}                               EVENT writable, or nil
 *   {close: {port}}  {give: {port, to: pid}}              nil
 *   {address: {port}}                                     {local, peer}
 *
 * An address is "127.0.0.1:80", "[::1]:80" or "unix:/run/x.sock"; connect accepts host names as
 * well. The options, all optional, are {framing: "raw" | {line: MAX} | {packet: 1 | 2 | 4}, buffer,
 * nodelay, backlog, half_open}. The reply is {ok: ..} or {error: {reason, text}}. An EVENT is
 * {accepted: {listener, connection, peer}}, {connected: {connection}}, {data: {connection, bytes}},
 * {writable: {connection}} or {closed: {port, error: {reason, text}}}.
 */
#define RELD_REQUEST_PORT 16u
/*
 * To a shared table, with no process as `to`. The answer is there when the call returns. Since ABI
 * 1.2; an older daemon refuses it. The body is one of the following, as MessagePack with field
 * names. TABLE is a number; KEY and VALUE are bins of MessagePack:
 *
 *   {new: {name, kind: "set" | "ordered_set",
 *          access: "public" | "protected" | "private",
 *          heir: {pid, data}}}                              TABLE
 *   {whereis: {name}}                                       TABLE or nil
 *   {insert: {table, key, value}}                           nil
 *   {insert_new: {table, key, value}}                       bool
 *   {lookup: {table, key}}  {take: {table, key}}            VALUE or nil
 *   {replace: {table, key, old, new}}                       bool
 *   {update_counter: {table, key, by, initial}}             the sum
 *   {select: {table,
 *             wanted: {prefix, from, after, to, limit}}}    [[KEY, VALUE], ..]
 *   {clear: {table}}  {size: {table}}                       a number
 *   {drop: {table}}  {give_away: {table, to, data}}         nil
 *   {set_heir: {table, heir}}                               nil
 *
 * The reply is {ok: ..} or {error: {reason, text}}. An EVENT is {transferred: {table, from, data}}.
 */
#define RELD_REQUEST_TABLE 17u

/* A timeout that never expires. */
#define RELD_INFINITY UINT64_MAX

/* The functions that the daemon offers. Each is [callback] unless tagged otherwise. A function that
 * is called elsewhere frees the buffers that it was given, does nothing else, and returns
 * RELD_REFUSED or zero. */
typedef struct reld_host {
    uint32_t size;      /* sizeof(reld_host) in the daemon */
    uint32_t abi_major; /* RELD_ABI_MAJOR of the daemon */
    uint32_t abi_minor; /* RELD_ABI_MINOR of the daemon */
    uint32_t reserved;  /* 0 */
    /* Returns the running process, or {0, 0} outside a callback. */
    reld_pid (*self_pid)(void);
    /* Sends a message of kind RELD_EVENT_CAST or RELD_EVENT_INFO. Takes ownership of body. A
     * message to a dead process is dropped. Since ABI 1.2 a process may send two more events to
     * itself. An older daemon refuses both. RELD_EVENT_CONTINUE comes before all messages in the
     * mailbox. RELD_EVENT_TIMEOUT has a number of milliseconds as its body. It comes if no other
     * message arrives within that time after the end of the current callback. Since ABI 1.4 a task
     * may send itself RELD_EVENT_CONTINUE with the body {module, args}, args being a bin of
     * MessagePack. When the task then ends with RELD_EXIT_NORMAL, the same process starts again as
     * a task of the current version of module. An older daemon refuses this. Every daemon refuses a
     * module that is not loaded or is no task. */
    reld_status (*send)(uint32_t kind, reld_pid to, reld_buf body);
    /* Sends a request of one of the kinds RELD_REQUEST_*. Takes ownership of body. Returns the
     * reference of the request, or 0 outside a callback. */
    uint64_t (*call)(uint32_t kind, reld_pid to, reld_buf body, uint64_t timeout_ms);
    /* Takes the answer to a request. Returns OK and fills *out, or returns PENDING, or returns
     * REFUSED if the reference is unknown. */
    reld_status (*take)(uint64_t reference, reld_answer *out);
    /* Abandons a request. A late answer is dropped. */
    void (*forget)(uint64_t reference);
    /* Replies to a call. Takes ownership of body. A reply that comes too late is dropped. */
    reld_status (*reply)(reld_from to, reld_buf body);
    /* Sends body as RELD_EVENT_INFO after after_ms. Takes ownership of body. */
    reld_timer (*send_after)(reld_pid to, uint64_t after_ms, reld_buf body);
    /* Cancels a timer. Returns OK if the timer would have fired (again), otherwise REFUSED. */
    reld_status (*cancel_timer)(reld_timer timer);
    /* Starts a sleep and returns its reference. After after_ms the reference is answered with an
     * empty reply. */
    uint64_t (*sleep)(uint64_t after_ms);
    /* Takes the next message of the running task. Returns OK, PENDING, or, in a process that is no
     * task, REFUSED. */
    reld_status (*recv)(reld_message *out);
    /* Starts a process of `module` and returns a reference. Takes ownership of args. The reference
     * is answered with the pid when init is done. If link is 1, the new process is linked to the
     * running process. If link is 2, the running process also becomes its parent in the displayed
     * tree (since ABI 1.2). */
    uint64_t (*spawn)(reld_bytes module, reld_buf args, uint32_t link);
    /* Registers a name for the running process. Returns REFUSED if the name is taken, is empty,
     * contains `/`, or looks like a pid. (`register` is a keyword of C.) */
    reld_status (*register_name)(reld_bytes name);
    /* Unregisters a name of the running process. */
    reld_status (*unregister_name)(reld_bytes name);
    /* [any thread] Returns the process with that name, or {0, 0} if there is none. */
    reld_pid (*whereis)(reld_bytes name);
    /* Links the running process to another one. */
    reld_status (*link)(reld_pid with);
    /* Removes a link. */
    reld_status (*unlink)(reld_pid with);
    /* Monitors a process and returns a reference. When the process ends, one RELD_EVENT_DOWN with
     * this reference comes. */
    uint64_t (*monitor)(reld_pid pid);
    /* Removes a monitor. */
    reld_status (*demonitor)(uint64_t reference);
    /* Sends an exit signal to a process. Takes ownership of exit. RELD_EXIT_KILLED cannot be
     * trapped. */
    reld_status (*exit)(reld_pid to, reld_exit exit);
    /* Sets whether exit signals become RELD_EVENT_EXIT messages: 1 for yes, 0 for no. */
    reld_status (*trap_exit)(uint32_t on);
    /* Reads a key of the environment of the running process's application, as MessagePack into
     * *out, which the library then owns. Returns REFUSED if the key is not set. */
    reld_status (*get_env)(reld_bytes key, reld_buf *out);
    /* [any thread] Writes a line to the daemon's log. level is 1 (error) to 5 (trace). */
    void (*log)(uint32_t level, reld_bytes target, reld_bytes message);
    /* Sends body as RELD_EVENT_INFO every every_ms, as long as the target lives. Takes ownership of
     * body. Since ABI 1.2. */
    reld_timer (*send_interval)(reld_pid to, uint64_t every_ms, reld_buf body);
    /* Returns the number of milliseconds until a timer fires, or RELD_INFINITY if the timer has
     * fired or was cancelled. Since ABI 1.2. */
    uint64_t (*read_timer)(reld_timer timer);
    /*
     * Runs run(data_app) once on a thread for blocking work, even if the process ends meanwhile.
     * Returns a reference, which is answered with an empty reply when run has returned. If the
     * daemon refuses, it returns 0 and does not call run. Inside run, only whereis and log of this
     * table work. Since ABI 1.2.
     */
    uint64_t (*blocking)(void (*run)(void *data_app), void *data_app);
    /*
     * Limits the mailbox of the running process to this number of messages. 0 removes the limit. A
     * message to a full mailbox is dropped and counted, and a dropped call is answered with
     * RELD_EXIT_OVERLOADED. Supervisors and applications get REFUSED. Since ABI 1.4.
     */
    reld_status (*bound_mailbox)(uint64_t messages);
    /*
     * Finds a process by its pid as text ("<4.1>"), its registered name, or its path in a
     * supervision tree: the name of an application or a registered supervisor, then the ids of
     * children, separated by `/`. An id that contains `/`, and a text that reads as another JSON
     * value, is written in double quotes, as in JSON: shop/tills/3, shop/tills/"3", shop/"a/b".
     * Returns OK and fills *out. If there is no such process, returns FAILED and, unless why is
     * null, fills *why with the reason as UTF-8, which the library then owns. It may be called on
     * any thread of the daemon's pool, in a callback or not. Since ABI 1.6.
     */
    reld_status (*find)(reld_bytes place, reld_pid *out, reld_buf *why);
} reld_host;

#ifdef __cplusplus
}
#endif

#endif /* RELD_H */
