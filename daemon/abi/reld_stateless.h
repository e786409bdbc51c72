/*
 * reld_stateless.h: the entries of a reld_module without a state, for C11 and C++20.
 *
 *   static const reld_module app_module = {
 *       .size = sizeof(reld_module),
 *       .behaviour = RELD_BEHAVIOUR_APPLICATION,
 *       .name = {(const uint8_t *)"shop_app", 8},
 *       .callback = app_callback,
 *       RELD_STATELESS,
 *       .schema = reld_schema_nothing,
 *       .format_status = NULL,
 *       .callback_many = NULL,
 *   };
 *
 * A state must not be null, so the callbacks of such a module return reld_nothing() as state_app.
 * As bytes this state is nil.
 */
#ifndef RELD_STATELESS_H
#define RELD_STATELESS_H

#include "reld.h"

#include <string.h>

/* The members from export_state to drop_state, of an application or another module without a state.
 * Every start argument and every message is accepted. */
#define RELD_STATELESS                                                                                                 \
    .export_state = reld_export_nothing, .import_state = reld_import_nothing, .change_code = reld_change_nothing,      \
    .change_code_down = reld_change_nothing_down, .accepts = reld_accepts_all, .drop_state = reld_drop_nothing

/* The same members of a supervisor, whose state belongs to the daemon. */
#define RELD_SUPERVISOR                                                                                                \
    .export_state = NULL, .import_state = NULL, .change_code = NULL, .change_code_down = NULL,                         \
    .accepts = reld_accepts_all, .drop_state = NULL

/* The state. */
static inline void *reld_nothing(void) {
    static char nothing;
    return &nothing;
}

static inline void reld_drop_nothing(void *state) {
    (void)state;
}

/* Copies a text into an empty buffer. */
static inline reld_status reld_give_text(reld_buf *out, const char *text, size_t len, reld_exit *why) {
    uint8_t *copy = reld_allocator_v1()->alloc(len, 1);
    if (copy == NULL) {
        why->kind = RELD_EXIT_ERROR;
        return RELD_FAILED;
    }
    memcpy(copy, text, len);
    out->ptr = copy;
    out->len = out->cap = len;
    return RELD_OK;
}

static inline reld_status reld_export_nothing(const void *state, reld_buf *out, reld_exit *why) {
    (void)state;
    return reld_give_text(out, "\xc0", 1, why);
}

static inline reld_status reld_import_nothing(reld_bytes state, void **out, reld_exit *why) {
    (void)state, (void)why;
    *out = reld_nothing();
    return RELD_OK;
}

static inline reld_status reld_change_nothing(reld_bytes from, reld_bytes state, reld_bytes extra, void **out,
                                              reld_exit *why) {
    (void)from, (void)extra;
    return reld_import_nothing(state, out, why);
}

static inline reld_status reld_change_nothing_down(reld_bytes to, reld_bytes state, reld_bytes extra, reld_buf *out,
                                                   reld_exit *why) {
    (void)to, (void)state, (void)extra;
    return reld_export_nothing(NULL, out, why);
}

static inline reld_status reld_accepts_all(uint32_t kind, reld_bytes body, reld_exit *why) {
    (void)kind, (void)body, (void)why;
    return RELD_OK;
}

/* The schema of the state, for `relctl diff`. */
static inline reld_status reld_schema_nothing(reld_buf *out, reld_exit *why) {
    static const char schema[] = "{\"state\": {\"type\": \"null\"}}";
    return reld_give_text(out, schema, sizeof schema - 1, why);
}

#endif /* RELD_STATELESS_H */
