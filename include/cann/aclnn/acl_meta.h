/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors and executors of the aclnn surface: a source-compatible subset of the vendor's header of this
 * name, for C and C++. Everything lives in host memory, which is the device here.
 *
 * Tensors may be shared between threads that only read them. Executors may be used from any thread.
 * Where a status is not 0, aclGetRecentErrMsg() says which argument, what it got and what it needs.
 * The names of the statuses are in aclnn/floyd_status.h: programs define them in their own ways.
 */
#ifndef FLOYD_CANN_ACLNN_ACL_META_H
#define FLOYD_CANN_ACLNN_ACL_META_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "acl/acl_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#ifndef ACLNN_META
#define ACLNN_META
typedef struct aclOpExecutor aclOpExecutor;
typedef struct aclTensor aclTensor;
typedef struct aclScalar aclScalar;
typedef struct aclIntArray aclIntArray;
typedef struct aclFloatArray aclFloatArray;
typedef struct aclBoolArray aclBoolArray;
typedef struct aclTensorList aclTensorList;
typedef struct aclScalarList aclScalarList;

typedef int32_t aclnnStatus;
#ifdef __cplusplus
#if defined(__GNUC__)
__attribute__((unused))
#endif
constexpr aclnnStatus OK = 0;
#endif
#endif /* ACLNN_META */

/* ---- Tensors ----------------------------------------------------------------------------------- */

/*
 * A view of viewDimsNum axes (at most 25): element (i0, i1, ...) lies at tensorData + offset +
 * sum(i[a] * stride[a]), counted in elements. stride NULL: the last axis contiguous, no gaps. tensorData
 * may be NULL and is never freed. storageDims is remembered and means nothing here.
 * Returns NULL when dimensions are counted but not given, when there are too many, or without memory.
 */
aclTensor *aclCreateTensor(const int64_t *viewDims, uint64_t viewDimsNum, aclDataType dataType,
                           const int64_t *stride, int64_t offset, aclFormat format, const int64_t *storageDims,
                           uint64_t storageDimsNum, void *tensorData);

/* Frees the tensor, not its data. NULL is fine. Returns 0. */
aclnnStatus aclDestroyTensor(const aclTensor *tensor);

/*
 * Describes a tensor made by aclCreateTensor anew. Returns 0; 161001: tensor, or dimensions that are
 * counted, NULL; 161002: more than 25 dimensions. The tensor is then as it was.
 */
aclnnStatus aclInitTensor(aclTensor *tensor, const int64_t *viewDims, uint64_t viewDimsNum, aclDataType dataType,
                          const int64_t *stride, int64_t offset, aclFormat format, const int64_t *storageDims,
                          uint64_t storageDimsNum, void *tensorDataAddr);

/*
 * What a tensor says. !! The three arrays belong to the caller: C++ delete[]s them, C free()s them (in a process
 * that has a C++ runtime they come from operator new[], which AddressSanitizer wants to see paired).
 * Return 0; 161001: an argument is NULL; 561103: no memory.
 */
aclnnStatus aclGetViewShape(const aclTensor *tensor, int64_t **viewDims, uint64_t *viewDimsNum);
aclnnStatus aclGetStorageShape(const aclTensor *tensor, int64_t **storageDims, uint64_t *storageDimsNum);
aclnnStatus aclGetViewStrides(const aclTensor *tensor, int64_t **stridesValue, uint64_t *stridesNum);
aclnnStatus aclGetViewOffset(const aclTensor *tensor, int64_t *offset);
aclnnStatus aclGetFormat(const aclTensor *tensor, aclFormat *format);
aclnnStatus aclGetDataType(const aclTensor *tensor, aclDataType *dataType);

/* The address given as tensorData, without the offset. Return 0; 161001: an argument is NULL (addr may be, in Set).
 */
aclnnStatus aclSetRawTensorAddr(aclTensor *tensor, void *addr);
aclnnStatus aclGetRawTensorAddr(const aclTensor *tensor, void **addr);

/* A list owns its tensors: destroying it destroys them. NULL as for single tensors. */
aclTensorList *aclCreateTensorList(const aclTensor *const *value, uint64_t size);
aclnnStatus aclDestroyTensorList(const aclTensorList *array);
/* Returns 0; 161001: an argument is NULL. */
aclnnStatus aclGetTensorListSize(const aclTensorList *tensorList, uint64_t *size);

/* ---- Executors --------------------------------------------------------------------------------- */

/*
 * An operator's first phase makes an executor; its second phase consumes it, unless it was made repeatable
 * or the second phase refused. An executor's value is never used again, so that a stale one is found out.
 * Return 0; 561103: executor is NULL; 161002: it is unknown, used or destroyed.
 */
aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor *executor);
aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor *executor);

/*
 * Sets the address of one tensor of an executor, and of the aclTensor handed in, which names it. The
 * offset stays. index counts from 0 in the order of the operator's prototype: its input tensors, its
 * output tensors, or all of them; an absent optional tensor keeps its place and cannot be set.
 * Return 0; 561103: executor or tensor is NULL; 161002: executor unknown, or an index that has no tensor.
 */
aclnnStatus aclSetInputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);
aclnnStatus aclSetOutputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);
aclnnStatus aclSetTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);

/* The same inside a list of tensors. No operator here takes one: 561103 for NULL, else 161002. */
aclnnStatus aclSetDynamicInputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                         aclTensorList *tensors, void *addr);
aclnnStatus aclSetDynamicOutputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                          aclTensorList *tensors, void *addr);
aclnnStatus aclSetDynamicTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                    aclTensorList *tensors, void *addr);

/* Other names of the six above. */
aclnnStatus AclSetInputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);
aclnnStatus AclSetOutputTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);
aclnnStatus AclSetTensorAddr(aclOpExecutor *executor, const size_t index, aclTensor *tensor, void *addr);
aclnnStatus AclSetDynamicInputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                         aclTensorList *tensors, void *addr);
aclnnStatus AclSetDynamicOutputTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                          aclTensorList *tensors, void *addr);
aclnnStatus AclSetDynamicTensorAddr(aclOpExecutor *executor, size_t irIndex, const size_t relativeIndex,
                                    aclTensorList *tensors, void *addr);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* FLOYD_CANN_ACLNN_ACL_META_H */
