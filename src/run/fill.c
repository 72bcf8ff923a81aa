/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of a problem with nothing to sum. */
#include <float.h>
#include <string.h>

#include "problem/tensor.h"
#include "run.h"

/* The bytes of value; 0 is all zeros in every type, and only accumulator types hold anything else here. */
static void bytes_of(double value, floyd_dtype dtype, unsigned char bytes[8])
{
    const float narrow = (float)value;
    memset(bytes, 0, 8);
    if (dtype == FLOYD_F64)
        memcpy(bytes, &value, sizeof value);
    else if (dtype == FLOYD_F32)
        memcpy(bytes, &narrow, sizeof narrow);
}

/* Calls visit for each row along the last axis. */
static void for_rows(const floyd_tensor *t, void (*visit)(const floyd_tensor *t, char *row, const void *user),
                     const void *user)
{
    const int64_t size = (int64_t)floyd_dtype_size(t->dtype);
    if (floyd_tensor_empty(t)) return;
    for (int64_t a = 0; a < t->size[0]; a++)
        for (int64_t b = 0; b < t->size[1]; b++)
            for (int64_t c = 0; c < t->size[2]; c++)
                for (int64_t d = 0; d < t->size[3]; d++) {
                    const int64_t index = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
                    visit(t, (char *)t->data + index * size, user);
                }
}

static void fill_row(const floyd_tensor *t, char *row, const void *user)
{
    static const unsigned char zeros[8];
    const size_t size = floyd_dtype_size(t->dtype);
    if (t->stride[4] == 1 && memcmp(user, zeros, sizeof zeros) == 0) {
        memset(row, 0, (size_t)t->size[4] * size);
        return;
    }
    for (int64_t e = 0; e < t->size[4]; e++) memcpy(row + e * t->stride[4] * (int64_t)size, user, size);
}

void floyd_run_fill_tensor(const floyd_tensor *t, double value)
{
    unsigned char bytes[8];
    bytes_of(value, t->dtype, bytes);
    for_rows(t, fill_row, bytes);
}

/* By their bits: the caller's environment may take denormal numbers for 0. */
static void settle_f32(const floyd_tensor *t, char *row, const void *user)
{
    const int64_t step = t->stride[4] * (int64_t)sizeof(uint32_t);
    (void)user;
    for (int64_t e = 0; e < t->size[4]; e++) {
        uint32_t bits;
        memcpy(&bits, row + e * step, sizeof bits);
        if (bits << 1 != 0 && bits << 1 <= (uint32_t)0xFF << 24) continue;
        bits = bits << 1 == 0 ? 0 : 0x7FC00000;
        memcpy(row + e * step, &bits, sizeof bits);
    }
}

static void settle_f64(const floyd_tensor *t, char *row, const void *user)
{
    const int64_t step = t->stride[4] * (int64_t)sizeof(uint64_t);
    (void)user;
    for (int64_t e = 0; e < t->size[4]; e++) {
        uint64_t bits;
        memcpy(&bits, row + e * step, sizeof bits);
        if (bits << 1 != 0 && bits << 1 <= (uint64_t)0x7FF << 53) continue;
        bits = bits << 1 == 0 ? 0 : (uint64_t)0x7FF8 << 48;
        memcpy(row + e * step, &bits, sizeof bits);
    }
}

void floyd_run_settle_tensor(const floyd_tensor *t)
{
    for_rows(t, t->dtype == FLOYD_F64 ? settle_f64 : settle_f32, NULL);
}

void floyd_run_fill(const floyd_problem *p)
{
    if (p->continued) return;
    const floyd_role first = p->backward ? FLOYD_ROLE_DQ : FLOYD_ROLE_Y;
    const floyd_role last = p->backward ? FLOYD_ROLE_DV2 : FLOYD_ROLE_SUM;
    for (floyd_role role = first; role <= last; role++)
        if (p->has[role]) floyd_run_fill_tensor(&p->tensor[role], role == FLOYD_ROLE_MAX ? -FLT_MAX : 0);
    if (p->has[FLOYD_ROLE_DBIAS]) floyd_run_fill_tensor(&p->tensor[FLOYD_ROLE_DBIAS], 0);
}
