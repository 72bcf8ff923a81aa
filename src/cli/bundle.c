/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle.h"

#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name, *argument, *shape; /* argument: its name in floydattn.h */
    int least_rank;
} names[TENSOR_NAMES] = {
    [QUERY] = {"query", "q", "[B,H,N,M,D]", 5},
    [KEY1] = {"key1", "k1", "[B,H,N,K,D]", 5},
    [VALUE1] = {"value1", "v1", "[B,H,N,K,D]", 5},
    [KEY2] = {"key2", "k2", "[B,H,K,M,D]", 5},
    [VALUE2] = {"value2", "v2", "[B,H,K,M,D]", 5},
    [DY] = {"dy", "dy", "[B,H,N,M,D]", 5},
    [ATTEN_MASK] = {"atten_mask", "mask", "[B,H,N,M,K], where any axis may be 1", 5},
    [SOFTMAX_MAX] = {"softmax_max", "max", "[B,H,N,M], or one more axis of copies", 4},
    [SOFTMAX_SUM] = {"softmax_sum", "sum", "[B,H,N,M], or one more axis of copies", 4},
    [ATTENTION_IN] = {"attention_in", "y", "[B,H,N,M,D]", 5},
};

const char *name_of_tensor(tensor_name name)
{
    return names[name].name;
}

bool bundle_wants(const char *name, tensor_name *which)
{
    for (int i = 0; i < TENSOR_NAMES; i++) {
        if (strcmp(names[i].name, name) != 0) continue;
        *which = (tensor_name)i;
        return true;
    }
    return false;
}

bool bundle_has(const bundle *b, tensor_name name)
{
    return b->found[name].element != NULL;
}

void bundle_add(bundle *b, tensor_name which, const array *a)
{
    if (bundle_has(b, which))
        die(STATUS_INPUT, "%s and %s both hold %s: name only one of them", b->found[which].file, a->file,
            names[which].name);
    if (a->rank < names[which].least_rank)
        die(STATUS_INPUT, "%s: %s has %d axes: it must be %s", a->file, names[which].name, a->rank,
            names[which].shape);
    b->found[which] = *a;
}

void bundle_add_scale(bundle *b, const char *path, const char *value)
{
    char *end;
    double scale = strtod(value, &end);
    if (end == value || *end || !isfinite(scale))
        die(STATUS_INPUT, "%s: its metadata gives scale as \"%s\": it must be a number", path, value);
    if (!b->scale_file) {
        b->scale = scale;
        b->scale_file = path;
    } else if (b->scale != scale) {
        b->other_scale = scale;
        b->other_scale_file = path;
    }
}

double bundle_scale(const bundle *b)
{
    if (!b->scale_file) die(STATUS_INPUT, "the input does not say its scale: give --scale, such as --scale 0.125");
    if (b->other_scale_file)
        die(STATUS_INPUT, "%s and %s give different scales, %g and %g: say which is meant with --scale",
            b->scale_file, b->other_scale_file, b->scale, b->other_scale);
    return b->scale;
}

static void read_directory(bundle *b, const char *path)
{
    for (int i = 0; i < TENSOR_NAMES; i++) {
        char *file = text("%s/%s.npy", path, names[i].name);
        struct stat info;
        if (stat(file, &info) != 0) {
            if (errno != ENOENT) die(STATUS_INPUT, "%s: cannot be read: %s", file, strerror(errno));
            free(file);
            continue;
        }
        mapping m = map_file(file);
        read_npy(b, (tensor_name)i, &m);
    }
}

void bundle_read(bundle *b, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        read_directory(b, path);
        return;
    }
    mapping m = map_file(path);
    read_safetensors(b, &m);
}

void free_bundle(bundle *b)
{
    for (int i = 0; i < TENSOR_NAMES; i++) free(b->found[i].copy);
}

void bundle_require(const bundle *b, unsigned required, const char *advice)
{
    char *missing = NULL;
    for (int i = 0; i < TENSOR_NAMES; i++) {
        if (!(required >> i & 1) || bundle_has(b, (tensor_name)i)) continue;
        char *longer = text("%s%s%s", missing ? missing : "", missing ? ", " : "", names[i].name);
        free(missing);
        missing = longer;
    }
    if (missing) die(STATUS_INPUT, "the input lacks %s: %s", missing, advice);
}

/* The tensor that the first `length` characters of `word` name as an argument; TENSOR_NAMES if they name none. */
static int tensor_of_argument(const char *word, size_t length)
{
    int i = 0;
    while (i < TENSOR_NAMES &&
           (strlen(names[i].argument) != length || memcmp(names[i].argument, word, length) != 0))
        i++;
    return i;
}

static size_t word_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '_') length++;
    return length;
}

char *bundle_explain(const bundle *b, const char *message)
{
    const int subject = tensor_of_argument(message, word_length(message));
    const char *file =
        subject < TENSOR_NAMES && bundle_has(b, (tensor_name)subject) ? b->found[subject].file : NULL;
    char *result = text("%s%s", file ? file : "", file ? ": " : "");
    while (*message) {
        const size_t word = word_length(message), length = word ? word : 1;
        const int named = tensor_of_argument(message, length);
        char *longer = named < TENSOR_NAMES ? text("%s%s", result, names[named].name)
                                            : text("%s%.*s", result, (int)length, message);
        free(result);
        result = longer;
        message += length;
    }
    return result;
}

floyd_tensor bundle_tensor(const bundle *b, tensor_name name)
{
    const array *a = &b->found[name];
    floyd_tensor t = {.data = a->data, .dtype = a->element->dtype};
    for (int i = 0; i < MAX_RANK; i++) {
        t.size[i] = i < a->rank ? a->size[i] : 1;
        t.stride[i] = i < a->rank ? a->stride[i] : 1;
    }
    return t;
}
