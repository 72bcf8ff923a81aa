/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An executor: one call of an operator, checked, with all that its tensors said. What callers hold is not
 * its address but a number that is given out once, and looked up; so a used or destroyed executor is
 * recognised without reading freed memory.
 */
#ifndef FLOYD_ACLNN_EXECUTOR_H
#define FLOYD_ACLNN_EXECUTOR_H

#include "aclnn/layout.h"
#include "aclnn/operator.h"

typedef struct aclnn_slot {
    bool present;
    void *data;         /* of the storage; NULL until set */
    floyd_tensor view;  /* its data is set for the native call alone */
    aclnn_layout place; /* where the view lies, from data */
} aclnn_slot;

typedef struct aclnn_executor {
    const aclnn_operator *op;
    aclnn_slot slots[ACLNN_MAX_ARGUMENTS];
    double scale;
    int threads;
    size_t workspace_bytes; /* what phase one returned */
    bool repeatable;
    bool running; /* a thread is putting it on a stream */
    /* Of a piece of work on a stream: */
    void *workspace;
    size_t workspace_given;
    /* The registry's: */
    uintptr_t number;
    struct aclnn_executor *next;
} aclnn_executor;

/* Puts an executor from malloc into the registry, which then owns it, and returns what callers hold. */
aclOpExecutor *aclnn_executor_publish(aclnn_executor *executor);

/* Copies what an executor of this operator holds. ACLNN_SUCCESS; 161002: unknown, used, or of another operator. */
aclnnStatus aclnn_executor_read(const aclnn_operator *op, aclOpExecutor *handle, aclnn_executor *copy);

/*
 * Makes a job, to be freed, of an executor as it was read and changed; until aclnn_executor_end no other thread
 * can, unless it is repeatable. ACLNN_SUCCESS; 161002: used or destroyed meanwhile; 561101: no memory.
 */
aclnnStatus aclnn_executor_begin(const aclnn_executor *checked, aclnn_executor **job);

/* After aclnn_executor_begin: the job runs, which uses the executor up, or it was refused and the executor stays.
 */
void aclnn_executor_end(const aclnn_executor *checked, bool runs);

/* Fills the arguments of a native call with the views that are present; each is at its argument's offset. */
void aclnn_executor_bind(const aclnn_executor *executor, void *native_args);
floyd_options aclnn_executor_options(const aclnn_executor *executor);

#endif
