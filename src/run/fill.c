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

void floyd_run_fill_tensor(const floyd_tensor *t, double value)
{
    const size_t size = floyd_dtype_size(t->dtype);
    unsigned char bytes[8];
    if (floyd_tensor_empty(t)) return;
    bytes_of(value, t->dtype, bytes);
    for (int64_t a = 0; a < t->size[0]; a++)
        for (int64_t b = 0; b < t->size[1]; b++)
            for (int64_t c = 0; c < t->size[2]; c++)
                for (int64_t d = 0; d < t->size[3]; d++) {
                    const int64_t index = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
                    char *row = (char *)t->data + index * (int64_t)size;
                    if (value == 0 && t->stride[4] == 1) {
                        memset(row, 0, (size_t)t->size[4] * size);
                        continue;
                    }
                    for (int64_t e = 0; e < t->size[4]; e++)
                        memcpy(row + e * t->stride[4] * (int64_t)size, bytes, size);
                }
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
