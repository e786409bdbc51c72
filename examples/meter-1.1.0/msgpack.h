/* The part of MessagePack that this app needs: a writer and a reader.
 *
 * The writer appends to a reld_buf from the allocator of the daemon, so you can pass the buffer
 * to the daemon without a copy. The reader only borrows its bytes. */
#ifndef MSGPACK_H
#define MSGPACK_H

#include <stdlib.h>
#include <string.h>

#include "reld.h"

/* -------------------------------------------------------------------------------------- writing */

static inline void mp_append(reld_buf *out, const void *bytes, size_t len) {
    if (out->cap - out->len < len) {
        size_t cap = (out->cap + len) * 2;
        const reld_allocator *daemon = reld_allocator_v1();
        /* The allocator needs the size of the block again when it is freed: keep it in `cap`. */
        uint8_t *ptr = out->cap == 0 ? daemon->alloc(cap, 1) : daemon->realloc(out->ptr, out->cap, 1, cap);
        if (ptr == NULL) {
            abort(); /* the daemon aborts, too, when it runs out of memory */
        }
        out->ptr = ptr;
        out->cap = cap;
    }
    memcpy(out->ptr + out->len, bytes, len);
    out->len += len;
}

/* Writes a tag, and a number as `width` bytes, big-endian. */
static inline void mp_tagged(reld_buf *out, uint8_t tag, uint64_t number, int width) {
    uint8_t bytes[9] = {tag};
    for (int i = 0; i < width; i++) {
        bytes[1 + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    }
    mp_append(out, bytes, 1 + (size_t)width);
}

static inline void mp_nil(reld_buf *out) {
    mp_tagged(out, 0xc0, 0, 0);
}

static inline void mp_uint(reld_buf *out, uint64_t number) {
    if (number < 0x80) {
        mp_tagged(out, (uint8_t)number, 0, 0);
    } else {
        mp_tagged(out, 0xcf, number, 8);
    }
}

static inline void mp_text(reld_buf *out, const char *text) {
    size_t len = strlen(text);
    mp_tagged(out, 0xda, len, 2);
    mp_append(out, text, len);
}

/* Begins a map. Write `count` (at most 15) keys next, each followed by its value. */
static inline void mp_map(reld_buf *out, size_t count) {
    mp_tagged(out, (uint8_t)(0x80 | count), 0, 0);
}

/* Begins an array. Write `count` (at most 15) values next. */
static inline void mp_array(reld_buf *out, size_t count) {
    mp_tagged(out, (uint8_t)(0x90 | count), 0, 0);
}

/* Frees a buffer that this app owns. */
static inline void mp_free(reld_buf *buf) {
    if (buf->cap > 0) {
        reld_allocator_v1()->dealloc(buf->ptr, buf->cap, 1);
    }
    memset(buf, 0, sizeof *buf);
}

/* Writes MessagePack inside MessagePack: a value that the daemon passes on unread. Frees
 * `inner`. */
static inline void mp_bin(reld_buf *out, reld_buf inner) {
    mp_tagged(out, 0xc5, inner.len, 2);
    mp_append(out, inner.ptr, inner.len);
    mp_free(&inner);
}

/* -------------------------------------------------------------------------------------- reading */

/* The bytes still to read. Each function below consumes one value, or returns 0 and consumes
 * nothing. */
typedef reld_bytes mp_reader;

/* Reads the tag `tag`, and a number of `width` bytes after it. */
static inline int mp_take_tagged(mp_reader *in, uint8_t tag, size_t width, uint64_t *number) {
    if (in->len < 1 + width || in->ptr[0] != tag) {
        return 0;
    }
    *number = 0;
    for (size_t i = 0; i < width; i++) {
        *number = *number << 8 | in->ptr[1 + i];
    }
    in->ptr += 1 + width;
    in->len -= 1 + width;
    return 1;
}

/* Reads a one-byte value that holds a number below `limit`: the byte is `tag` plus the number. */
static inline int mp_take_small(mp_reader *in, uint8_t tag, uint8_t limit, uint64_t *number) {
    if (in->len == 0 || in->ptr[0] < tag || in->ptr[0] - tag >= limit) {
        return 0;
    }
    *number = in->ptr[0] - tag;
    in->ptr++;
    in->len--;
    return 1;
}

static inline int mp_take_uint(mp_reader *in, uint64_t *number) {
    return mp_take_small(in, 0x00, 128, number) || mp_take_tagged(in, 0xcc, 1, number) ||
           mp_take_tagged(in, 0xcd, 2, number) || mp_take_tagged(in, 0xce, 4, number) ||
           mp_take_tagged(in, 0xcf, 8, number);
}

static inline int mp_take_map(mp_reader *in, uint64_t *count) {
    return mp_take_small(in, 0x80, 16, count) || mp_take_tagged(in, 0xde, 2, count);
}

static inline int mp_take_text(mp_reader *in, reld_bytes *text) {
    mp_reader rest = *in;
    uint64_t len;
    int is_text = mp_take_small(&rest, 0xa0, 32, &len) || mp_take_tagged(&rest, 0xd9, 1, &len) ||
                  mp_take_tagged(&rest, 0xda, 2, &len) || mp_take_tagged(&rest, 0xdb, 4, &len);
    if (!is_text || rest.len < len) {
        return 0;
    }
    text->ptr = rest.ptr;
    text->len = (size_t)len;
    in->ptr = rest.ptr + len;
    in->len = rest.len - (size_t)len;
    return 1;
}

static inline int mp_is(reld_bytes text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

#endif /* MSGPACK_H */
