/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of an operator of the aclnn surface, as a test sees it: a problem with its memory, and what the
 * library is told about each argument. A test opens a call that is right in everything, changes what it
 * is about, and runs the phases.
 */
#ifndef FLOYD_TEST_ACLNN_SUPPORT_H
#define FLOYD_TEST_ACLNN_SUPPORT_H

#include "cmocka_all.h"

#include <stdbool.h>

#include "acl/acl.h"
#include "aclnn/acl_meta.h"
#include "aclnn/floyd_status.h"
#include "check.h"

enum { MAX_ARGUMENTS = 15, MAX_AXES = 8 };

struct call;

typedef struct operator_case {
    const char *name;
    int inputs, count, mask;
    const char *const *names;
    const char *const *shapes; /* one letter an axis, as in the specification */
    const enum role *roles;
    aclnnStatus (*prepare)(struct call *call, aclTensor *const *tensors);
    aclnnStatus (*launch)(void *, uint64_t, aclOpExecutor *, aclrtStream);
} operator_case;

extern const operator_case FORWARD, GRADIENT;
extern const operator_case *const OPERATORS[2];

/* What an aclTensor is made from. */
typedef struct operand {
    bool absent;
    aclDataType type;
    aclFormat format;
    int axes;
    int64_t size[MAX_AXES], stride[MAX_AXES], offset;
    void *data;
} operand;

typedef struct call {
    const operator_case *op;
    problem p;
    operand operands[MAX_ARGUMENTS];
    /* Where phase one writes; NULL to see what it says about that. */
    uint64_t *size_out;
    aclOpExecutor **executor_out;
    uint64_t workspace_bytes;
    aclOpExecutor *executor;
    void *workspace;
} call;

/* The smallest sizes that the operators take, in fp16; and a batch of heads in which no two of N, M, K, D are
 * equal. */
spec smallest(void);
spec varied(void);

/*
 * A call of this spec, with [B,H,N,M,8] statistics. The gradient's max, sum and Y are the reference's, and
 * seven of each eight are NaN: one is read.
 */
void call_open(call *c, const operator_case *op, const spec *s);
/* The same, where no result is looked at: the gradient's max, sum and Y are as poisoned as its outputs. */
void call_open_unfilled(call *c, const operator_case *op, const spec *s);
void call_close(call *c);

tensor *call_tensor(call *c, int argument);
int call_argument(const call *c, const char *name);
/* Sets what the library is told about an argument to what its memory is; for all, after memory was replaced. */
void call_describe(call *c, int argument);

/* Phase one on tensors made from the operands; the tensors are gone before it returns. */
aclnnStatus call_phase_one(call *c);
/* Phase two with a workspace of the right size, at an odd address. The result is not there yet. */
aclnnStatus call_phase_two(call *c, aclrtStream stream);
/* Both phases on the default stream and the wait, all of which must succeed. */
void call_run(call *c);
/* The outputs agree with the reference, and nothing between their elements was written. */
void call_check(call *c);
/* No byte of any output was written. */
void call_untouched(call *c);
/* Phase one refuses with this status and a message with these words about this argument, and answers nothing. */
void call_refused(call *c, aclnnStatus status, const char *name, const char *word);
/* Phase one succeeds. The executor is destroyed. */
void call_accepted(call *c);
/* Whatever phase one said, it has written nothing. */
void call_close_untouched(call *c);
void expect_same_outputs(const call *a, const call *b);

aclTensor *operand_tensor(const operand *o);

/*
 * free(), for programs in C. In a test a sanitizer may bring a C++ runtime, and another checks that what came from
 * new[] goes to delete[]; without both, the library's malloc() is the only maker.
 */
void release_array(int64_t *values);

/* The newest message is there and holds all of these words; the last is NULL. It is then gone. */
void expect_message(const char *word, ...);

/* Group fixture: the runtime, with device 0 on this thread. */
int runtime_start(void **state);
int runtime_stop(void **state);

#endif
