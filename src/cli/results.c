/* SPDX-License-Identifier: Apache-2.0 */
#include "results.h"

#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LENGTH_BYTES = 8, SAFETENSORS_ALIGNMENT = 8, NPY_PREFIX = 10, NPY_ALIGNMENT = 64 };

typedef struct header {
    char *data;
    size_t bytes;
} header;

static bool ends_with(const char *string, const char *end)
{
    size_t a = strlen(string), b = strlen(end);
    return a >= b && strcmp(string + a - b, end) == 0;
}

bool output_is_directory(const char *path, bool input_is_directory)
{
    struct stat info;
    if (ends_with(path, "/")) return true;
    if (output_is_there(path, &info)) return S_ISDIR(info.st_mode);
    return input_is_directory && !ends_with(path, ".safetensors");
}

/* Largest elements first: without holes between them, every tensor is then aligned. */
static result *insert_result(results *r, size_t element_size)
{
    int at = r->count++;
    for (; at > 0 && r->item[at - 1].array.element->size < element_size; at--) r->item[at] = r->item[at - 1];
    return &r->item[at];
}

floyd_tensor add_result(results *r, const char *name, floyd_dtype dtype, int rank, const int64_t *size)
{
    array a = {.element = element_of_dtype(dtype), .rank = rank};
    int64_t bytes;
    memcpy(a.size, size, (size_t)rank * sizeof *size);
    if (!lay_out(&a, false, &bytes)) die(STATUS_INPUT, "%s would be too large for any machine", name);
    a.data = allocate((size_t)bytes, name);
    *insert_result(r, a.element->size) = (result){name, a, (size_t)bytes};
    return floyd_contiguous(a.data, dtype, size[0], size[1], size[2], size[3], rank == 5 ? size[4] : 1);
}

/* Both formats end their header with spaces, up to an aligned beginning of the data. */
static header padded(size_t prefix, const char *body, size_t extra, size_t alignment)
{
    const size_t length = strlen(body), unpadded = prefix + length + extra;
    header h = {.bytes = (unpadded + alignment - 1) / alignment * alignment};
    h.data = allocate(h.bytes, "a header");
    memset(h.data, ' ', h.bytes);
    memcpy(h.data + prefix, body, length);
    return h;
}

static void put_little_endian(char *at, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++) at[i] = (char)(value >> 8 * i & 0xff);
}

static json_t *sizes_as_json(const array *a)
{
    json_t *list = json_array();
    for (int i = 0; i < a->rank; i++) json_array_append_new(list, json_integer(a->size[i]));
    return list;
}

static header safetensors_header(const results *r)
{
    char *scale = text("%.17g", r->scale);
    json_t *object = json_pack("{s:{s:s}}", "__metadata__", "scale", scale);
    json_int_t begin = 0;
    for (int i = 0; i < r->count; i++) {
        const result *item = &r->item[i];
        const json_int_t end = begin + (json_int_t)item->bytes;
        json_object_set_new(object, item->name,
                            json_pack("{s:s,s:o,s:[I,I]}", "dtype", item->array.element->name, "shape",
                                      sizes_as_json(&item->array), "data_offsets", begin, end));
        begin = end;
    }
    char *body = json_dumps(object, JSON_COMPACT);
    if (!body) die(STATUS_SYSTEM, "no memory for a header");
    header h = padded(LENGTH_BYTES, body, 0, SAFETENSORS_ALIGNMENT);
    put_little_endian(h.data, LENGTH_BYTES, h.bytes - LENGTH_BYTES);
    json_decref(object);
    free(body);
    free(scale);
    return h;
}

static header npy_header(const array *a)
{
    char *sizes = text("%s", "");
    for (int i = 0; i < a->rank; i++) {
        char *longer = text("%s%" PRId64 ", ", sizes, a->size[i]);
        free(sizes);
        sizes = longer;
    }
    char *body = text("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", a->element->descr, sizes);
    header h = padded(NPY_PREFIX, body, 1, NPY_ALIGNMENT);
    memcpy(h.data, "\x93NUMPY\x01\x00", NPY_PREFIX - 2);
    put_little_endian(h.data + NPY_PREFIX - 2, 2, h.bytes - NPY_PREFIX);
    h.data[h.bytes - 1] = '\n';
    free(sizes);
    free(body);
    return h;
}

static output open_with_header(const char *path, header h, size_t data_bytes)
{
    output o = open_output(path, (int64_t)(h.bytes + data_bytes));
    write_output(&o, h.data, h.bytes);
    free(h.data);
    return o;
}

static size_t total_bytes(const results *r)
{
    size_t bytes = 0;
    for (int i = 0; i < r->count; i++) bytes += r->item[i].bytes;
    return bytes;
}

void open_results(results *r)
{
    if (!r->directory) {
        r->file[0] = open_with_header(r->path, safetensors_header(r), total_bytes(r));
        return;
    }
    r->made = make_directory(r->path);
    for (int i = 0; i < r->count; i++) {
        char *path = text("%s%s%s.npy", r->path, ends_with(r->path, "/") ? "" : "/", r->item[i].name);
        r->file[i] = open_with_header(path, npy_header(&r->item[i].array), r->item[i].bytes);
        free(path);
    }
}

void write_results(results *r)
{
    const int files = r->directory ? r->count : 1;
    for (int i = 0; i < r->count; i++) {
        write_output(&r->file[r->directory ? i : 0], r->item[i].array.data, r->item[i].bytes);
        free(r->item[i].array.data);
    }
    for (int i = 0; i < files; i++) sync_output(&r->file[i]);
    stop_if_interrupted();
    hold_interrupts(); /* to the end: files of one result are put in place together, and then it is there */
    for (int i = 0; i < files; i++)
        publish_output(&r->file[i], i == 0 ? "nothing was kept" : "it and the files behind it are as they were");
    if (r->made) publish_directory(r->made, r->path);
    for (int i = 0; i < files; i++) {
        keep(r->file[i].entry);
        free_output(&r->file[i]);
    }
}
