/* SPDX-License-Identifier: Apache-2.0 */
/* Making, reading and freeing tensors. Nothing here judges a tensor: the operators do, in their first phase. */
#include "aclnn/tensor.h"

#include <stdlib.h>
#include <string.h>

#include "acl/stream.h"
#include "aclnn/floyd_status.h"
#include "aclnn/new_array.h"

/*
 * Strides of a dense tensor. One that does not fit in 64 bits becomes INT64_MAX: the operators then find
 * the overflow in the sizes themselves.
 */
static void dense_strides(uint64_t axes, const int64_t *size, int64_t *stride)
{
    int64_t step = 1;
    for (uint64_t a = axes; a-- > 0;) {
        stride[a] = step;
        if (__builtin_mul_overflow(step, size[a], &step)) step = INT64_MAX;
    }
}

static aclnnStatus check_axes(const char *function, const char *name, const int64_t *dims, uint64_t count)
{
    if (dims == NULL && count > 0) {
        return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%s: %s is NULL, needs %llu dimensions", function, name,
                          (unsigned long long)count);
    }
    if (count > ACLNN_MAX_AXES) {
        return acl_report(ACLNN_ERR_PARAM_INVALID, "%s: %sNum is %llu, needs at most %d", function, name,
                          (unsigned long long)count, ACLNN_MAX_AXES);
    }
    return ACLNN_SUCCESS;
}

static void copy_axes(int64_t *to, const int64_t *from, uint64_t count)
{
    if (count > 0) memcpy(to, from, count * sizeof *to);
}

/* The arguments have passed check_axes. */
static void describe(aclTensor *tensor, const int64_t *dims, uint64_t axes, aclDataType dtype,
                     const int64_t *stride, int64_t offset, aclFormat format, const int64_t *storage,
                     uint64_t storage_axes, void *data)
{
    tensor->dtype = dtype;
    tensor->format = format;
    tensor->axes = axes;
    tensor->storage_axes = storage_axes;
    tensor->offset = offset;
    copy_axes(tensor->size, dims, axes);
    copy_axes(tensor->storage_size, storage, storage_axes);
    if (stride != NULL) {
        copy_axes(tensor->stride, stride, axes);
    } else {
        dense_strides(axes, tensor->size, tensor->stride);
    }
    atomic_store(&tensor->data, data);
}

aclTensor *aclCreateTensor(const int64_t *viewDims, uint64_t viewDimsNum, aclDataType dataType,
                           const int64_t *stride, int64_t offset, aclFormat format, const int64_t *storageDims,
                           uint64_t storageDimsNum, void *tensorData)
{
    if (check_axes("aclCreateTensor", "viewDims", viewDims, viewDimsNum) != ACLNN_SUCCESS ||
        check_axes("aclCreateTensor", "storageDims", storageDims, storageDimsNum) != ACLNN_SUCCESS) {
        return NULL;
    }
    aclTensor *tensor = calloc(1, sizeof *tensor);
    if (tensor == NULL) {
        (void)acl_report(ACLNN_ERR_INNER_NULLPTR, "aclCreateTensor: no memory");
        return NULL;
    }
    describe(tensor, viewDims, viewDimsNum, dataType, stride, offset, format, storageDims, storageDimsNum,
             tensorData);
    return tensor;
}

aclnnStatus aclInitTensor(aclTensor *tensor, const int64_t *viewDims, uint64_t viewDimsNum, aclDataType dataType,
                          const int64_t *stride, int64_t offset, aclFormat format, const int64_t *storageDims,
                          uint64_t storageDimsNum, void *tensorDataAddr)
{
    if (tensor == NULL) return acl_report(ACLNN_ERR_PARAM_NULLPTR, "aclInitTensor: tensor is NULL");
    aclnnStatus status = check_axes("aclInitTensor", "viewDims", viewDims, viewDimsNum);
    if (status == ACLNN_SUCCESS) status = check_axes("aclInitTensor", "storageDims", storageDims, storageDimsNum);
    if (status != ACLNN_SUCCESS) return status;
    describe(tensor, viewDims, viewDimsNum, dataType, stride, offset, format, storageDims, storageDimsNum,
             tensorDataAddr);
    return ACLNN_SUCCESS;
}

aclnnStatus aclDestroyTensor(const aclTensor *tensor)
{
    free((void *)(uintptr_t)tensor);
    return ACLNN_SUCCESS;
}

static aclnnStatus check_given(const char *function, const char *argument, const void *value)
{
    if (value != NULL) return ACLNN_SUCCESS;
    return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%s: %s is NULL", function, argument);
}

/* A tensor, and a place for an answer. */
static aclnnStatus check_both(const char *function, const void *tensor, const char *argument, const void *place)
{
    const aclnnStatus status = check_given(function, "tensor", tensor);
    return status == ACLNN_SUCCESS ? check_given(function, argument, place) : status;
}

static aclnnStatus hand_out(const char *function, const int64_t *from, uint64_t count, int64_t **values,
                            uint64_t *n)
{
    int64_t *copy = aclnn_new_array(count);
    if (copy == NULL) {
        return acl_report(ACLNN_ERR_INNER_NULLPTR, "%s: no memory for %llu values", function,
                          (unsigned long long)count);
    }
    copy_axes(copy, from, count);
    *values = copy;
    *n = count;
    return ACLNN_SUCCESS;
}

aclnnStatus aclGetViewShape(const aclTensor *tensor, int64_t **viewDims, uint64_t *viewDimsNum)
{
    aclnnStatus status = check_both("aclGetViewShape", tensor, "viewDims", viewDims);
    if (status == ACLNN_SUCCESS) status = check_given("aclGetViewShape", "viewDimsNum", viewDimsNum);
    if (status != ACLNN_SUCCESS) return status;
    return hand_out("aclGetViewShape", tensor->size, tensor->axes, viewDims, viewDimsNum);
}

aclnnStatus aclGetStorageShape(const aclTensor *tensor, int64_t **storageDims, uint64_t *storageDimsNum)
{
    aclnnStatus status = check_both("aclGetStorageShape", tensor, "storageDims", storageDims);
    if (status == ACLNN_SUCCESS) status = check_given("aclGetStorageShape", "storageDimsNum", storageDimsNum);
    if (status != ACLNN_SUCCESS) return status;
    return hand_out("aclGetStorageShape", tensor->storage_size, tensor->storage_axes, storageDims, storageDimsNum);
}

aclnnStatus aclGetViewStrides(const aclTensor *tensor, int64_t **stridesValue, uint64_t *stridesNum)
{
    aclnnStatus status = check_both("aclGetViewStrides", tensor, "stridesValue", stridesValue);
    if (status == ACLNN_SUCCESS) status = check_given("aclGetViewStrides", "stridesNum", stridesNum);
    if (status != ACLNN_SUCCESS) return status;
    return hand_out("aclGetViewStrides", tensor->stride, tensor->axes, stridesValue, stridesNum);
}

aclnnStatus aclGetViewOffset(const aclTensor *tensor, int64_t *offset)
{
    const aclnnStatus status = check_both("aclGetViewOffset", tensor, "offset", offset);
    if (status != ACLNN_SUCCESS) return status;
    *offset = tensor->offset;
    return ACLNN_SUCCESS;
}

aclnnStatus aclGetFormat(const aclTensor *tensor, aclFormat *format)
{
    const aclnnStatus status = check_both("aclGetFormat", tensor, "format", format);
    if (status != ACLNN_SUCCESS) return status;
    *format = tensor->format;
    return ACLNN_SUCCESS;
}

aclnnStatus aclGetDataType(const aclTensor *tensor, aclDataType *dataType)
{
    const aclnnStatus status = check_both("aclGetDataType", tensor, "dataType", dataType);
    if (status != ACLNN_SUCCESS) return status;
    *dataType = tensor->dtype;
    return ACLNN_SUCCESS;
}

aclnnStatus aclSetRawTensorAddr(aclTensor *tensor, void *addr)
{
    const aclnnStatus status = check_given("aclSetRawTensorAddr", "tensor", tensor);
    if (status != ACLNN_SUCCESS) return status;
    atomic_store(&tensor->data, addr);
    return ACLNN_SUCCESS;
}

aclnnStatus aclGetRawTensorAddr(const aclTensor *tensor, void **addr)
{
    const aclnnStatus status = check_both("aclGetRawTensorAddr", tensor, "addr", addr);
    if (status != ACLNN_SUCCESS) return status;
    *addr = atomic_load(&tensor->data);
    return ACLNN_SUCCESS;
}

aclTensorList *aclCreateTensorList(const aclTensor *const *value, uint64_t size)
{
    aclTensorList *list = NULL;
    const size_t each = sizeof list->tensors[0]; /* NOLINT(bugprone-sizeof-expression): a list of pointers */
    if (size > 0 && check_given("aclCreateTensorList", "value", value) != ACLNN_SUCCESS) return NULL;
    if (size <= (SIZE_MAX - sizeof *list) / each) list = malloc(sizeof *list + (size_t)size * each);
    if (list == NULL) {
        (void)acl_report(ACLNN_ERR_INNER_NULLPTR, "aclCreateTensorList: no memory for %llu tensors",
                         (unsigned long long)size);
        return NULL;
    }
    list->count = size;
    for (uint64_t i = 0; i < size; i++) list->tensors[i] = value[i];
    return list;
}

aclnnStatus aclDestroyTensorList(const aclTensorList *array)
{
    for (uint64_t i = 0; array != NULL && i < array->count; i++) (void)aclDestroyTensor(array->tensors[i]);
    free((void *)(uintptr_t)array);
    return ACLNN_SUCCESS;
}

aclnnStatus aclGetTensorListSize(const aclTensorList *tensorList, uint64_t *size)
{
    aclnnStatus status = check_given("aclGetTensorListSize", "tensorList", tensorList);
    if (status == ACLNN_SUCCESS) status = check_given("aclGetTensorListSize", "size", size);
    if (status != ACLNN_SUCCESS) return status;
    *size = tensorList->count;
    return ACLNN_SUCCESS;
}
