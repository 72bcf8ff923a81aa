/* SPDX-License-Identifier: Apache-2.0 */
#include "array.h"

#include "report.h"

#include <string.h>

/*
 * NumPy has no name for bfloat16: ml_dtypes, which everybody uses for it, saves it as two bytes of nothing in
 * particular. It writes "<V2" today and wrote "|V2" once; "<u2" is an integer and not taken for it.
 */
static const element elements[] = {
    {"F16", "<f2", FLOYD_F16, 2}, {"BF16", "|V2", FLOYD_BF16, 2}, {"BF16", "<V2", FLOYD_BF16, 2},
    {"F32", "<f4", FLOYD_F32, 4}, {"F64", "<f8", FLOYD_F64, 8},   {"U8", "|u1", FLOYD_U8, 1},
    {"BOOL", "|b1", FLOYD_U8, 1},
};
enum { ELEMENTS = sizeof elements / sizeof *elements };

static bool equals(const char *known, const char *string, size_t length)
{
    return strlen(known) == length && memcmp(known, string, length) == 0;
}

const element *element_named(const char *name, size_t length)
{
    for (int i = 0; i < ELEMENTS; i++)
        if (equals(elements[i].name, name, length)) return &elements[i];
    return NULL;
}

const element *element_of_descr(const char *descr, size_t length)
{
    for (int i = 0; i < ELEMENTS; i++)
        if (equals(elements[i].descr, descr, length)) return &elements[i];
    return NULL;
}

const element *element_of_dtype(floyd_dtype dtype)
{
    for (int i = 0; i < ELEMENTS; i++)
        if (elements[i].dtype == dtype) return &elements[i];
    return NULL;
}

const char *element_names(void)
{
    return "F16, BF16, F32, F64, and for masks BOOL or U8";
}

bool lay_out(array *a, bool fortran_order, int64_t *bytes)
{
    int64_t step = 1, extent;
    bool empty = false;
    for (int i = 0; i < a->rank; i++) {
        int axis = fortran_order ? i : a->rank - 1 - i;
        a->stride[axis] = step;
        empty |= a->size[axis] == 0;
        if (__builtin_mul_overflow(step, a->size[axis] ? a->size[axis] : 1, &step)) return false;
    }
    if (__builtin_mul_overflow(step, (int64_t)a->element->size, &extent)) return false;
    *bytes = empty ? 0 : extent;
    return true;
}

void place_data(array *a, const uint8_t *data, int64_t bytes)
{
    if ((uintptr_t)data % a->element->size == 0) {
        a->data = (void *)data;
        return;
    }
    a->data = a->copy = allocate((size_t)bytes, "a tensor at an odd address");
    memcpy(a->copy, data, (size_t)bytes);
}
