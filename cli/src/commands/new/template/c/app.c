/* The app __app__: a server that adds up numbers, below a supervisor. C11, and C++20 as well.
 *
 * reld.h describes each function here, with its thread and the owner of each pointer.
 */
#include "msgpack.h"
#include "reld.h"
#include "reld_stateless.h"

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

/* The functions of the daemon, from `load` on. */
static const reld_host *host;

static reld_status fail(reld_exit *why, uint32_t kind, const char *text) {
    why->kind = kind;
    mp_append(&why->text, text, strlen(text));
    return RELD_FAILED;
}

static void json(reld_buf *out, const char *text) {
    mp_append(out, text, strlen(text));
}

/* The state. It moves to the next version as bytes: {sum: n}. */
struct server {
    uint64_t sum;
};

static reld_status export_server(const void *state, reld_buf *out, reld_exit *why) {
    (void)why;
    mp_map(out, 1);
    mp_text(out, "sum");
    mp_uint(out, ((const struct server *)state)->sum);
    return RELD_OK;
}

static reld_status import_server(reld_bytes state, void **out, reld_exit *why) {
    struct server *server;
    uint64_t count, sum;
    reld_bytes name;
    if (!mp_take_map(&state, &count) || count != 1 || !mp_take_text(&state, &name) || !mp_is(name, "sum") ||
        !mp_take_uint(&state, &sum)) {
        return fail(why, RELD_EXIT_UNDECODABLE, "the state is not {sum: n}");
    }
    server = (struct server *)malloc(sizeof *server);
    if (server == NULL) {
        return fail(why, RELD_EXIT_ERROR, "out of memory");
    }
    server->sum = sum;
    *out = server;
    return RELD_OK;
}

/* The state in a form that `relctl diff` compares. Change it with the state. */
static reld_status schema_server(reld_buf *out, reld_exit *why) {
    (void)why;
    json(out, "{\"state\": {\"type\": \"object\", \"properties\": {\"sum\": {\"type\": \"integer\"}},"
              " \"required\": [\"sum\"], \"additionalProperties\": false}}");
    return RELD_OK;
}

/* `change = { advanced = .. }` in an appup calls these two. There is no version before this one. */
static reld_status change_server(reld_bytes from, reld_bytes state, reld_bytes extra, void **out, reld_exit *why) {
    (void)from, (void)extra;
    return import_server(state, out, why);
}

static reld_status change_server_down(reld_bytes to, reld_bytes state, reld_bytes extra, reld_buf *out,
                                      reld_exit *why) {
    (void)to, (void)state, (void)extra, (void)out;
    return fail(why, RELD_EXIT_ERROR, "there is no version before this one");
}

/* Reads a call, "sum" or {add: n}; `add` is 0 for "sum". */
static int read_call(reld_bytes body, uint64_t *add) {
    uint64_t count;
    reld_bytes word;
    *add = 0;
    if (mp_take_text(&body, &word)) {
        return mp_is(word, "sum");
    }
    return mp_take_map(&body, &count) && count == 1 && mp_take_text(&body, &word) && mp_is(word, "add") &&
           mp_take_uint(&body, add);
}

static reld_status accepts_server(uint32_t event, reld_bytes body, reld_exit *why) {
    uint64_t add;
    if (event == RELD_EVENT_INIT || event == RELD_EVENT_INFO ||
        (event == RELD_EVENT_CALL && read_call(body, &add))) {
        return RELD_OK;
    }
    return fail(why, RELD_EXIT_UNDECODABLE, "the server is called with \"sum\" or {\"add\": n}");
}

static reld_verdict init_server(reld_outcome *out) {
    static const reld_bytes name = TEXT("__crate___server");
    struct server *server = (struct server *)calloc(1, sizeof *server);
    if (server == NULL || host->register_name(name) != RELD_OK) {
        free(server);
        out->next = RELD_NEXT_STOP;
        fail(&out->exit, RELD_EXIT_ERROR, "no memory, or the name __crate___server is taken");
        return RELD_VERDICT_READY;
    }
    out->state_app = server;
    return RELD_VERDICT_READY;
}

static reld_verdict server_callback(void *state, const reld_event *event, reld_outcome *out) {
    struct server *server = (struct server *)state;
    uint64_t add;
    switch (event->kind) {
    case RELD_EVENT_INIT:
        return init_server(out);
    case RELD_EVENT_TERMINATE:
        free(server);
        return RELD_VERDICT_READY;
    case RELD_EVENT_CALL:
    case RELD_EVENT_CAST:
        if (accepts_server(event->kind, event->body, &out->exit) != RELD_OK) {
            free(server);
            return RELD_VERDICT_CRASHED;
        }
        read_call(event->body, &add);
        server->sum += add;
        out->has_reply = 1;
        mp_uint(&out->reply, server->sum);
        break;
    default: /* a message that this server does not expect */
        break;
    }
    out->state_app = server;
    return RELD_VERDICT_READY;
}

static const reld_module server_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_GEN_SERVER,
    .name = TEXT("__crate___server"),
    .callback = server_callback,
    .export_state = export_server,
    .import_state = import_server,
    .change_code = change_server,
    .change_code_down = change_server_down,
    .accepts = accepts_server,
    .drop_state = free,
    .schema = schema_server,
    .format_status = NULL,
    .callback_many = NULL,
};

/* The supervisor, with its registered name. Keys that are left out have OTP's defaults. */
static reld_verdict sup_callback(void *state, const reld_event *event, reld_outcome *out) {
    reld_buf id = {NULL, 0, 0};
    (void)state, (void)event;
    out->has_reply = 1;
    mp_map(&out->reply, 3);
    mp_text(&out->reply, "name");
    mp_text(&out->reply, "__crate___sup");
    mp_text(&out->reply, "strategy");
    mp_text(&out->reply, "one_for_one");
    mp_text(&out->reply, "children");
    mp_array(&out->reply, 1);
    mp_map(&out->reply, 2);
    mp_text(&out->reply, "id");
    mp_text(&id, "server");
    mp_bin(&out->reply, id);
    mp_text(&out->reply, "module");
    mp_text(&out->reply, "__crate___server");
    return RELD_VERDICT_READY;
}

/* The same for `relctl diff`, with the defaults. */
static reld_status schema_sup(reld_buf *out, reld_exit *why) {
    (void)why;
    json(out, "{\"supervisor\": {\"name\": \"__crate___sup\", \"strategy\": \"one_for_one\", \"intensity\": 1,"
              " \"period_ms\": 5000, \"children\": [{\"id\": \"server\", \"module\": \"__crate___server\", \"args\": null,"
              " \"restart\": \"permanent\", \"shutdown\": 5000, \"type\": \"worker\"}]}}");
    return RELD_OK;
}

static const reld_module sup_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_SUPERVISOR,
    .name = TEXT("__crate___sup"),
    .callback = sup_callback,
    RELD_SUPERVISOR,
    .schema = schema_sup,
    .format_status = NULL,
    .callback_many = NULL,
};

/* The application, which has no state. INIT answers the root: {module: NAME, args: nil}. */
static reld_verdict app_callback(void *state, const reld_event *event, reld_outcome *out) {
    reld_buf args = {NULL, 0, 0};
    (void)state;
    if (event->kind == RELD_EVENT_TERMINATE) {
        return RELD_VERDICT_READY;
    }
    out->state_app = reld_nothing();
    if (event->kind == RELD_EVENT_INIT) {
        out->has_reply = 1;
        mp_map(&out->reply, 2);
        mp_text(&out->reply, "module");
        mp_text(&out->reply, "__crate___sup");
        mp_text(&out->reply, "args");
        mp_nil(&args);
        mp_bin(&out->reply, args);
    }
    return RELD_VERDICT_READY;
}

static const reld_module app_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_APPLICATION,
    .name = TEXT("__crate___app"),
    .callback = app_callback,
    RELD_STATELESS,
    .schema = reld_schema_nothing,
    .format_status = NULL,
    .callback_many = NULL,
};

static reld_status load(const reld_host *table) {
    host = table;
    return RELD_OK;
}

static const reld_module *const modules[] = {&server_module, &sup_module, &app_module};

static const reld_app app = {
    .magic = RELD_MAGIC,
    .size = sizeof(reld_app),
    .abi_major = RELD_ABI_MAJOR,
    .abi_minor = RELD_ABI_MINOR,
    .flags = RELD_FLAG_PANIC_UNWIND,
    .name = TEXT("__app__"),
    .vsn = TEXT(VERSION),
    .built_by = TEXT("cc " __VERSION__),
    .modules = modules,
    .module_count = sizeof modules / sizeof *modules,
    .load = load,
    .unload = NULL,
    .usage = NULL,
    .usage_count = 0,
};

const reld_app *reld_app_v1(void) {
    return &app;
}
