/*
 * reld.h: the boundary between the reld daemon and an app's library, for C11 and C++11.
 *
 * Mirrors the crate reld-abi (daemon/abi/src), which is the original; a test compares the two.
 *
 * How the two sides meet
 *   A library exports one function, reld_app_v1(), which returns its reld_app block. The daemon compares magic, size and
 *   version before it calls anything else, then hands its reld_host table to reld_app.load. From then on it calls the
 *   library through the reld_module tables, and the library calls the daemon through the reld_host table.
 *
 * The promise
 *   - Another RELD_ABI_MAJOR is refused.
 *   - Tables only grow at their end and say their `size`; look at no more than that many bytes (RELD_HAS).
 *   - A daemon refuses a library with a newer RELD_ABI_MINOR than its own and names both. A library that can do without a
 *     newer member says an older minor in its reld_app, asks RELD_HAS before it uses that, and hears of no newer event.
 *   - reld_bytes is borrowed for the duration of the call. reld_buf changes owner; it is always allocated and freed with
 *     the daemon's allocator, reld_allocator_v1().
 *   - Nothing may unwind or longjmp across the boundary.
 *   - App values travel as MessagePack with field names.
 *
 * Tags
 *   [callback]       only while the daemon runs a callback of this library on the calling thread
 *   [any thread]     at any time
 *   [loader thread]  called by the daemon's loader thread; after a call that does not return this is another one
 *   [pool]           called on any thread of the daemon's pool; one process never runs on two threads at once
 *
 * What a library prints by printf, puts, perror, write and the like is a line of the daemon's log, with app, module and pid. Its
 * stdout and stderr have no descriptor and no buffer; it must not close them, nor set a buffer.
 *
 * What a library leaves behind
 *   When the daemon refers to nothing of a library any more it calls `unload`, has its threads run the thread-local
 *   destructors, calls the library's destructors and atexit functions, and unmaps it. Constructors and destructors run outside
 *   of dlopen and dlclose, on the loader thread; nothing waits for them but the library. No exception may leave one.
 *   A library stays mapped, with the reason in `relctl code`,
 *   - as long as a thread that it started runs, a signal handler of it runs, or environ, a standard stream or another variable
 *     of libc points into it; for good, if one did when another library was loaded, which may put it back;
 *   - for good, if it imports a function that keeps an address and cannot be asked for it: putenv (use setenv), timer_create,
 *     mq_notify, aio_*, lio_*, getaddrinfo_a, openlog, on_exit (use atexit), fopencookie, fmemopen, open_memstream, setvbuf and
 *     its like, register_printf_*, getopt, hsearch, initstate, dlopen, thrd_create, tss_create, clone, robust mutexes; of
 *     libstdc++ std::thread, std::async (use pthread_create), set_terminate, set_new_handler, locale::global and facets of its
 *     own, rdbuf, register_callback, sync_with_stdio, pmr::set_default_resource. `relctl pack` warns of it.
 *   A library that stays runs no destructors before the daemon ends. One whose unload or destructor does not return stays.
 *
 * What the process has only once
 *   SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ and SIGCHLD are the daemon's. What a library sets for them by sigaction, signal
 *   and their like is not carried out, which the log says with the app's name; a query answers what the library has set. A
 *   handler of SIGCHLD is carried out, without SA_NOCLDWAIT. In a child that a library forks these functions are libc's.
 *   Of all other signals a library finds what it has set itself, and never a handler of another library: at a signal the
 *   handlers of all libraries are called. Flags and mask are those of the one that was set last. A default or an ignore takes
 *   effect when no library handles the signal, a default for a fault (SIGSEGV and the like) at once. The handlers of a library
 *   are taken off after its `unload`, when its threads have ended; a signal that no library handles any more does nothing.
 *   wait, waitpid(-1) and their like find children in the daemon's process group; wait for others by their pid.
 *   The working directory and the umask are shared by all apps; the daemon depends on neither.
 *
 * Names ending in _app belong to the library; what ends in _host belongs to the daemon.
 */
#ifndef RELD_H
#define RELD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Must be equal on both sides. */
#define RELD_ABI_MAJOR 1u
/* Counts members appended since RELD_ABI_MAJOR changed. */
#define RELD_ABI_MINOR 5u
/* Whether a table of the other side, which may be older or newer than this header, reaches as far as a member. */
#define RELD_HAS(table, member)                                                                                        \
    ((size_t)((const char *)(&(table)->member + 1) - (const char *)(table)) <= (size_t)(table)->size)
/* The first 8 bytes of every reld_app, the final 0 included. */
#define RELD_MAGIC "reldapp"
/* Names of the two exported functions. */
#define RELD_ENTRY_SYMBOL "reld_app_v1"
#define RELD_ALLOCATOR_SYMBOL "reld_allocator_v1"

/* ------------------------------------------------------------------------------------------------- plain values */

/* Borrowed bytes, valid until the call they were passed to returns. ptr may be null when len is 0. */
typedef struct reld_bytes {
    const uint8_t *ptr;
    size_t len;
} reld_bytes;

/* Owned bytes from the daemon's allocator, alignment 1. Whoever holds them frees them there.
 * ptr may be null when cap is 0: nothing to free. */
typedef struct reld_buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
} reld_buf;

/* A process. Never reused for another process; {0, 0} is no process. */
typedef struct reld_pid {
    uint32_t slot;
    uint32_t generation;
} reld_pid;

/* Why a process ended or is to end. */
typedef struct reld_exit {
    uint32_t kind; /* RELD_EXIT_* */
    reld_buf text; /* UTF-8 that says more; owned */
} reld_exit;

#define RELD_EXIT_NORMAL 0u
#define RELD_EXIT_SHUTDOWN 1u    /* shutdown, or {shutdown, text} */
#define RELD_EXIT_KILLED 2u      /* cannot be trapped */
#define RELD_EXIT_NOPROC 3u      /* never there, or already ended */
#define RELD_EXIT_ERROR 4u       /* the app gave up; text is its reason */
#define RELD_EXIT_PANIC 5u       /* the app panicked; text is message and place */
#define RELD_EXIT_UNDECODABLE 6u /* bytes did not fit; text names module, version and field */
#define RELD_EXIT_OVERLOADED 7u  /* the answer to a call that was not sent: the mailbox is full. Since ABI 1.4 */

/* Where the answer to a call goes. Plain data: a state may keep it over an upgrade. */
typedef struct reld_from {
    reld_pid caller;
    reld_pid server;
    uint64_t reference;
} reld_from;

/* A running timer. Plain data: a state may keep it over an upgrade. */
typedef struct reld_timer {
    uint64_t id;
    uint64_t at_ns; /* when it fires, since the daemon started */
} reld_timer;

/* ---------------------------------------------------------------------------------------------------- callbacks */

/* What a callback is called with. Borrowed for the call. */
typedef struct reld_event {
    uint32_t kind;      /* RELD_EVENT_* */
    uint32_t reserved;  /* 0 */
    reld_pid from;      /* who sent it; the dead process for EXIT and DOWN */
    uint64_t reference; /* the call's; the monitor's for DOWN */
    reld_bytes body;    /* MessagePack; the exit's UTF-8 text for EXIT, DOWN and TERMINATE */
    uint32_t exit_kind; /* RELD_EXIT_* for EXIT, DOWN and TERMINATE */
} reld_event;

#define RELD_EVENT_INIT 0u      /* body is the start argument, the state is null; all behaviours; values see below */
#define RELD_EVENT_CALL 1u      /* wants a reply; gen_server */
#define RELD_EVENT_CAST 2u      /* gen_server */
#define RELD_EVENT_INFO 3u      /* any other message, timers included; gen_server */
#define RELD_EVENT_EXIT 4u      /* a linked process ended and this one traps exits; gen_server */
#define RELD_EVENT_DOWN 5u      /* a monitored process ended; gen_server */
#define RELD_EVENT_TERMINATE 6u /* about to end; gen_server, and application after its tree has stopped */
#define RELD_EVENT_PREP_STOP 7u /* about to be stopped; body {root, cause}, before ABI 1.3 the root's pid or nil; application */
#define RELD_EVENT_CONFIG_CHANGE 8u /* environment changed; body {changed, new, removed}; application, since ABI 1.1 */
#define RELD_EVENT_CONTINUE 9u /* what `send` put before all else; gen_server, since ABI 1.2 */
#define RELD_EVENT_TIMEOUT 10u /* nothing came for as long as `send` said; gen_server, since ABI 1.2 */
#define RELD_EVENT_START_PHASE 11u /* a phase of app.toml; body {phase, type, arg}; application, since ABI 1.3 */
#define RELD_EVENT_TOLD 16u      /* {port: EVENT} or {table: EVENT}, see RELD_REQUEST_PORT, _TABLE; gen_server, since ABI 1.2 */

/*
 * Of two behaviours the daemon reads and writes the values itself, as MessagePack. BIN is a bin with MessagePack in it,
 * which is passed on as it is; what stands in [] may be left out and has OTP's default. A pid is {slot, generation}.
 *
 *   to an application's init    {type: "normal", env: {KEY: VALUE}}
 *   from an application's init  {module, args: BIN}, the root of its tree, or nil for none
 *   from a supervisor's init    {children: [SPEC], [strategy, intensity, period_ms, auto_shutdown]}
 *   SPEC                        {id: BIN, module, [args: BIN, restart, significant, shutdown, type]}
 *   strategy                    "one_for_one", "one_for_all", "rest_for_one" or "simple_one_for_one"
 *   auto_shutdown               "never", "any_significant" or "all_significant"
 *   restart                     "permanent", "transient" or "temporary"
 *   shutdown                    {ms: N}, "infinity" or "brutal_kill"
 *   type                        "worker" or "supervisor"
 */

/* What a callback or a poll came to. */
typedef uint32_t reld_verdict;
#define RELD_VERDICT_READY 0u   /* done; the outcome says how */
#define RELD_VERDICT_PENDING 1u /* waits; outcome.future is to be polled again, or dropped */
#define RELD_VERDICT_CRASHED 2u /* outcome.exit says why; the state is gone */

struct reld_outcome;

/* A callback that waits. */
typedef struct reld_future {
    /* Owned by the daemon until poll answers something else than PENDING (which frees it) or drop is called. */
    void *data_app;
    /* [pool] Polls again. `completed` are the references whose answers wait for reld_host.take; borrowed. */
    reld_verdict (*poll)(void *data_app, const uint64_t *completed, size_t count, struct reld_outcome *out);
    /* [pool] Ends the callback where it waits. Not inside a callback: reld_host refuses. */
    void (*drop)(void *data_app);
} reld_future;

/* What a callback answers; passed zeroed. */
typedef struct reld_outcome {
    void *state_app;    /* the state after READY, null once the process ends here; always null for tasks */
    uint32_t next;      /* RELD_NEXT_* after READY */
    uint32_t has_reply; /* 1 when `reply` answers the call, or is the result of an init */
    reld_buf reply;     /* MessagePack; a supervisor's spec, an application's root */
    reld_exit exit;     /* after CRASHED or RELD_NEXT_STOP */
    reld_future future; /* after PENDING */
} reld_outcome;

#define RELD_NEXT_CONTINUE 0u /* go on with the next message */
#define RELD_NEXT_STOP 1u     /* end with `exit`, after TERMINATE; ends a task */
#define RELD_NEXT_IGNORE 2u   /* from INIT only */

/* The result of a plain function. */
typedef int32_t reld_status;
#define RELD_OK 0
#define RELD_FAILED 1  /* the out parameters say why */
#define RELD_PENDING 2 /* nothing there yet */
#define RELD_REFUSED 3 /* not in a callback, or an argument that names nothing */

/* ------------------------------------------------------------------------------------------- tables of a library */

#define RELD_BEHAVIOUR_GEN_SERVER 1u
#define RELD_BEHAVIOUR_SUPERVISOR 2u  /* only INIT */
#define RELD_BEHAVIOUR_APPLICATION 3u /* INIT, PREP_STOP, TERMINATE */
#define RELD_BEHAVIOUR_TASK 4u        /* only INIT, which is its whole life */
/* Since ABI 1.2; to the daemon these are gen_servers, and their names are for people. */
#define RELD_BEHAVIOUR_GEN_STATEM 5u
#define RELD_BEHAVIOUR_GEN_EVENT 6u
#define RELD_BEHAVIOUR_EVENT_HANDLER 7u

/* One callback table: the unit that load, update and purge name. Immutable. */
typedef struct reld_module {
    uint32_t size;      /* sizeof(reld_module) */
    uint32_t behaviour; /* RELD_BEHAVIOUR_* */
    reld_bytes name;    /* UTF-8, unique in a release */
    /* [pool] Runs one callback. Takes state_app (null for INIT) and gives a state back in `out`. */
    reld_verdict (*callback)(void *state_app, const reld_event *event, reld_outcome *out);
    /* [pool] Writes the state as MessagePack into *out, owned by the daemon. The state stays as it is.
     * Null for supervisors and tasks, like the next three. */
    reld_status (*export_state)(const void *state_app, reld_buf *out, reld_exit *why);
    /* [pool] Makes a state from bytes of the same meaning; every field must be read or declared dropped. */
    reld_status (*import_state)(reld_bytes state, void **out_app, reld_exit *why);
    /* [pool] Makes a state of this version from the bytes of version `from`. May run again, and as a
     * trial whose state is dropped, like the next one. */
    reld_status (*change_code)(reld_bytes from, reld_bytes state, reld_bytes extra, void **out_app, reld_exit *why);
    /* [pool] Makes bytes for version `to`, owned by the daemon, from bytes of this version. */
    reld_status (*change_code_down)(reld_bytes to, reld_bytes state, reld_bytes extra, reld_buf *out, reld_exit *why);
    /* [pool] Says whether `body` would be decoded as the body of that RELD_EVENT_*; runs nothing else. */
    reld_status (*accepts)(uint32_t kind, reld_bytes body, reld_exit *why);
    /* [pool] Frees a state. Not inside a callback. Null for supervisors and tasks. */
    void (*drop_state)(void *state_app);
    /* [loader thread] Writes what the module reads and writes, as a JSON object owned by the daemon; leaves *out empty
     * when it is not known. May be null. Only called by who looks into a library without loading it, so before
     * reld_app.load. Since ABI 1.1. */
    reld_status (*schema)(reld_buf *out, reld_exit *why);
    /* [pool] Writes what people are shown instead of `body`, owned by the daemon: of a state (RELD_STATUS_STATE), or of the
     * message of a RELD_EVENT_CALL, _CAST or _INFO. Leaves *out empty for what may be shown as it is; after a failure nothing
     * of it is shown. Null: all may be shown. Not inside a callback. Since ABI 1.5. */
    reld_status (*format_status)(uint32_t kind, reld_bytes body, reld_buf *out, reld_exit *why);
} reld_module;

#define RELD_STATUS_STATE 32u /* a state, for reld_module.format_status. Since ABI 1.5 */

/* Set in reld_app.flags: a C library never unwinds, so it sets it too. */
#define RELD_FLAG_PANIC_UNWIND 1u

struct reld_host;

/* A part of what a library has allocated and not freed; only the sums of all parts mean something, modulo 2^64: what one
 * thread allocates another may free. Several parts, so that threads need not wait for each other to count. Written whole, as
 * a relaxed atomic. A reld_buf counts for who owns it. */
typedef struct reld_usage {
    uint64_t blocks;
    uint64_t bytes;
    uint64_t reserved[6]; /* 0; keeps parts apart that different threads write */
} reld_usage;

/* The magic block of a library. Immutable, valid for as long as the library is mapped. */
typedef struct reld_app {
    uint8_t magic[8];    /* RELD_MAGIC */
    uint32_t size;       /* sizeof(reld_app) */
    uint32_t abi_major;  /* RELD_ABI_MAJOR */
    uint32_t abi_minor;  /* RELD_ABI_MINOR */
    uint32_t flags;      /* RELD_FLAG_* */
    reld_bytes name;     /* UTF-8 */
    reld_bytes vsn;      /* a semantic version */
    reld_bytes built_by; /* for people */
    const reld_module *const *modules;
    size_t module_count;
    /* [loader thread] Receives the daemon's table, once, before any callback. The table stays valid. */
    reld_status (*load)(const struct reld_host *host);
    /* [loader thread] Called once, when the daemon refers to nothing of the library any more: its last chance to end
     * its threads and write out what it holds. The library is unmapped when its threads have ended; until then its
     * thread-local destructors may run. Others wait for none of it. May be null. */
    void (*unload)(void);
    /* What the library has allocated and not freed, in usage_count parts; a static of the library, which the daemon reads at
     * any time, for people. May be null, where the library does not count. Since ABI 1.4. */
    const reld_usage *usage;
    size_t usage_count;
} reld_app;

/* Exports a function from a library whose other functions are hidden (-fvisibility=hidden). */
#define RELD_EXPORT __attribute__((visibility("default")))

/* The one function that a library exports. [any thread] It may be called more than once and answers the same block. */
RELD_EXPORT const reld_app *reld_app_v1(void);

/* ------------------------------------------------------------------------------------------ tables of the daemon */

/* The daemon's allocator. `align` is a power of two. [any thread] */
typedef struct reld_allocator {
    uint32_t size;     /* sizeof(reld_allocator) in the daemon */
    uint32_t reserved; /* 0 */
    /* Null when out of memory, like the next two. */
    uint8_t *(*alloc)(size_t size, size_t align);
    uint8_t *(*alloc_zeroed)(size_t size, size_t align);
    /* The old block is untouched when null is returned. */
    uint8_t *(*realloc)(uint8_t *ptr, size_t size, size_t align, size_t new_size);
    /* Takes the size and alignment of the allocation. */
    void (*dealloc)(uint8_t *ptr, size_t size, size_t align);
} reld_allocator;

/* The one function that the daemon exports. */
const reld_allocator *reld_allocator_v1(void);

/* A message taken by a task. */
typedef struct reld_message {
    uint32_t kind;      /* RELD_EVENT_CALL, CAST, INFO, EXIT or DOWN */
    uint32_t exit_kind; /* RELD_EXIT_* for EXIT and DOWN */
    reld_pid from;
    uint64_t reference; /* the call's or the monitor's */
    reld_buf body;      /* MessagePack, or the exit's text; owned by the library now */
} reld_message;

/* What an open request came to. */
typedef struct reld_answer {
    uint32_t kind;     /* RELD_ANSWER_* */
    uint32_t reserved; /* 0 */
    reld_buf reply;    /* for REPLY; owned by the library now */
    reld_exit exit;    /* for EXIT; owned by the library now */
} reld_answer;

#define RELD_ANSWER_REPLY 0u   /* the server replied, or the sleep is over */
#define RELD_ANSWER_TIMEOUT 1u /* the request's time ran out */
#define RELD_ANSWER_EXIT 2u    /* the server ended, or was never there */

#define RELD_REQUEST_CALL 0u       /* to a gen_server or a task */
/*
 * To a supervisor, in OTP's words. The body is one of these, MessagePack with field names; SPEC and BIN as for
 * RELD_EVENT_INIT, a BIN here being an id, or the argument of a child of a simple_one_for_one:
 *
 *   {start_child: SPEC}  {start_child_args: BIN}  {restart_child: BIN}        pid
 *   {terminate_child: BIN}  {terminate_pid: pid}  {delete_child: BIN}        nil
 *   {rename_child: [BIN, BIN]}                                               nil
 *   {get_childspec: BIN}  {get_childspec_of: pid}                            SPEC
 *   "which_children"                                                         [{id, pid, restarting, type, module}, ..]
 *   "count_children"                                                         {specs, active, supervisors, workers}
 *
 * The reply is {ok: ..} or {error: {reason, pid, text}}.
 */
#define RELD_REQUEST_SUPERVISOR 1u

/* Has a process end in order: answered with RELD_ANSWER_EXIT and the reason it ended with, when it has. The body is the reason
 * to end with: {kind: "normal" | "shutdown" | "killed" | "noproc" | "error" | "panic" | "undecodable" | "overloaded", text},
 * the text for those kinds that have one. Since ABI 1.5. OTP: gen_server:stop/3. */
#define RELD_REQUEST_STOP 2u
/*
 * To a port, with no process as `to`. Since ABI 1.2; an older daemon refuses it. The body is one of these, MessagePack
 * with field names; PORT is a number, HOW is "now" (answer nil when there is nothing yet), "wait" (answer nil when it is
 * worth asking again) or "tell" (answer nil now, and send a RELD_EVENT_TOLD when there is something):
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
 * An address is "127.0.0.1:80", "[::1]:80" or "unix:/run/x.sock"; connecting takes names as well. Options, each of which
 * may be left out: {framing: "raw" | {line: MAX} | {packet: 1 | 2 | 4}, buffer, nodelay, backlog, half_open}. The reply
 * is {ok: ..} or {error: {reason, text}}. An EVENT is {accepted: {listener, connection, peer}}, {connected:
 * {connection}}, {data: {connection, bytes}}, {writable: {connection}} or {closed: {port, error: {reason, text}}}.
 */
#define RELD_REQUEST_PORT 16u
/*
 * To a shared table, with no process as `to`; answered before call returns. Since ABI 1.2; an older daemon refuses it. The
 * body is one of these, MessagePack with field names; TABLE is a number, KEY and VALUE are bins of MessagePack:
 *
 *   {new: {name, kind: "set" | "ordered_set", access: "public" | "protected" | "private", heir: {pid, data}}}   TABLE
 *   {whereis: {name}}                                       TABLE or nil
 *   {insert: {table, key, value}}                           nil
 *   {insert_new: {table, key, value}}                       bool
 *   {lookup: {table, key}}  {take: {table, key}}            VALUE or nil
 *   {replace: {table, key, old, new}}                       bool
 *   {update_counter: {table, key, by, initial}}             the sum
 *   {select: {table, wanted: {prefix, from, after, to, limit}}}   [[KEY, VALUE], ..]
 *   {clear: {table}}  {size: {table}}                       a number
 *   {drop: {table}}  {give_away: {table, to, data}}  {set_heir: {table, heir}}   nil
 *
 * The reply is {ok: ..} or {error: {reason, text}}. An EVENT is {transferred: {table, from, data}}.
 */
#define RELD_REQUEST_TABLE 17u

/* Waits for ever, for every timeout_ms. */
#define RELD_INFINITY UINT64_MAX

/* What the daemon offers. [callback] unless it says otherwise: outside, each answers RELD_REFUSED or zero and does
 * nothing, and still takes the buffers that it is given. */
typedef struct reld_host {
    uint32_t size;      /* sizeof(reld_host) in the daemon */
    uint32_t abi_major; /* RELD_ABI_MAJOR of the daemon */
    uint32_t abi_minor; /* RELD_ABI_MINOR of the daemon */
    uint32_t reserved;  /* 0 */
    /* The running process, {0, 0} outside a callback. */
    reld_pid (*self_pid)(void);
    /* Sends a message of RELD_EVENT_CAST or RELD_EVENT_INFO; takes body. To a dead process it is dropped.
     * To itself also, since ABI 1.2: RELD_EVENT_CONTINUE, which comes before all that waits, and RELD_EVENT_TIMEOUT,
     * whose body is a number of milliseconds and which comes when the callback has been over for so long and nothing
     * else came. An older daemon refuses both. */
    reld_status (*send)(uint32_t kind, reld_pid to, reld_buf body);
    /* Opens a request (RELD_REQUEST_*); takes body; returns its reference, 0 outside a callback. */
    uint64_t (*call)(uint32_t kind, reld_pid to, reld_buf body, uint64_t timeout_ms);
    /* Takes the answer to a reference: OK and *out filled, PENDING, or REFUSED for an unknown one. */
    reld_status (*take)(uint64_t reference, reld_answer *out);
    /* Gives a reference up; a late answer is dropped. */
    void (*forget)(uint64_t reference);
    /* Answers a call; takes body. An answer that comes too late is dropped. */
    reld_status (*reply)(reld_from to, reld_buf body);
    /* Sends body as RELD_EVENT_INFO after after_ms; takes body. */
    reld_timer (*send_after)(reld_pid to, uint64_t after_ms, reld_buf body);
    /* Stops a timer: OK when it would have fired, or fired again, else REFUSED. */
    reld_status (*cancel_timer)(reld_timer timer);
    /* Opens a wait; its reference is answered with an empty reply after after_ms. */
    uint64_t (*sleep)(uint64_t after_ms);
    /* Takes the next message of the running task: OK, PENDING, or REFUSED in other processes. */
    reld_status (*recv)(reld_message *out);
    /* Starts a process of `module`, linked when link is 1, linked and below this one in the tree when it is 2 (since
     * ABI 1.2); takes args. Answered with the pid when init is done. */
    uint64_t (*spawn)(reld_bytes module, reld_buf args, uint32_t link);
    /* Gives the running process a name (`register` is a word of C); REFUSED when it is taken. */
    reld_status (*register_name)(reld_bytes name);
    /* Frees a name of the running process. */
    reld_status (*unregister_name)(reld_bytes name);
    /* [any thread] The process of that name, {0, 0} for none. */
    reld_pid (*whereis)(reld_bytes name);
    /* Links the running process with another. */
    reld_status (*link)(reld_pid with);
    /* Removes a link. */
    reld_status (*unlink)(reld_pid with);
    /* Watches a process: one RELD_EVENT_DOWN with the returned reference when it ends. */
    uint64_t (*monitor)(reld_pid pid);
    /* Stops watching. */
    reld_status (*demonitor)(uint64_t reference);
    /* Sends an exit signal; takes exit. RELD_EXIT_KILLED cannot be trapped. */
    reld_status (*exit)(reld_pid to, reld_exit exit);
    /* Turns exit signals into RELD_EVENT_EXIT (1) or not (0). */
    reld_status (*trap_exit)(uint32_t on);
    /* Reads a key of the app's environment as MessagePack into *out, owned by the library; REFUSED when unset. */
    reld_status (*get_env)(reld_bytes key, reld_buf *out);
    /* [any thread] Writes a line to the daemon's log; level 1 (error) to 5 (trace). */
    void (*log)(uint32_t level, reld_bytes target, reld_bytes message);
    /* Sends body as RELD_EVENT_INFO every every_ms, as long as the target lives; takes body. Since ABI 1.2. */
    reld_timer (*send_interval)(reld_pid to, uint64_t every_ms, reld_buf body);
    /* In how many milliseconds a timer fires, RELD_INFINITY when it has fired or was stopped. Since ABI 1.2. */
    uint64_t (*read_timer)(reld_timer timer);
    /*
     * Runs run(data_app) once on a thread made for work that blocks, whatever becomes of the process; its reference is
     * answered with an empty reply then. 0 when it was refused: then run is not called. Inside, no function of this table
     * but whereis and log works. Since ABI 1.2.
     */
    uint64_t (*blocking)(void (*run)(void *data_app), void *data_app);
    /*
     * Lets no more than so many messages wait for the running process; 0 takes the bound away. One that comes when the
     * mailbox is full is dropped and counted, and a call is answered with RELD_EXIT_OVERLOADED. REFUSED in supervisors and
     * applications. Since ABI 1.4.
     */
    reld_status (*bound_mailbox)(uint64_t messages);
} reld_host;

#ifdef __cplusplus
}
#endif

#endif /* RELD_H */
