/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CANN program in C: Floyd attention and its gradient by the documented sequence, from aclInit to
 * aclFinalize. First the documented sample, all ones with max = sum = 3, whose gradients all exceed fp16:
 * +inf is right there, and says little. Then random data, forward and gradient, held to the reference.
 * The exit status is 0 when everything is right.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "acl/acl.h"
#include "aclnnop/aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"
#include "check.h"

#define CHECK(call)                                                                                                \
    do {                                                                                                           \
        const int status_of_call = (call);                                                                         \
        if (status_of_call != ACL_SUCCESS) return failed(#call, status_of_call);                                   \
    } while (0)

static int failed(const char *call, int status)
{
    const char *message = aclGetRecentErrMsg();
    fprintf(stderr, "%s\n  returned %d: %s\n", call, status, message != NULL ? message : "no message");
    return 1;
}

/* ---- Tensors in device memory -------------------------------------------------------------------- */

typedef struct device_tensor {
    aclTensor *tensor;
    void *data;
    size_t bytes;
} device_tensor;

static int create(device_tensor *t, aclDataType type, const int64_t shape[5])
{
    int64_t count = 1, strides[5];
    for (int a = 4; a >= 0; a--) {
        strides[a] = count;
        count *= shape[a];
    }
    t->bytes = (size_t)count * aclDataTypeSize(type);
    CHECK(aclrtMalloc(&t->data, t->bytes, ACL_MEM_MALLOC_HUGE_FIRST));
    t->tensor = aclCreateTensor(shape, 5, type, strides, 0, ACL_FORMAT_ND, shape, 5, t->data);
    return t->tensor != NULL ? 0 : failed("aclCreateTensor", -1);
}

static int upload(const device_tensor *t, void *host)
{
    CHECK(aclrtMemcpy(t->data, t->bytes, host, t->bytes, ACL_MEMCPY_HOST_TO_DEVICE));
    return 0;
}

static int download(const device_tensor *t, void *host)
{
    CHECK(aclrtMemcpy(host, t->bytes, t->data, t->bytes, ACL_MEMCPY_DEVICE_TO_HOST));
    return 0;
}

static void destroy(device_tensor *t)
{
    (void)aclDestroyTensor(t->tensor);
    (void)aclrtFree(t->data);
}

/* ---- The problem --------------------------------------------------------------------------------- */

enum { Q, K1, V1, K2, V2, DY, MASK, MAX, SUM, Y, DQ, DK1, DV1, DK2, DV2, TENSORS };

typedef struct problem {
    int64_t B, H, N, M, K, D;
    double scale;
    device_tensor device[TENSORS];
    void *host[TENSORS];
} problem;

/* The axes of each tensor by their letters. */
static const char *const SHAPES[TENSORS] = {"BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD", "BHNMD", "B1N1K", "BHNM8",
                                            "BHNM8", "BHNMD", "BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD"};

static int64_t size_of(const problem *p, char letter)
{
    switch (letter) {
    case 'B':
        return p->B;
    case 'H':
        return p->H;
    case 'N':
        return p->N;
    case 'M':
        return p->M;
    case 'K':
        return p->K;
    case 'D':
        return p->D;
    default:
        return letter - '0';
    }
}

static aclDataType type_of(int i)
{
    return i == MASK ? ACL_BOOL : i == MAX || i == SUM ? ACL_FLOAT : ACL_FLOAT16;
}

static int open_problem(problem *p)
{
    for (int i = 0; i < TENSORS; i++) {
        int64_t shape[5];
        for (int a = 0; a < 5; a++) shape[a] = size_of(p, SHAPES[i][a]);
        if (create(&p->device[i], type_of(i), shape) != 0) return 1;
        p->host[i] = calloc(p->device[i].bytes, 1);
        if (p->host[i] == NULL) return failed("calloc", -1);
    }
    return 0;
}

static void close_problem(problem *p)
{
    for (int i = 0; i < TENSORS; i++) {
        destroy(&p->device[i]);
        free(p->host[i]);
    }
}

static int64_t halves(const problem *p, int i)
{
    return (int64_t)(p->device[i].bytes / sizeof(uint16_t));
}

/* ---- The two operators, two phases each ------------------------------------------------------------ */

typedef aclnnStatus (*phase_two)(void *, uint64_t, aclOpExecutor *, aclrtStream);

/* Phase two, the wait, and how long the stream was at it. */
static int run_phase_two(phase_two phase, uint64_t bytes, aclOpExecutor *executor, aclrtStream stream, float *ms)
{
    void *workspace = NULL;
    aclrtEvent begin, end;
    if (bytes > 0) CHECK(aclrtMalloc(&workspace, bytes, ACL_MEM_MALLOC_HUGE_FIRST));
    CHECK(aclrtCreateEvent(&begin));
    CHECK(aclrtCreateEvent(&end));
    CHECK(aclrtRecordEvent(begin, stream));
    CHECK(phase(workspace, bytes, executor, stream));
    CHECK(aclrtRecordEvent(end, stream));
    CHECK(aclrtSynchronizeStream(stream));
    CHECK(aclrtEventElapsedTime(ms, begin, end));
    CHECK(aclrtDestroyEvent(begin));
    CHECK(aclrtDestroyEvent(end));
    if (bytes > 0) CHECK(aclrtFree(workspace));
    return 0;
}

static void print_run(const problem *p, const char *what, double flops_per_product, uint64_t bytes, float ms)
{
    const double flops = flops_per_product * (double)(p->B * p->H * p->N * p->M) * (double)(p->K * p->D);
    printf("  %-9s %.1f ms, %.1f GFLOP/s, workspace %.1f MB\n", what, (double)ms, flops / (double)ms / 1e6,
           (double)bytes / 1e6);
}

static int forward(problem *p, aclrtStream stream)
{
    const device_tensor *t = p->device;
    uint64_t bytes = 0;
    aclOpExecutor *executor = NULL;
    float ms = 0;
    CHECK(aclnnFusedFloydAttentionGetWorkspaceSize(t[Q].tensor, t[K1].tensor, t[V1].tensor, t[K2].tensor,
                                                   t[V2].tensor, t[MASK].tensor, p->scale, t[MAX].tensor,
                                                   t[SUM].tensor, t[Y].tensor, &bytes, &executor));
    if (run_phase_two(aclnnFusedFloydAttention, bytes, executor, stream, &ms) != 0) return 1;
    print_run(p, "forward", 8, bytes, ms);
    return 0;
}

static int gradient(problem *p, aclrtStream stream)
{
    const device_tensor *t = p->device;
    uint64_t bytes = 0;
    aclOpExecutor *executor = NULL;
    float ms = 0;
    CHECK(aclnnFusedFloydAttentionGradGetWorkspaceSize(
        t[Q].tensor, t[K1].tensor, t[V1].tensor, t[K2].tensor, t[V2].tensor, t[DY].tensor, t[MASK].tensor,
        t[MAX].tensor, t[SUM].tensor, t[Y].tensor, p->scale, t[DQ].tensor, t[DK1].tensor, t[DV1].tensor,
        t[DK2].tensor, t[DV2].tensor, &bytes, &executor));
    if (run_phase_two(aclnnFusedFloydAttentionGrad, bytes, executor, stream, &ms) != 0) return 1;
    print_run(p, "gradient", 20, bytes, ms);
    return 0;
}

static int copy(problem *p, int first, int last, int (*direction)(const device_tensor *, void *))
{
    for (int i = first; i <= last; i++) {
        if (direction(&p->device[i], p->host[i]) != 0) return 1;
    }
    return 0;
}

/* ---- The documented sample ------------------------------------------------------------------------- */

static int documented_sample(aclrtStream stream)
{
    problem p = {.B = 1, .H = 1, .N = 256, .M = 256, .K = 256, .D = 128, .scale = 1.0 / sqrt(128.0)};
    printf("documented sample, (B,H,N,M,K,D) = (1,1,256,256,256,128), fp16, all ones, max = sum = 3\n");
    if (open_problem(&p) != 0) return 1;
    for (int i = 0; i < DQ; i++) {
        if (type_of(i) != ACL_FLOAT16) continue;
        for (int64_t j = 0; j < halves(&p, i); j++) ((uint16_t *)p.host[i])[j] = 0x3C00; /* 1.0 */
    }
    for (int64_t j = 0; j < p.N * p.M * 8; j++) ((float *)p.host[MAX])[j] = ((float *)p.host[SUM])[j] = 3.0F;
    if (copy(&p, Q, Y, upload) != 0 || gradient(&p, stream) != 0 || copy(&p, DQ, DV2, download) != 0) return 1;
    int64_t others = 0;
    for (int i = DQ; i <= DV2; i++) {
        for (int64_t j = 0; j < halves(&p, i); j++) others += ((uint16_t *)p.host[i])[j] != 0x7C00; /* +inf */
    }
    printf("  gradients beyond fp16, as +inf: %s\n", others == 0 ? "all" : "NOT ALL");
    close_problem(&p);
    return others == 0 ? 0 : 1;
}

/* ---- Random data ----------------------------------------------------------------------------------- */

static floyd_run run_of(const problem *p)
{
    void *const *h = p->host;
    return (floyd_run){.B = p->B,
                       .H = p->H,
                       .N = p->N,
                       .M = p->M,
                       .K = p->K,
                       .D = p->D,
                       .scale = p->scale,
                       .q = h[Q],
                       .k1 = h[K1],
                       .v1 = h[V1],
                       .k2 = h[K2],
                       .v2 = h[V2],
                       .dy = h[DY],
                       .mask = h[MASK],
                       .max = h[MAX],
                       .sum = h[SUM],
                       .y = h[Y],
                       .dq = h[DQ],
                       .dk1 = h[DK1],
                       .dv1 = h[DV1],
                       .dk2 = h[DK2],
                       .dv2 = h[DV2]};
}

static int random_case(aclrtStream stream)
{
    problem p = {.B = 2, .H = 2, .N = 48, .M = 128, .K = 256, .D = 64, .scale = 1.0 / sqrt(128.0)};
    printf("random data, (B,H,N,M,K,D) = (2,2,48,128,256,64), fp16, a quarter of the pivots masked\n");
    if (open_problem(&p) != 0) return 1;
    for (int i = Q; i <= DY; i++) fill_random(p.host[i], halves(&p, i), (unsigned)i);
    fill_random_mask(p.host[MASK], (int64_t)p.device[MASK].bytes, MASK);
    if (copy(&p, Q, MASK, upload) != 0 || forward(&p, stream) != 0 || gradient(&p, stream) != 0) return 1;
    if (copy(&p, MAX, DV2, download) != 0) return 1;
    const floyd_run run = run_of(&p);
    const int wrong = check_forward(&run) + check_gradient(&run);
    close_problem(&p);
    return wrong;
}

int main(void)
{
    aclrtStream stream;
    CHECK(aclInit(NULL));
    CHECK(aclrtSetDevice(0));
    CHECK(aclrtCreateStream(&stream));
    const int wrong = documented_sample(stream) + random_case(stream);
    CHECK(aclrtDestroyStream(stream));
    CHECK(aclrtResetDevice(0));
    CHECK(aclFinalize());
    return wrong != 0;
}
