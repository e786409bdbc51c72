/* meter 1.1.0, an app in C: adds up the readings of an electricity meter, in milliwatt-hours, and
 * keeps the largest one.
 *
 *   relctl cast meter '{"add": 5}'      adds 5 Wh
 *   relctl cast meter '{"add_mwh": 5}'  adds 5 mWh
 *   relctl call meter '"read"'          {"total_mwh": 5005, "readings": 2, "largest_mwh": 5000}
 *   relctl call meter '{"ask": {"slot": 4, "generation": 1}}'
 *                                       the reply of that process to "get"; it shows how a callback
 *                                       waits
 */
#include "msgpack.h"
#include "reld.h"
#include "reld_stateless.h"

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

static const reld_bytes NOTHING = TEXT("");

/* The functions of the daemon. You can use them from `load` on. */
static const reld_host *host;

/* ------------------------------------------------------------------------------- state as bytes */

/* The state is a map from field names to numbers. Write names, not only values: then the next
 * version of your app sees which state it reads. */
struct field {
    const char *name;
    size_t at;
};

struct meter {
    uint64_t total_mwh;
    uint64_t readings;
    uint64_t largest_mwh;
};

static const struct field METER[] = {
    {"total_mwh", offsetof(struct meter, total_mwh)},
    {"readings", offsetof(struct meter, readings)},
    {"largest_mwh", offsetof(struct meter, largest_mwh)},
};

/* The state of 1.0.0, which counted whole watt-hours. */
struct meter_1_0 {
    uint64_t total_wh;
    uint64_t readings;
};

static const struct field METER_1_0[] = {
    {"total_wh", offsetof(struct meter_1_0, total_wh)},
    {"readings", offsetof(struct meter_1_0, readings)},
};

/* The `extra` value from the appup: 1.0.0 did not keep its largest reading. */
struct extra {
    uint64_t largest_wh;
};

static const struct field EXTRA[] = {{"largest_wh", offsetof(struct extra, largest_wh)}};

#define COUNT(fields) (sizeof(fields) / sizeof(fields)[0])

/* Fills in the exit reason, unless the caller passed NULL because it needs none. */
static void explain(reld_exit *why, uint32_t kind, const char *text, reld_bytes more) {
    if (why != NULL) {
        why->kind = kind;
        mp_append(&why->text, text, strlen(text));
        mp_append(&why->text, more.ptr, more.len);
    }
}

static void write_fields(const void *from, const struct field *fields, size_t count, reld_buf *out) {
    mp_map(out, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)from + fields[i].at, sizeof value);
        mp_text(out, fields[i].name);
        mp_uint(out, value);
    }
}

/* Reads exactly these fields, each once. It refuses an unknown field, because a skipped field
 * would be lost silently. */
static reld_status read_fields(reld_bytes bytes, const struct field *fields, size_t count, void *into, reld_exit *why) {
    uint64_t given, value, seen = 0;
    reld_bytes name;
    if (!mp_take_map(&bytes, &given) || given != count) {
        explain(why, RELD_EXIT_UNDECODABLE, "not a map of as many fields as expected", NOTHING);
        return RELD_FAILED;
    }
    while (given-- > 0) {
        size_t i = 0;
        if (!mp_take_text(&bytes, &name) || !mp_take_uint(&bytes, &value)) {
            explain(why, RELD_EXIT_UNDECODABLE, "a field is not a name and a number", NOTHING);
            return RELD_FAILED;
        }
        while (i < count && !mp_is(name, fields[i].name)) {
            i++;
        }
        if (i == count || (seen & 1u << i) != 0) {
            explain(why, RELD_EXIT_UNDECODABLE, "a field is not known, or there twice: ", name);
            return RELD_FAILED;
        }
        seen |= 1u << i;
        memcpy((char *)into + fields[i].at, &value, sizeof value);
    }
    return RELD_OK;
}

static struct meter *new_meter(void) {
    struct meter *meter = calloc(1, sizeof *meter);
    if (meter == NULL) {
        abort();
    }
    return meter;
}

static reld_status export_meter(const void *state, reld_buf *out, reld_exit *why) {
    (void)why;
    write_fields(state, METER, COUNT(METER), out);
    return RELD_OK;
}

static reld_status import_meter(reld_bytes state, void **out, reld_exit *why) {
    struct meter *meter = new_meter();
    reld_status status = read_fields(state, METER, COUNT(METER), meter, why);
    if (status != RELD_OK) {
        free(meter);
        return status;
    }
    *out = meter;
    return RELD_OK;
}

/* Up from 1.0.0: converts watt-hours to milliwatt-hours. */
static reld_status change_meter(reld_bytes from, reld_bytes state, reld_bytes extra, void **out, reld_exit *why) {
    struct meter_1_0 old;
    struct extra given;
    struct meter *meter;
    (void)from;
    if (read_fields(state, METER_1_0, COUNT(METER_1_0), &old, why) != RELD_OK ||
        read_fields(extra, EXTRA, COUNT(EXTRA), &given, why) != RELD_OK) {
        return RELD_FAILED;
    }
    meter = new_meter();
    meter->total_mwh = old.total_wh * 1000;
    meter->readings = old.readings;
    meter->largest_mwh = given.largest_wh * 1000;
    *out = meter;
    return RELD_OK;
}

/* Down to 1.0.0: loses fractions of a watt-hour and the largest reading. */
static reld_status change_meter_down(reld_bytes to, reld_bytes state, reld_bytes extra, reld_buf *out, reld_exit *why) {
    struct meter meter;
    struct meter_1_0 old;
    (void)to, (void)extra;
    if (read_fields(state, METER, COUNT(METER), &meter, why) != RELD_OK) {
        return RELD_FAILED;
    }
    old.total_wh = meter.total_mwh / 1000;
    old.readings = meter.readings;
    write_fields(&old, METER_1_0, COUNT(METER_1_0), out);
    return RELD_OK;
}

/* ------------------------------------------------------------------------------------- requests */

struct pid {
    uint64_t slot;
    uint64_t generation;
};

static const struct field PID[] = {
    {"slot", offsetof(struct pid, slot)},
    {"generation", offsetof(struct pid, generation)},
};

enum request_kind { UNKNOWN, READ, ASK, ADD };

struct request {
    enum request_kind kind;
    uint64_t mwh;    /* ADD */
    struct pid whom; /* ASK */
};

static struct request parse(uint32_t event, reld_bytes body) {
    struct request request = {UNKNOWN, 0, {0, 0}};
    uint64_t count;
    reld_bytes word;
    if (mp_take_text(&body, &word)) {
        request.kind = event == RELD_EVENT_CALL && mp_is(word, "read") ? READ : UNKNOWN;
    } else if (mp_take_map(&body, &count) && count == 1 && mp_take_text(&body, &word)) {
        if (event == RELD_EVENT_CAST && mp_is(word, "add") && mp_take_uint(&body, &request.mwh)) {
            request.kind = ADD;
            request.mwh *= 1000;
        } else if (event == RELD_EVENT_CAST && mp_is(word, "add_mwh") && mp_take_uint(&body, &request.mwh)) {
            request.kind = ADD;
        } else if (event == RELD_EVENT_CALL && mp_is(word, "ask") &&
                   read_fields(body, PID, COUNT(PID), &request.whom, NULL) == RELD_OK) {
            request.kind = ASK;
        }
    }
    return request;
}

static reld_status accepts_meter(uint32_t event, reld_bytes body, reld_exit *why) {
    if (event == RELD_EVENT_INIT || event == RELD_EVENT_INFO || parse(event, body).kind != UNKNOWN) {
        return RELD_OK;
    }
    explain(why, RELD_EXIT_UNDECODABLE,
        "a meter is cast {\"add\": WH} or {\"add_mwh\": MWH}, and called \"read\" or {\"ask\": PID}", NOTHING);
    return RELD_FAILED;
}

/* ------------------------------------------------------------------------ a callback that waits */

/* The data of a waiting callback. It owns the state meanwhile. */
struct asking {
    struct meter *meter;
    uint64_t reference;
};

/* [pool] Looks for the reply. `completed` lists the requests with a reply; this callback has
 * only one request, so it need not look there. */
static reld_verdict poll_asking(void *data, const uint64_t *completed, size_t count, reld_outcome *out) {
    struct asking *asking = data;
    reld_answer answer;
    (void)completed, (void)count;
    memset(&answer, 0, sizeof answer);
    if (host->take(asking->reference, &answer) == RELD_PENDING) {
        return RELD_VERDICT_PENDING;
    }
    out->state_app = asking->meter;
    out->has_reply = 1;
    if (answer.kind == RELD_ANSWER_REPLY && answer.reply.len > 0) {
        out->reply = answer.reply; /* this code owns the reply, so it may pass it on */
    } else {
        mp_nil(&out->reply);
        mp_free(&answer.reply);
    }
    mp_free(&answer.exit.text);
    free(asking);
    return RELD_VERDICT_READY;
}

/* [pool] Frees everything if the process ends while the callback waits. */
static void drop_asking(void *data) {
    struct asking *asking = data;
    free(asking->meter);
    free(asking);
}

static reld_verdict ask(struct meter *meter, struct pid pid, reld_outcome *out) {
    reld_pid whom = {(uint32_t)pid.slot, (uint32_t)pid.generation};
    reld_buf get = {NULL, 0, 0};
    struct asking *asking = malloc(sizeof *asking);
    if (asking == NULL) {
        abort();
    }
    mp_text(&get, "get");
    asking->meter = meter;
    asking->reference = host->call(RELD_REQUEST_CALL, whom, get, 5000);
    out->future.data_app = asking;
    out->future.poll = poll_asking;
    out->future.drop = drop_asking;
    return RELD_VERDICT_PENDING;
}

/* ------------------------------------------------------------------------------- the gen_server */

static reld_verdict init_meter(reld_outcome *out) {
    static const reld_bytes name = TEXT("meter");
    if (host->register_name(name) != RELD_OK) {
        out->next = RELD_NEXT_STOP;
        explain(&out->exit, RELD_EXIT_ERROR, "there is a process named meter", NOTHING);
        return RELD_VERDICT_READY;
    }
    out->state_app = new_meter();
    return RELD_VERDICT_READY;
}

static reld_verdict handle(struct meter *meter, const reld_event *event, reld_outcome *out) {
    struct request request = parse(event->kind, event->body);
    switch (request.kind) {
    case READ:
        out->has_reply = 1;
        write_fields(meter, METER, COUNT(METER), &out->reply);
        break;
    case ADD:
        meter->total_mwh += request.mwh;
        meter->readings++;
        if (request.mwh > meter->largest_mwh) {
            meter->largest_mwh = request.mwh;
        }
        break;
    case ASK:
        return ask(meter, request.whom, out);
    default:
        free(meter);
        accepts_meter(event->kind, event->body, &out->exit);
        return RELD_VERDICT_CRASHED;
    }
    out->state_app = meter;
    return RELD_VERDICT_READY;
}

static reld_verdict meter_callback(void *state, const reld_event *event, reld_outcome *out) {
    switch (event->kind) {
    case RELD_EVENT_INIT:
        return init_meter(out);
    case RELD_EVENT_CALL:
    case RELD_EVENT_CAST:
        return handle(state, event, out);
    case RELD_EVENT_TERMINATE:
        free(state);
        return RELD_VERDICT_READY;
    default: /* this server has no monitors and no timers, so the sender is wrong: ignore it */
        out->state_app = state;
        return RELD_VERDICT_READY;
    }
}

static const reld_module meter_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_GEN_SERVER,
    .name = TEXT("meter"),
    .callback = meter_callback,
    .export_state = export_meter,
    .import_state = import_meter,
    .change_code = change_meter,
    .change_code_down = change_meter_down,
    .accepts = accepts_meter,
    .drop_state = free,
};

/* ------------------------------------------------------------------------------- the supervisor */

/* Returns {strategy: "one_for_one", children: [{id: "meter", module: "meter"}]}. All other
 * members have the defaults of OTP. */
static reld_verdict sup_callback(void *state, const reld_event *event, reld_outcome *out) {
    reld_buf id = {NULL, 0, 0};
    (void)state, (void)event;
    out->has_reply = 1;
    mp_map(&out->reply, 2);
    mp_text(&out->reply, "strategy");
    mp_text(&out->reply, "one_for_one");
    mp_text(&out->reply, "children");
    mp_array(&out->reply, 1);
    mp_map(&out->reply, 2);
    mp_text(&out->reply, "id");
    mp_text(&id, "meter");
    mp_bin(&out->reply, id);
    mp_text(&out->reply, "module");
    mp_text(&out->reply, "meter");
    return RELD_VERDICT_READY;
}

static const reld_module sup_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_SUPERVISOR,
    .name = TEXT("meter_sup"),
    .callback = sup_callback,
    RELD_SUPERVISOR,
};

/* ------------------------------------------------------------------------------ the application */

/* INIT returns the root of the tree: {module: "meter_sup", args: nil}. */
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
        mp_text(&out->reply, "meter_sup");
        mp_text(&out->reply, "args");
        mp_nil(&args);
        mp_bin(&out->reply, args);
    }
    return RELD_VERDICT_READY;
}

static const reld_module app_module = {
    .size = sizeof(reld_module),
    .behaviour = RELD_BEHAVIOUR_APPLICATION,
    .name = TEXT("meter_app"),
    .callback = app_callback,
    RELD_STATELESS,
};

/* ---------------------------------------------------------------------------------- the library */

static reld_status load(const reld_host *table) {
    host = table;
    return RELD_OK;
}

static const reld_module *const modules[] = {&meter_module, &sup_module, &app_module};

static const reld_app app = {
    .magic = RELD_MAGIC,
    .size = sizeof(reld_app),
    .abi_major = RELD_ABI_MAJOR,
    .abi_minor = RELD_ABI_MINOR,
    .flags = RELD_FLAG_PANIC_UNWIND,
    .name = TEXT("meter"),
    .vsn = TEXT("1.1.0"),
    .built_by = TEXT("cc " __VERSION__),
    .modules = modules,
    .module_count = COUNT(modules),
    .load = load,
};

const reld_app *reld_app_v1(void) {
    return &app;
}
