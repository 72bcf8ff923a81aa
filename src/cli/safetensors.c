/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading safetensors: eight bytes of header length, a JSON object of that length, and the data. The format
 * wants every byte of the data to belong to exactly one tensor; a file that breaks this is not trusted at all.
 */
#include "bundle.h"
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The limit that the format's own library has. */
#define HEADER_LIMIT 100000000u

enum { LENGTH_BYTES = 8 };

typedef struct region {
    const char *name;
    int64_t begin, end;
} region;

typedef struct reader {
    const mapping *file;
    const uint8_t *data; /* what the offsets count from */
    int64_t data_bytes;
    bundle *into;
    json_t *header;
    region *places;
} reader;

static uint64_t header_length(const mapping *file)
{
    uint64_t length = 0;
    if (file->bytes < LENGTH_BYTES)
        die(STATUS_INPUT, "%s: has only %zu bytes: it is not a safetensors file", file->path, file->bytes);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | file->data[i];
    if (length > HEADER_LIMIT)
        die(STATUS_INPUT, "%s: says that its header has %" PRIu64 " bytes: it is not a safetensors file",
            file->path, length);
    if (length > file->bytes - LENGTH_BYTES)
        die(STATUS_INPUT, "%s: is cut off: its header has %" PRIu64 " bytes, the file %zu", file->path, length,
            file->bytes);
    return length;
}

static json_t *parse_header(const mapping *file, uint64_t length)
{
    json_error_t error;
    json_t *header = json_loadb((const char *)file->data + LENGTH_BYTES, length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        die(STATUS_INPUT, "%s: its header is no valid JSON: %s (byte %d)", file->path, error.text, error.position);
    if (!json_is_object(header)) {
        json_decref(header);
        die(STATUS_INPUT, "%s: its header is no JSON object", file->path);
    }
    return header;
}

/* A whole number of JSON that is not negative. */
static bool whole(const json_t *value, int64_t *number)
{
    *number = json_is_integer(value) ? json_integer_value(value) : -1;
    return *number >= 0;
}

static region region_of(const reader *r, const char *name, const json_t *entry)
{
    region place = {.name = name};
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !whole(json_array_get(offsets, 0), &place.begin) || !whole(json_array_get(offsets, 1), &place.end) ||
        place.begin > place.end)
        die(STATUS_INPUT, "%s: the data_offsets of %s are not two rising whole numbers", r->file->path, name);
    if (place.end > r->data_bytes)
        die(STATUS_INPUT, "%s: %s ends at byte %" PRId64 " of the data, which has %" PRId64 ": the file is cut off",
            r->file->path, name, place.end, r->data_bytes);
    return place;
}

static void read_shape(const reader *r, const char *name, const json_t *shape, array *a)
{
    if (!json_is_array(shape)) die(STATUS_INPUT, "%s: %s has no shape", r->file->path, name);
    size_t rank = json_array_size(shape);
    if (rank > MAX_RANK)
        die(STATUS_INPUT, "%s: %s has %zu axes: no tensor here has more than %d", r->file->path, name, rank,
            MAX_RANK);
    a->rank = (int)rank;
    for (size_t i = 0; i < rank; i++)
        if (!whole(json_array_get(shape, i), &a->size[i]))
            die(STATUS_INPUT, "%s: the shape of %s holds something that is no size", r->file->path, name);
}

static void read_element(const reader *r, const char *name, const json_t *dtype, array *a)
{
    if (!json_is_string(dtype)) die(STATUS_INPUT, "%s: %s has no dtype", r->file->path, name);
    a->element = element_named(json_string_value(dtype), json_string_length(dtype));
    if (!a->element)
        die(STATUS_INPUT, "%s: %s is %s: it must be one of %s", r->file->path, name, json_string_value(dtype),
            element_names());
}

static void read_tensor(const reader *r, tensor_name which, const json_t *entry, const region *place)
{
    array a = {.file = r->file->path};
    int64_t bytes;
    read_element(r, place->name, json_object_get(entry, "dtype"), &a);
    read_shape(r, place->name, json_object_get(entry, "shape"), &a);
    if (!lay_out(&a, false, &bytes)) die(STATUS_INPUT, "%s: the shape of %s is too large", a.file, place->name);
    if (bytes != place->end - place->begin)
        die(STATUS_INPUT, "%s: the shape of %s needs %" PRId64 " bytes, its data_offsets give %" PRId64, a.file,
            place->name, bytes, place->end - place->begin);
    place_data(&a, r->data + place->begin, bytes);
    bundle_add(r->into, which, &a);
}

static void read_metadata(const reader *r, const json_t *metadata)
{
    const json_t *scale = json_object_get(metadata, "scale");
    if (!json_is_object(metadata)) die(STATUS_INPUT, "%s: its __metadata__ is no JSON object", r->file->path);
    if (!scale) return;
    if (!json_is_string(scale))
        die(STATUS_INPUT, "%s: the scale in its __metadata__ is no string: safetensors wants \"0.125\", in quotes",
            r->file->path);
    bundle_add_scale(r->into, r->file->path, json_string_value(scale));
}

static int by_place(const void *left, const void *right)
{
    const region *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

/* Every byte in exactly one tensor: no overlap, no hole, nothing behind the last. */
static void check_cover(const reader *r, size_t count)
{
    region *places = r->places;
    int64_t reached = 0;
    qsort(places, count, sizeof *places, by_place);
    for (size_t i = 0; i < count; i++) {
        if (places[i].begin < reached)
            die(STATUS_INPUT, "%s: %s and %s overlap", r->file->path, places[i - 1].name, places[i].name);
        if (places[i].begin > reached)
            die(STATUS_INPUT, "%s: %" PRId64 " bytes before %s belong to no tensor", r->file->path,
                places[i].begin - reached, places[i].name);
        reached = places[i].end;
    }
    if (reached != r->data_bytes)
        die(STATUS_INPUT,
            "%s: %" PRId64 " bytes behind the last tensor belong to none: the header lies, or the file"
            " was written twice",
            r->file->path, r->data_bytes - reached);
}

/* Every entry of the header has its region afterwards, and every tensor wanted is in the bundle. */
static size_t read_entries(const reader *r)
{
    size_t count = 0;
    tensor_name which;
    const char *name;
    json_t *entry;
    json_object_foreach(r->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            read_metadata(r, entry);
            continue;
        }
        if (!json_is_object(entry)) die(STATUS_INPUT, "%s: %s is no JSON object", r->file->path, name);
        r->places[count] = region_of(r, name, entry);
        if (bundle_wants(name, &which)) read_tensor(r, which, entry, &r->places[count]);
        count++;
    }
    return count;
}

void read_safetensors(bundle *b, const mapping *file)
{
    static reader r; /* static: what it holds stays within reach when a refusal ends the program */
    const uint64_t length = header_length(file);
    r = (reader){.file = file,
                 .data = file->data + LENGTH_BYTES + length,
                 .data_bytes = (int64_t)(file->bytes - LENGTH_BYTES - length),
                 .into = b};
    r.header = parse_header(file, length);
    r.places = allocate(sizeof *r.places * json_object_size(r.header), "the list of tensors");
    check_cover(&r, read_entries(&r));
    free(r.places);
    json_decref(r.header);
    r = (reader){0};
}
