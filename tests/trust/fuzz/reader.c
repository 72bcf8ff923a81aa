/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's readers of safetensors and .npy, on one file or two. A file is in memory of exactly its size, so
 * that a byte read beyond it is seen. A refusal ends the command: here it comes back, what the reader held is freed
 * for it, and its message must be one plain line. A file that is taken is all read, and leaves nothing behind.
 */
#include "bundle.h"
#include "report.h"

#include "input.h"

#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

/* ---- memory that can be taken back from a reader that will not return ------------------------------------ */

typedef struct held {
    struct held *next, *previous;
} held;

static held list = {&list, &list};
static bool reading; /* the fuzzer's own calls pass through, and what it writes when a reader has failed */

void *__real_malloc(size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void __wrap_free(void *block);
int __wrap_vasprintf(char **result, const char *format, va_list arguments);

void *__wrap_malloc(size_t bytes)
{
    if (!reading) return __real_malloc(bytes);
    held *h = __real_malloc(sizeof *h + bytes);
    if (!h) return NULL;
    *h = (held){&list, list.previous};
    list.previous->next = h;
    list.previous = h;
    return h + 1;
}

void __wrap_free(void *block)
{
    if (!block || !reading) {
        __real_free(block);
        return;
    }
    held *h = (held *)block - 1;
    h->previous->next = h->next;
    h->next->previous = h->previous;
    __real_free(h);
}

int __wrap_vasprintf(char **result, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    *result = __wrap_malloc((size_t)length + 1);
    vsnprintf(*result, (size_t)length + 1, format, again);
    va_end(again);
    return length;
}

/* ---- the way out ----------------------------------------------------------------------------------------- */

static jmp_buf way_out;
static char message[1 << 16];
static size_t message_bytes;

int __real_fputc(int c, FILE *stream);
int __real_fputs(const char *string, FILE *stream);
size_t __real_fwrite(const void *data, size_t size, size_t count, FILE *stream);
_Noreturn void __real_exit(int status);
int __wrap_fputc(int c, FILE *stream);
int __wrap_fputs(const char *string, FILE *stream);
size_t __wrap_fwrite(const void *data, size_t size, size_t count, FILE *stream);
_Noreturn void __wrap_exit(int status);

int __wrap_fputc(int c, FILE *stream)
{
    if (!reading || stream != stderr) return __real_fputc(c, stream);
    if (message_bytes < sizeof message) message[message_bytes++] = (char)c;
    return c;
}

int __wrap_fputs(const char *string, FILE *stream)
{
    if (!reading || stream != stderr) return __real_fputs(string, stream);
    for (; *string; string++) __wrap_fputc(*string, stream);
    return 0;
}

size_t __wrap_fwrite(const void *data, size_t size, size_t count, FILE *stream)
{
    if (!reading || stream != stderr) return __real_fwrite(data, size, count, stream);
    for (size_t i = 0; i < size * count; i++) __wrap_fputc(((const char *)data)[i], stream);
    return count;
}

_Noreturn void __wrap_exit(int status)
{
    if (!reading) __real_exit(status);
    longjmp(way_out, 256 + status);
}

/* Every refusal of a file is the file's fault, and says so on one line that no name in the file can bend. */
static void must_be_a_refusal(int status)
{
    static const char start[] = "floydattn: ";
    MUST(status == STATUS_INPUT);
    MUST(message_bytes > sizeof start && memcmp(message, start, sizeof start - 1) == 0);
    for (size_t i = 0; i + 1 < message_bytes; i++) {
        const unsigned char c = (unsigned char)message[i], next = (unsigned char)message[i + 1];
        MUST(!iscntrl(c) && !(c == 0xC2 && next >= 0x80 && next < 0xA0));
    }
    MUST(message_bytes < 10000 && message[message_bytes - 1] == '\n');
}

/* ---- a file that was taken ------------------------------------------------------------------------------- */

/* Reads every element, where the strides say that it is. */
static void touch(const array *a)
{
    static volatile unsigned sum;
    (void)sum;
    int64_t i[MAX_RANK] = {0}, at = 0;
    for (int axis = 0; axis < a->rank; axis++)
        if (a->size[axis] == 0) return;
    for (;;) {
        for (size_t byte = 0; byte < a->element->size; byte++)
            sum += ((const uint8_t *)a->data)[(size_t)at * a->element->size + byte];
        int axis = a->rank - 1;
        for (; axis >= 0; axis--) {
            at += a->stride[axis];
            if (++i[axis] < a->size[axis]) break;
            at -= i[axis] * a->stride[axis];
            i[axis] = 0;
        }
        if (axis < 0) return;
    }
}

/* The library's opinion of it, in words about files. */
static void ask_library(const bundle *b)
{
    floyd_tensor t[TENSOR_NAMES];
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes;
    bundle_require(b, 1u << QUERY | 1u << KEY1 | 1u << VALUE1 | 1u << KEY2 | 1u << VALUE2, "it is needed");
    for (int i = 0; i < TENSOR_NAMES; i++)
        if (bundle_has(b, (tensor_name)i)) t[i] = bundle_tensor(b, (tensor_name)i);
    args.q = &t[QUERY], args.k1 = &t[KEY1], args.v1 = &t[VALUE1], args.k2 = &t[KEY2], args.v2 = &t[VALUE2];
    if (bundle_has(b, ATTEN_MASK)) args.mask = &t[ATTEN_MASK];
    const int64_t *s = t[QUERY].size;
    floyd_tensor y = floyd_contiguous(NULL, t[QUERY].dtype, s[0], s[1], s[2], s[3], s[4]);
    args.y = &y;
    const floyd_status status = floyd_forward_workspace(&args, NULL, &bytes);
    if (status == FLOYD_OK) return;
    char *words = bundle_explain(b, floyd_last_message());
    die_of_library(status, words);
}

static mapping take_file(input *in, size_t bytes)
{
    uint8_t *data = malloc(bytes);
    memcpy(data, in->at, bytes);
    in->at += bytes;
    return (mapping){"file", data, bytes};
}

static void read_files(bundle *b, input *in)
{
    const uint8_t kind = in_byte(in);
    const size_t left = (size_t)(in->end - in->at), first = kind & 4 ? left / 2 : left;
    mapping files[2] = {take_file(in, first), take_file(in, left - first)};
    for (int i = 0; i < 2; i++) {
        if (files[i].bytes == 0) continue; /* mapping.c refuses those */
        if (kind >> i & 1)
            read_npy(b, (tensor_name)((kind >> (3 + i)) % TENSOR_NAMES), &files[i]);
        else
            read_safetensors(b, &files[i]);
    }
    for (int i = 0; i < TENSOR_NAMES; i++)
        if (bundle_has(b, (tensor_name)i)) touch(&b->found[i]);
    if (kind & 0x80) ask_library(b);
    free_bundle(b);
    for (int i = 0; i < 2; i++) free((void *)files[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bundle b; /* static: a jump must not find it in a register */
    input in = {data, data + size};
    b = (bundle){0};
    message_bytes = 0;
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    reading = true;
    const int status = setjmp(way_out);
    if (status == 0) {
        read_files(&b, &in);
        MUST(list.next == &list && message_bytes == 0);
    } else {
        must_be_a_refusal(status - 256);
        while (list.next != &list) __wrap_free(list.next + 1);
    }
    reading = false;
    return 0;
}
