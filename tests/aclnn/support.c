/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aclnnop/aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"

/* ---- The operators ----------------------------------------------------------------------------- */

static const char *const FORWARD_NAMES[] = {"query",         "key1",          "value1",
                                            "key2",          "value2",        "attenMaskOptional",
                                            "softmaxMaxOut", "softmaxSumOut", "attentionOutOut"};
static const char *const FORWARD_SHAPES[] = {"BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD",
                                             "B1N1K", "BHNM8", "BHNM8", "BHNMD"};
static const enum role FORWARD_ROLES[] = {T_Q, T_K1, T_V1, T_K2, T_V2, T_MASK, T_MAX, T_SUM, T_Y};

static const char *const GRADIENT_NAMES[] = {
    "query",       "key1",  "value1", "key2",   "value2", "dy",    "attenMaskOptional", "softmaxMax", "softmaxSum",
    "attentionIn", "dqOut", "dk1Out", "dv1Out", "dk2Out", "dv2Out"};
static const char *const GRADIENT_SHAPES[] = {"BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD",
                                              "BHNMD", "B1N1K", "BHNM8", "BHNM8", "BHNMD",
                                              "BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD"};
static const enum role GRADIENT_ROLES[] = {T_Q,   T_K1, T_V1, T_K2,  T_V2,  T_DY,  T_MASK, T_MAX,
                                           T_SUM, T_Y,  T_DQ, T_DK1, T_DV1, T_DK2, T_DV2};

static aclnnStatus prepare_forward(call *c, aclTensor *const *t)
{
    return aclnnFusedFloydAttentionGetWorkspaceSize(t[0], t[1], t[2], t[3], t[4], t[5], c->p.s.scale, t[6], t[7],
                                                    t[8], c->size_out, c->executor_out);
}

static aclnnStatus prepare_gradient(call *c, aclTensor *const *t)
{
    return aclnnFusedFloydAttentionGradGetWorkspaceSize(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9],
                                                        c->p.s.scale, t[10], t[11], t[12], t[13], t[14],
                                                        c->size_out, c->executor_out);
}

const operator_case FORWARD = {
    "aclnnFusedFloydAttention", 6, 9, 5, FORWARD_NAMES, FORWARD_SHAPES, FORWARD_ROLES, prepare_forward,
    aclnnFusedFloydAttention};
const operator_case GRADIENT = {
    "aclnnFusedFloydAttentionGrad", 10, 15, 6, GRADIENT_NAMES, GRADIENT_SHAPES, GRADIENT_ROLES, prepare_gradient,
    aclnnFusedFloydAttentionGrad};
const operator_case *const OPERATORS[2] = {&FORWARD, &GRADIENT};

/* ---- Calls ------------------------------------------------------------------------------------- */

spec smallest(void)
{
    spec s = spec_of(1, 1, 16, 128, 128, 32);
    s.dtype = FLOYD_F16;
    s.mask = MASK_ROWS;
    return s;
}

spec varied(void)
{
    spec s = spec_of(2, 2, 16, 128, 256, 32);
    s.dtype = FLOYD_F16;
    s.mask = MASK_ROWS;
    return s;
}

tensor *call_tensor(call *c, int argument)
{
    return &c->p.t[c->op->roles[argument]];
}

int call_argument(const call *c, const char *name)
{
    int i = 0;
    while (strcmp(c->op->names[i], name) != 0) i++;
    return i;
}

void call_describe(call *c, int argument)
{
    static const aclDataType TYPES[] = {ACL_FLOAT, ACL_DOUBLE, ACL_FLOAT16, ACL_BF16, ACL_UINT8};
    const tensor *t = call_tensor(c, argument);
    operand *o = &c->operands[argument];
    memset(o, 0, sizeof *o);
    o->absent = t->block == NULL;
    if (o->absent) return;
    o->type = TYPES[t->view.dtype];
    o->format = ACL_FORMAT_ND;
    o->axes = 5;
    memcpy(o->size, t->view.size, sizeof t->view.size);
    memcpy(o->stride, t->view.stride, sizeof t->view.stride);
    o->offset = ((unsigned char *)t->view.data - t->block) / (int64_t)floyd_dtype_size(t->view.dtype);
    o->data = t->block;
}

/* What a forward would hand to the gradient, and what nobody should read. */
static void fill_statistics(problem *p)
{
    store_reference_forward(p);
    for (enum role r = T_MAX; r <= T_SUM; r++) {
        int64_t index[5] = {0};
        for (int64_t i = tensor_count(&p->t[r].view); i-- > 0; tensor_next(&p->t[r].view, index)) {
            if (index[4] > 0) tensor_set(&p->t[r].view, index, NAN);
        }
    }
}

void call_open_unfilled(call *c, const operator_case *op, const spec *s)
{
    spec eight = *s;
    eight.R = 8;
    memset(c, 0, sizeof *c);
    c->op = op;
    c->p = problem_new(&eight);
    c->size_out = &c->workspace_bytes;
    c->executor_out = &c->executor;
    for (int i = 0; i < op->count; i++) call_describe(c, i);
}

void call_open(call *c, const operator_case *op, const spec *s)
{
    call_open_unfilled(c, op, s);
    if (op == &GRADIENT) fill_statistics(&c->p);
}

void call_close(call *c)
{
    problem_free(&c->p);
    free(c->workspace);
}

aclTensor *operand_tensor(const operand *o)
{
    if (o->absent) return NULL;
    return aclCreateTensor(o->size, (uint64_t)o->axes, o->type, o->stride, o->offset, o->format, o->size,
                           (uint64_t)o->axes, o->data);
}

aclnnStatus call_phase_one(call *c)
{
    aclTensor *tensors[MAX_ARGUMENTS];
    for (int i = 0; i < c->op->count; i++) tensors[i] = operand_tensor(&c->operands[i]);
    const aclnnStatus status = c->op->prepare(c, tensors);
    for (int i = 0; i < c->op->count; i++) (void)aclDestroyTensor(tensors[i]);
    return status;
}

aclnnStatus call_phase_two(call *c, aclrtStream stream)
{
    if (c->workspace == NULL) c->workspace = malloc(c->workspace_bytes + 1);
    return c->op->launch((char *)c->workspace + 1, c->workspace_bytes, c->executor, stream);
}

void call_run(call *c)
{
    assert_int_equal(call_phase_one(c), ACLNN_SUCCESS);
    assert_int_equal(call_phase_two(c, NULL), ACLNN_SUCCESS);
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
}

void call_check(call *c)
{
    for (int i = c->op->inputs; i < c->op->count; i++) assert_true(tensor_gaps_untouched(call_tensor(c, i)));
    if (c->op == &FORWARD) {
        check_forward(&c->p);
    } else {
        check_backward(&c->p);
    }
}

void call_untouched(call *c)
{
    for (int i = c->op->inputs; i < c->op->count; i++) assert_true(tensor_untouched(call_tensor(c, i)));
}

#define STALE_SIZE 12345u
#define STALE_EXECUTOR ((aclOpExecutor *)&OPERATORS)

void call_refused(call *c, aclnnStatus status, const char *name, const char *word)
{
    c->workspace_bytes = STALE_SIZE;
    c->executor = STALE_EXECUTOR;
    assert_int_equal(call_phase_one(c), status);
    char named[64];
    (void)snprintf(named, sizeof named, "GetWorkspaceSize: %s ", name);
    expect_message(c->op->name, named, word, "needs", NULL);
    assert_int_equal(c->workspace_bytes, STALE_SIZE);
    assert_ptr_equal(c->executor, STALE_EXECUTOR);
}

void call_accepted(call *c)
{
    c->workspace_bytes = STALE_SIZE;
    assert_int_equal(call_phase_one(c), ACLNN_SUCCESS);
    assert_int_equal(aclDestroyAclOpExecutor(c->executor), ACLNN_SUCCESS);
}

void call_close_untouched(call *c)
{
    call_untouched(c);
    call_close(c);
}

void expect_same_outputs(const call *a, const call *b)
{
    expect_same_bits(&a->p, &b->p, a->op == &FORWARD ? FORWARD_OUTPUTS : GRADIENTS, a->op->name);
}

extern void _ZdaPv(void *block) __attribute__((weak));
extern const char _ZSt7nothrow[] __attribute__((weak));

void release_array(int64_t *values)
{
    if (_ZdaPv != NULL && (const void *)_ZSt7nothrow != NULL) {
        _ZdaPv(values);
    } else {
        free(values);
    }
}

void expect_message(const char *word, ...)
{
    const char *message = aclGetRecentErrMsg();
    assert_non_null(message);
    va_list words;
    va_start(words, word);
    for (; word != NULL; word = va_arg(words, const char *)) {
        if (strstr(message, word) == NULL) fail_msg("\"%s\" is not in: %s", word, message);
    }
    va_end(words);
    assert_null(aclGetRecentErrMsg());
}

int runtime_start(void **state)
{
    (void)state;
    return aclInit(NULL) != ACL_SUCCESS || aclrtSetDevice(0) != ACL_SUCCESS;
}

int runtime_stop(void **state)
{
    (void)state;
    return aclrtResetDevice(0) != ACL_SUCCESS || aclFinalize() != ACL_SUCCESS;
}
