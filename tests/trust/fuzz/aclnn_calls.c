/* SPDX-License-Identifier: Apache-2.0 */
#include "aclnn_calls.h"

#include "aclnnop/aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"
#include "floydattn.h"

#include <string.h>

enum { N = 16, M = 128, K = 128, D = 32 };

static const int64_t shapes[ARGUMENTS][5] = {{1, 1, N, M, D}, {1, 1, N, K, D}, {1, 1, N, K, D}, {1, 1, K, M, D},
                                             {1, 1, K, M, D}, {1, 1, N, M, D}, {1, 1, N, 1, K}, {1, 1, N, M, 8},
                                             {1, 1, N, M, 8}, {1, 1, N, M, D}, {1, 1, N, M, D}, {1, 1, N, K, D},
                                             {1, 1, N, K, D}, {1, 1, K, M, D}, {1, 1, K, M, D}};

bool takes(bool gradient, argument a)
{
    return gradient || (a <= A_ATTENTION && a != A_DY);
}

static aclDataType type_of(argument a)
{
    return a == A_MASK ? ACL_BOOL : a == A_MAX || a == A_SUM ? ACL_FLOAT : ACL_FLOAT16;
}

static int64_t width_of(aclDataType type)
{
    return type == ACL_FLOAT ? 4 : type == ACL_FLOAT16 || type == ACL_BF16 ? 2 : 1;
}

static int64_t bytes_of(argument a)
{
    int64_t bytes = width_of(type_of(a));
    for (int i = 0; i < 5; i++) bytes *= shapes[a][i];
    return bytes;
}

/* Each argument has a block of its own, exactly as long as it is in a plain call. */
void *memory_of(argument a)
{
    static void *blocks[ARGUMENTS];
    if (!blocks[a]) {
        blocks[a] = malloc((size_t)bytes_of(a));
        memset(blocks[a], a == A_MASK ? 0 : 0x3a, (size_t)bytes_of(a));
    }
    return blocks[a];
}

description describe(argument a)
{
    description d = {
        .argument = a, .axes = 5, .sizes = true, .type = type_of(a), .format = ACL_FORMAT_ND, .data = memory_of(a)};
    memcpy(d.size, shapes[a], sizeof shapes[a]);
    return d;
}

void bend(description *d, input *in)
{
    const uint8_t what = in_byte(in);
    if (what & 1) {
        d->strides = true;
        int64_t step = 1;
        for (int i = 4; i >= 0; i--) {
            d->stride[i] = step;
            step *= d->size[i];
        }
        if (in_byte(in) & 1) d->stride[in_below(in, 32)] = in_number(in);
    }
    if (what & 2) d->size[in_below(in, 6)] = (int64_t)((uint64_t)in_number(in) * (in_byte(in) & 1 ? 16 : 1));
    if (what & 4) d->type = (aclDataType)in_number(in);
    if (what & 8) d->format = (aclFormat)in_number(in);
    if (what & 16) d->offset = in_number(in);
    if (what & 32) d->axes = in_byte(in) & 1 ? in_below(in, 30) : (uint64_t)in_number(in);
    if (what & 64) d->data = in_byte(in) & 1 ? NULL : memory_of((argument)in_below(in, ARGUMENTS));
    if (what & 128) d->sizes = in_byte(in) & 1, d->storage_axes = in_below(in, 30);
}

bool in_memory(const description *d)
{
    __int128 low = d->offset, high = d->offset;
    if (!d->data) return true; /* never read: there is no address */
    if (d->data != memory_of(d->argument) || d->axes > 25 || !d->sizes) return false;
    __int128 step = 1;
    for (int a = (int)d->axes; a-- > 0;) {
        const __int128 stride = d->strides ? d->stride[a] : step;
        if (d->size[a] < 1 || step > INT64_MAX) return false;
        *(stride < 0 ? &low : &high) += (d->size[a] - 1) * stride;
        step *= d->size[a];
    }
    return low >= 0 && (high + 1) * width_of(d->type) <= bytes_of(d->argument);
}

aclTensor *new_tensor(const description *d)
{
    return aclCreateTensor(d->sizes ? d->size : NULL, d->axes, d->type, d->strides ? d->stride : NULL, d->offset,
                           d->format, d->size, d->storage_axes, d->data);
}

aclnnStatus init_tensor(aclTensor *t, const description *d)
{
    return aclInitTensor(t, d->sizes ? d->size : NULL, d->axes, d->type, d->strides ? d->stride : NULL, d->offset,
                         d->format, d->size, d->storage_axes, d->data);
}

/* From operator new[] where there is a C++ runtime, as the fuzzer's own is one. */
extern void _ZdaPv(void *block) __attribute__((weak));
extern const char _ZSt7nothrow[] __attribute__((weak));

void release_array(int64_t *values)
{
    if (_ZdaPv && (const void *)_ZSt7nothrow)
        _ZdaPv(values);
    else
        free(values);
}

aclnnStatus call_phase_one(bool gradient, const aclTensor *const t[ARGUMENTS], uint64_t *bytes,
                           aclOpExecutor **executor)
{
    if (!gradient)
        return aclnnFusedFloydAttentionGetWorkspaceSize(t[A_QUERY], t[A_KEY1], t[A_VALUE1], t[A_KEY2], t[A_VALUE2],
                                                        t[A_MASK], 0.125, t[A_MAX], t[A_SUM], t[A_ATTENTION], bytes,
                                                        executor);
    return aclnnFusedFloydAttentionGradGetWorkspaceSize(
        t[A_QUERY], t[A_KEY1], t[A_VALUE1], t[A_KEY2], t[A_VALUE2], t[A_DY], t[A_MASK], t[A_MAX], t[A_SUM],
        t[A_ATTENTION], 0.125, t[A_DQ], t[A_DK1], t[A_DV1], t[A_DK2], t[A_DV2], bytes, executor);
}

aclnnStatus call_phase_two(bool gradient, void *workspace, uint64_t bytes, aclOpExecutor *executor,
                           aclrtStream stream)
{
    return gradient ? aclnnFusedFloydAttentionGrad(workspace, bytes, executor, stream)
                    : aclnnFusedFloydAttention(workspace, bytes, executor, stream);
}

/* ---- between the surface and the library, by the linker -------------------------------------------------- */

bool computing;

floyd_status __real_floyd_forward(const floyd_forward_args *, const floyd_options *, void *, size_t);
floyd_status __real_floyd_backward(const floyd_backward_args *, const floyd_options *, void *, size_t);
floyd_status __wrap_floyd_forward(const floyd_forward_args *, const floyd_options *, void *, size_t);
floyd_status __wrap_floyd_backward(const floyd_backward_args *, const floyd_options *, void *, size_t);

/* What the surface hands on is a good call: it lacks nothing but the workspace that it was not given here. */
floyd_status __wrap_floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                                  size_t bytes)
{
    const floyd_status status = __real_floyd_forward(args, options, workspace, computing ? bytes : 0);
    MUST(status == (computing ? FLOYD_OK : FLOYD_ERROR_WORKSPACE));
    return FLOYD_OK;
}

floyd_status __wrap_floyd_backward(const floyd_backward_args *args, const floyd_options *options, void *workspace,
                                   size_t bytes)
{
    const floyd_status status = __real_floyd_backward(args, options, workspace, computing ? bytes : 0);
    MUST(status == (computing ? FLOYD_OK : FLOYD_ERROR_WORKSPACE));
    return FLOYD_OK;
}
