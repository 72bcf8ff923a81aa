/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include "floyd_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const layout layout_contiguous = {{0, 1, 2, 3, 4}, {0}, 0, 0, 0};
const layout layout_permuted = {{0, 2, 3, 1, 4}, {0}, 0, 0, 5};
const layout layout_scattered = {{4, 1, 3, 0, 2}, {3, 1, 2, 0, 5}, 1u << 2 | 1u << 4, 0, 7};
const layout layout_gapped = {{0, 1, 2, 3, 4}, {4, 0, 3, 1, 2}, 0, 0, 3};
const layout layout_repeated = {{0, 1, 2, 3, 4}, {0}, 0, 1u << 0 | 1u << 2, 1};

/* Strides from the innermost axis out; returns how many elements the block spans. */
static int64_t lay_out(floyd_tensor *t, const layout *how, int64_t *start)
{
    int64_t step = 1;
    *start = how->offset;
    for (int i = 4; i >= 0; i--) {
        const int axis = how->order[i];
        const int64_t size = t->size[axis];
        if (how->repeat >> axis & 1) {
            t->stride[axis] = 0;
            continue;
        }
        t->stride[axis] = step + how->gap[axis];
        step = t->stride[axis] * (size > 0 ? size : 1);
        if (how->reverse >> axis & 1) {
            *start += t->stride[axis] * (size > 0 ? size - 1 : 0);
            t->stride[axis] = -t->stride[axis];
        }
    }
    return how->offset + step;
}

tensor tensor_new(floyd_dtype dtype, const int64_t size[5], const layout *how)
{
    tensor t;
    int64_t start;
    memcpy(t.view.size, size, sizeof t.view.size);
    t.view.dtype = dtype;
    t.bytes = (size_t)lay_out(&t.view, how, &start) * floyd_dtype_size(dtype);
    t.block = malloc(t.bytes);
    if (!t.block) abort();
    t.view.data = t.block + (size_t)start * floyd_dtype_size(dtype);
    tensor_poison(&t);
    return t;
}

void tensor_free(tensor *t)
{
    free(t->block);
    memset(t, 0, sizeof *t);
}

void tensor_poison(tensor *t)
{
    memset(t->block, POISON, t->bytes);
}

int64_t tensor_count(const floyd_tensor *t)
{
    return t->size[0] * t->size[1] * t->size[2] * t->size[3] * t->size[4];
}

static unsigned char *element(const floyd_tensor *t, const int64_t index[5])
{
    int64_t at = 0;
    for (int a = 0; a < 5; a++) at += index[a] * t->stride[a];
    return (unsigned char *)t->data + at * (int64_t)floyd_dtype_size(t->dtype);
}

double tensor_get(const floyd_tensor *t, const int64_t index[5])
{
    const unsigned char *from = element(t, index);
    float f32;
    double f64;
    uint16_t half;
    switch (t->dtype) {
    case FLOYD_F32:
        memcpy(&f32, from, sizeof f32);
        return (double)f32;
    case FLOYD_F64:
        memcpy(&f64, from, sizeof f64);
        return f64;
    case FLOYD_U8:
        return *from;
    default:
        memcpy(&half, from, sizeof half);
        return t->dtype == FLOYD_F16 ? floyd_reference_from_f16(half) : floyd_reference_from_bf16(half);
    }
}

uint64_t tensor_bits(const floyd_tensor *t, const int64_t index[5])
{
    const unsigned char *from = element(t, index);
    uint64_t bits = 0;
    for (size_t i = floyd_dtype_size(t->dtype); i > 0; i--) bits = bits << 8 | from[i - 1];
    return bits;
}

void tensor_set(const floyd_tensor *t, const int64_t index[5], double value)
{
    unsigned char *to = element(t, index);
    const float f32 = t->dtype == FLOYD_F32 ? (float)value : 0;
    uint16_t half = 0;
    switch (t->dtype) {
    case FLOYD_F32:
        memcpy(to, &f32, sizeof f32);
        break;
    case FLOYD_F64:
        memcpy(to, &value, sizeof value);
        break;
    case FLOYD_U8:
        *to = (unsigned char)value;
        break;
    default:
        half = t->dtype == FLOYD_F16 ? floyd_reference_to_f16(value) : floyd_reference_to_bf16(value);
        memcpy(to, &half, sizeof half);
    }
}

int tensor_next(const floyd_tensor *t, int64_t index[5])
{
    for (int a = 4; a >= 0; a--) {
        if (++index[a] < t->size[a]) return 1;
        index[a] = 0;
    }
    return 0;
}

double *tensor_values(const floyd_tensor *t)
{
    const int64_t count = tensor_count(t);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    int64_t index[5] = {0};
    if (!values) abort();
    for (int64_t i = 0; i < count; i++, tensor_next(t, index)) values[i] = tensor_get(t, index);
    return values;
}

void tensor_assign(const floyd_tensor *t, const double *values)
{
    const int64_t count = tensor_count(t);
    int64_t index[5] = {0};
    for (int64_t i = 0; i < count; i++, tensor_next(t, index)) tensor_set(t, index, values[i]);
}

unsigned char *tensor_packed(const floyd_tensor *t, size_t *bytes)
{
    const size_t width = floyd_dtype_size(t->dtype), count = (size_t)tensor_count(t);
    unsigned char *packed = malloc(count * width + 1);
    int64_t index[5] = {0};
    if (!packed) abort();
    for (size_t i = 0; i < count; i++, tensor_next(t, index)) memcpy(packed + i * width, element(t, index), width);
    *bytes = count * width;
    return packed;
}

static int all_poison(const unsigned char *bytes, const unsigned char *skip, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(skip && skip[i]) && bytes[i] != POISON) return 0;
    return 1;
}

int tensor_untouched(const tensor *t)
{
    return all_poison(t->block, NULL, t->bytes);
}

int tensor_gaps_untouched(const tensor *t)
{
    const size_t width = floyd_dtype_size(t->view.dtype);
    const int64_t count = tensor_count(&t->view);
    unsigned char *used = calloc(t->bytes + 1, 1);
    int64_t index[5] = {0};
    if (!used) abort();
    for (int64_t i = 0; i < count; i++, tensor_next(&t->view, index))
        memset(used + (element(&t->view, index) - t->block), 1, width);
    const int untouched = all_poison(t->block, used, t->bytes);
    free(used);
    return untouched;
}

/* The finalizer of splitmix64: any two inputs give unrelated outputs. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

double draw_uniform(uint64_t seed, uint64_t index)
{
    return (double)(mix(mix(seed) ^ index) >> 11) * 0x1p-53;
}

/* The normal distribution's quantiles at i/STRATA, the ends at four deviations. */
enum { STRATA = 1024 };
static double quantiles[STRATA + 1];

__attribute__((constructor)) static void find_quantiles(void)
{
    for (int i = 0; i <= STRATA; i++) {
        double low = -4, high = 4;
        while (high - low > 1e-9) {
            const double middle = (low + high) / 2;
            *(erfc(-middle * M_SQRT1_2) / 2 < (double)i / STRATA ? &low : &high) = middle;
        }
        quantiles[i] = low;
    }
}

/* Normal but for straight lines between the quantiles. Some tests do little else than draw: this needs no libm. */
double draw_normal(uint64_t seed, uint64_t index)
{
    const double u = draw_uniform(seed, index) * STRATA;
    const int i = (int)u;
    return quantiles[i] + (u - i) * (quantiles[i + 1] - quantiles[i]);
}

void tensor_fill_normal(const floyd_tensor *t, uint64_t seed, double mean, double deviation)
{
    const int64_t count = tensor_count(t);
    int64_t index[5] = {0};
    for (int64_t i = 0; i < count; i++, tensor_next(t, index))
        tensor_set(t, index, mean + deviation * draw_normal(seed, (uint64_t)i));
}
