/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of executors, and what callers may do with one between the phases. */
#include "aclnn/executor.h"

#include <pthread.h>
#include <stdlib.h>

#include "acl/stream.h"
#include "aclnn/floyd_status.h"

#define BUCKETS 256u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static aclnn_executor *buckets[BUCKETS];
static uintptr_t last_number;

/* A child of fork has the executors of its parent, and must not find the lock held by a thread it lacks. */
static void acquire(void)
{
    (void)pthread_mutex_lock(&lock);
}
static void release(void)
{
    (void)pthread_mutex_unlock(&lock);
}
__attribute__((constructor)) static void survive_fork(void)
{
    (void)pthread_atfork(acquire, release, release);
}

/*
 * Numbers rise, so one comes back only after all others. The top byte keeps them apart from addresses of
 * user space, and the four low bits are clear as in an aligned pointer.
 */
static const uintptr_t NUMBER_TOP = (uintptr_t)0xF1 << (sizeof(uintptr_t) * 8 - 8);

static aclOpExecutor *handle_of(uintptr_t number)
{
    return (aclOpExecutor *)(NUMBER_TOP | ((number << 4) & ~((uintptr_t)0xFF << (sizeof(uintptr_t) * 8 - 8))));
}

static aclnn_executor **bucket_of(const aclOpExecutor *handle)
{
    return &buckets[((uintptr_t)handle >> 4) % BUCKETS];
}

static void insert(aclnn_executor *executor)
{
    aclnn_executor **head = bucket_of(handle_of(executor->number));
    executor->next = *head;
    *head = executor;
}

/* The link that points to the executor, or NULL. With the lock held, as all below that are static. */
static aclnn_executor **find(const aclOpExecutor *handle)
{
    for (aclnn_executor **link = bucket_of(handle); *link != NULL; link = &(*link)->next) {
        if (handle_of((*link)->number) == handle) return link;
    }
    return NULL;
}

aclOpExecutor *aclnn_executor_publish(aclnn_executor *executor)
{
    acquire();
    executor->number = ++last_number;
    insert(executor);
    aclOpExecutor *handle = handle_of(executor->number);
    release();
    return handle;
}

static aclnnStatus report_unknown(const char *function)
{
    return acl_report(ACLNN_ERR_PARAM_INVALID,
                      "%s: executor is unknown, used or destroyed, needs one from phase one that was not run yet",
                      function);
}

aclnnStatus aclnn_executor_read(const aclnn_operator *op, aclOpExecutor *handle, aclnn_executor *copy)
{
    acquire();
    aclnn_executor **link = find(handle);
    const bool known = link != NULL && (*link)->op == op;
    if (known) *copy = **link;
    release();
    return known ? ACLNN_SUCCESS : report_unknown(op->name);
}

aclnnStatus aclnn_executor_begin(const aclnn_executor *checked, aclnn_executor **job)
{
    aclnn_executor *copy = malloc(sizeof *copy);
    acquire();
    aclnn_executor **link = find(handle_of(checked->number));
    const bool free_to_run = link != NULL && !(*link)->running;
    if (free_to_run && copy != NULL) (*link)->running = !(*link)->repeatable;
    release();
    if (free_to_run && copy != NULL) {
        *copy = *checked;
        *job = copy;
        return ACLNN_SUCCESS;
    }
    free(copy);
    if (!free_to_run) return report_unknown(checked->op->name);
    return acl_report(ACLNN_ERR_INNER_CREATE_EXECUTOR, "%s: no memory to run it", checked->op->name);
}

void aclnn_executor_end(const aclnn_executor *checked, bool runs)
{
    aclnn_executor *used = NULL;
    acquire();
    aclnn_executor **link = find(handle_of(checked->number));
    if (link != NULL && runs && !(*link)->repeatable) {
        used = *link;
        *link = used->next;
    } else if (link != NULL) {
        (*link)->running = false;
    }
    release();
    free(used);
}

void aclnn_executor_bind(const aclnn_executor *executor, void *native_args)
{
    for (int i = 0; i < executor->op->count; i++) {
        const aclnn_slot *slot = &executor->slots[i];
        const floyd_tensor **field =
            (const floyd_tensor **)((char *)native_args + executor->op->arguments[i].native);
        *field = slot->present ? &slot->view : NULL;
    }
}

floyd_options aclnn_executor_options(const aclnn_executor *executor)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = executor->threads;
    return options;
}

aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor *executor)
{
    if (executor == NULL)
        return acl_report(ACLNN_ERR_INNER_NULLPTR, "aclSetAclOpExecutorRepeatable: executor is NULL");
    acquire();
    aclnn_executor **link = find(executor);
    if (link != NULL) (*link)->repeatable = true;
    release();
    return link != NULL ? ACLNN_SUCCESS : report_unknown("aclSetAclOpExecutorRepeatable");
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor *executor)
{
    if (executor == NULL) return acl_report(ACLNN_ERR_INNER_NULLPTR, "aclDestroyAclOpExecutor: executor is NULL");
    acquire();
    aclnn_executor **link = find(executor), *found = NULL;
    if (link != NULL) {
        found = *link;
        *link = found->next;
    }
    release();
    free(found);
    return found != NULL ? ACLNN_SUCCESS : report_unknown("aclDestroyAclOpExecutor");
}

typedef enum address_kind { INPUTS, OUTPUTS, ALL } address_kind;

/* The slot that an index of this kind means, or NULL where no tensor is. */
static aclnn_slot *slot_of(aclnn_executor *executor, address_kind kind, size_t index)
{
    const size_t first = kind == OUTPUTS ? (size_t)executor->op->inputs : 0;
    const size_t end = (size_t)(kind == INPUTS ? executor->op->inputs : executor->op->count);
    if (index >= end - first || !executor->slots[first + index].present) return NULL;
    return &executor->slots[first + index];
}

static aclnnStatus set_address(const char *function, aclOpExecutor *handle, address_kind kind, size_t index,
                               aclTensor *tensor, void *address)
{
    if (handle == NULL || tensor == NULL) {
        return acl_report(ACLNN_ERR_INNER_NULLPTR, "%s: %s is NULL", function,
                          handle == NULL ? "executor" : "tensor");
    }
    acquire();
    aclnn_executor **link = find(handle);
    aclnn_slot *slot = link != NULL ? slot_of(*link, kind, index) : NULL;
    if (slot != NULL) slot->data = address;
    release();
    if (link == NULL) return report_unknown(function);
    if (slot == NULL) {
        return acl_report(ACLNN_ERR_PARAM_INVALID,
                          "%s: index %zu has no tensor, needs the place of one in the prototype", function, index);
    }
    return aclSetRawTensorAddr(tensor, address);
}

static aclnnStatus set_address_in_list(const char *function, const aclOpExecutor *handle, size_t index,
                                       const aclTensorList *tensors)
{
    if (handle == NULL || tensors == NULL) {
        return acl_report(ACLNN_ERR_INNER_NULLPTR, "%s: %s is NULL", function,
                          handle == NULL ? "executor" : "tensors");
    }
    return acl_report(ACLNN_ERR_PARAM_INVALID,
                      "%s: argument %zu is not a list, needs one, and no operator here has it", function, index);
}

aclnnStatus aclSetInputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return set_address("aclSetInputTensorAddr", executor, INPUTS, index, tensor, addr);
}

aclnnStatus aclSetOutputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return set_address("aclSetOutputTensorAddr", executor, OUTPUTS, index, tensor, addr);
}

aclnnStatus aclSetTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return set_address("aclSetTensorAddr", executor, ALL, index, tensor, addr);
}

aclnnStatus aclSetDynamicInputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                         aclTensorList *tensors, void *addr)
{
    (void)relativeIndex, (void)addr;
    return set_address_in_list("aclSetDynamicInputTensorAddr", executor, irIndex, tensors);
}

aclnnStatus aclSetDynamicOutputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                          aclTensorList *tensors, void *addr)
{
    (void)relativeIndex, (void)addr;
    return set_address_in_list("aclSetDynamicOutputTensorAddr", executor, irIndex, tensors);
}

aclnnStatus aclSetDynamicTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                    aclTensorList *tensors, void *addr)
{
    (void)relativeIndex, (void)addr;
    return set_address_in_list("aclSetDynamicTensorAddr", executor, irIndex, tensors);
}

aclnnStatus AclSetInputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return aclSetInputTensorAddr(executor, index, tensor, addr);
}

aclnnStatus AclSetOutputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return aclSetOutputTensorAddr(executor, index, tensor, addr);
}

aclnnStatus AclSetTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr)
{
    return aclSetTensorAddr(executor, index, tensor, addr);
}

aclnnStatus AclSetDynamicInputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                         aclTensorList *tensors, void *addr)
{
    return aclSetDynamicInputTensorAddr(executor, irIndex, relativeIndex, tensors, addr);
}

aclnnStatus AclSetDynamicOutputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                          aclTensorList *tensors, void *addr)
{
    return aclSetDynamicOutputTensorAddr(executor, irIndex, relativeIndex, tensors, addr);
}

aclnnStatus AclSetDynamicTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                    aclTensorList *tensors, void *addr)
{
    return aclSetDynamicTensorAddr(executor, irIndex, relativeIndex, tensors, addr);
}
