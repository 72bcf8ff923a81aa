/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading .npy: a magic, a version, the length of the header, the header, the data. The header is a Python
 * dictionary with exactly the keys descr, fortran_order and shape, so this reads just so much of Python.
 */
#include "bundle.h"
#include "report.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* Magic, two bytes of version, then the length: two bytes in version 1, four in 2 and 3. */
enum { MAGIC_BYTES = sizeof magic, VERSION_BYTES = 2, NEWEST_VERSION = 3 };

typedef struct cursor {
    const mapping *file;
    const char *at, *end;
} cursor;

static _Noreturn void refuse(const cursor *c, const char *why)
{
    die(STATUS_INPUT, "%s: %s: save it again with numpy.save", c->file->path, why);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at)) c->at++;
}

/* Takes this text if it is next. */
static bool take(cursor *c, const char *expected)
{
    size_t length = strlen(expected);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, expected, length) != 0) return false;
    c->at += length;
    return true;
}

static void demand(cursor *c, const char *expected)
{
    if (!take(c, expected)) refuse(c, "its header is no dictionary of descr, fortran_order and shape");
}

typedef struct slice {
    const char *start;
    size_t length;
} slice;

static slice take_string(cursor *c)
{
    skip_space(c);
    char quote = '\0';
    if (c->at < c->end) quote = *c->at;
    if (quote != '\'' && quote != '"') refuse(c, "its header has something else where a string belongs");
    const char *start = ++c->at;
    for (; c->at < c->end && *c->at != quote; c->at++)
        if (!isprint((unsigned char)*c->at)) refuse(c, "its header holds a byte that is no text");
    if (c->at == c->end) refuse(c, "its header ends within a string");
    return (slice){start, (size_t)(c->at++ - start)};
}

static int64_t take_size(cursor *c)
{
    int64_t size = 0;
    skip_space(c);
    if (c->at == c->end || !isdigit((unsigned char)*c->at)) refuse(c, "its shape holds something that is no size");
    for (; c->at < c->end && isdigit((unsigned char)*c->at); c->at++)
        if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, *c->at - '0', &size))
            refuse(c, "its shape holds a size beyond 63 bits");
    return size;
}

enum { LONGEST_SHOWN = 64 }; /* of a dtype that is none */

static void take_descr(cursor *c, array *a)
{
    if (take(c, "[")) refuse(c, "it is a structured array, where a plain one is needed");
    slice s = take_string(c);
    a->element = element_of_descr(s.start, s.length);
    if (!a->element)
        die(STATUS_INPUT,
            "%s: its dtype is '%.*s': it must be '<f2', '<f4', '<f8', '|V2' (bfloat16), or for a mask '|b1' or "
            "'|u1'",
            c->file->path, (int)(s.length < LONGEST_SHOWN ? s.length : LONGEST_SHOWN), s.start);
}

static void take_order(cursor *c, bool *fortran_order)
{
    *fortran_order = take(c, "True");
    if (!*fortran_order) demand(c, "False");
}

static void take_shape(cursor *c, array *a)
{
    demand(c, "(");
    while (!take(c, ")")) {
        if (a->rank == MAX_RANK) refuse(c, "it has more than five axes");
        a->size[a->rank++] = take_size(c);
        if (!take(c, ",")) {
            demand(c, ")");
            return;
        }
    }
}

static bool is_key(slice s, const char *key)
{
    return strlen(key) == s.length && !memcmp(s.start, key, s.length);
}

static void take_header(cursor *c, array *a, bool *fortran_order)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    unsigned seen = 0;
    demand(c, "{");
    while (!take(c, "}")) {
        slice key = take_string(c);
        unsigned which = is_key(key, "descr")           ? DESCR
                         : is_key(key, "fortran_order") ? ORDER
                         : is_key(key, "shape")         ? SHAPE
                                                        : 0;
        if (!which) refuse(c, "its header has a key that .npy does not know");
        if (seen & which) refuse(c, "its header has a key twice");
        seen |= which;
        demand(c, ":");
        if (which == DESCR) take_descr(c, a);
        if (which == ORDER) take_order(c, fortran_order);
        if (which == SHAPE) take_shape(c, a);
        if (!take(c, ",")) {
            demand(c, "}");
            break;
        }
    }
    skip_space(c);
    if (seen != ALL) refuse(c, "its header lacks descr, fortran_order or shape");
    if (c->at != c->end) refuse(c, "its header goes on behind its dictionary");
}

/* Bounds of the header; the data begin at its end. */
static cursor find_header(const mapping *file)
{
    cursor c = {.file = file};
    const size_t fixed = MAGIC_BYTES + VERSION_BYTES;
    if (file->bytes < fixed + 4 || memcmp(file->data, magic, MAGIC_BYTES) != 0) refuse(&c, "is no .npy file");
    const int version = file->data[MAGIC_BYTES];
    if (version < 1 || version > NEWEST_VERSION)
        die(STATUS_INPUT, "%s: has .npy version %d: 1, 2 and 3 are known", file->path, version);
    const int length_bytes = version == 1 ? 2 : 4;
    size_t length = 0;
    for (int i = length_bytes - 1; i >= 0; i--) length = length << 8 | file->data[fixed + (size_t)i];
    if (length > file->bytes - fixed - (size_t)length_bytes)
        die(STATUS_INPUT, "%s: is cut off: its header has %zu bytes, the file %zu", file->path, length,
            file->bytes);
    c.at = (const char *)file->data + fixed + length_bytes;
    c.end = c.at + length;
    return c;
}

void read_npy(bundle *b, tensor_name which, const mapping *file)
{
    array a = {.file = file->path};
    bool fortran_order = false;
    int64_t bytes;
    cursor c = find_header(file);
    const uint8_t *data = (const uint8_t *)c.end;
    const int64_t there = (int64_t)(file->bytes - (size_t)(data - file->data));
    take_header(&c, &a, &fortran_order);
    if (!lay_out(&a, fortran_order, &bytes)) refuse(&c, "its shape is too large");
    if (bytes != there)
        die(STATUS_INPUT, "%s: its shape needs %" PRId64 " bytes of data, the file has %" PRId64 ": %s", file->path,
            bytes, there, there < bytes ? "it is cut off" : "something was written behind it");
    place_data(&a, data, bytes);
    bundle_add(b, which, &a);
}
