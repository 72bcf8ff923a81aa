/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors and lists by themselves, and the control of executors by index. */
#include <stdlib.h>
#include <string.h>

#include "aclnn/aclnn_base.h"
#include "support.h"

static aclTensor *sample(void *data)
{
    const int64_t view[] = {2, 3, 4}, stride[] = {-20, 5, 1}, storage[] = {40, 7};
    aclTensor *made = aclCreateTensor(view, 3, ACL_BF16, stride, 20, ACL_FORMAT_ND, storage, 2, data);
    assert_non_null(made);
    return made;
}

typedef aclnnStatus (*array_getter)(const aclTensor *, int64_t **, uint64_t *);

static void expect_array(array_getter get, const aclTensor *made, const int64_t *expected, uint64_t count)
{
    int64_t *values = NULL;
    uint64_t n = 99;
    assert_int_equal(get(made, &values, &n), ACLNN_SUCCESS);
    assert_int_equal(n, count);
    assert_non_null(values);
    for (uint64_t i = 0; i < count; i++) assert_int_equal(values[i], expected[i]);
    release_array(values);
}

static void test_getters(void **state)
{
    (void)state;
    int data;
    aclTensor *made = sample(&data);
    expect_array(aclGetViewShape, made, (const int64_t[]){2, 3, 4}, 3);
    expect_array(aclGetViewStrides, made, (const int64_t[]){-20, 5, 1}, 3);
    expect_array(aclGetStorageShape, made, (const int64_t[]){40, 7}, 2);
    int64_t offset = 0;
    aclFormat format = ACL_FORMAT_UNDEFINED;
    aclDataType type = ACL_DT_UNDEFINED;
    void *address = NULL;
    assert_int_equal(aclGetViewOffset(made, &offset), ACLNN_SUCCESS);
    assert_int_equal(aclGetFormat(made, &format), ACLNN_SUCCESS);
    assert_int_equal(aclGetDataType(made, &type), ACLNN_SUCCESS);
    assert_int_equal(aclGetRawTensorAddr(made, &address), ACLNN_SUCCESS);
    assert_int_equal(offset, 20);
    assert_int_equal(format, ACL_FORMAT_ND);
    assert_int_equal(type, ACL_BF16);
    assert_ptr_equal(address, &data);
    assert_int_equal(aclSetRawTensorAddr(made, NULL), ACLNN_SUCCESS);
    assert_int_equal(aclGetRawTensorAddr(made, &address), ACLNN_SUCCESS);
    assert_null(address);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
    assert_int_equal(aclDestroyTensor(NULL), ACLNN_SUCCESS);
}

/* Each says which argument is NULL. */
#define LACKS(name, call)                                                                                          \
    do {                                                                                                           \
        assert_int_equal(call, ACLNN_ERR_PARAM_NULLPTR);                                                           \
        expect_message(": " name " is NULL", NULL);                                                                \
    } while (0)

static void test_null_arguments(void **state)
{
    (void)state;
    aclTensor *made = sample(NULL);
    int64_t *values = (int64_t *)&values, number = 7;
    uint64_t n = 7;
    aclFormat format;
    aclDataType type;
    void *address;
    LACKS("tensor", aclGetViewShape(NULL, &values, &n));
    LACKS("viewDims", aclGetViewShape(made, NULL, &n));
    LACKS("viewDimsNum", aclGetViewShape(made, &values, NULL));
    LACKS("tensor", aclGetStorageShape(NULL, &values, &n));
    LACKS("storageDims", aclGetStorageShape(made, NULL, &n));
    LACKS("storageDimsNum", aclGetStorageShape(made, &values, NULL));
    LACKS("tensor", aclGetViewStrides(NULL, &values, &n));
    LACKS("stridesValue", aclGetViewStrides(made, NULL, &n));
    LACKS("stridesNum", aclGetViewStrides(made, &values, NULL));
    LACKS("tensor", aclGetViewOffset(NULL, &number));
    LACKS("offset", aclGetViewOffset(made, NULL));
    LACKS("tensor", aclGetFormat(NULL, &format));
    LACKS("format", aclGetFormat(made, NULL));
    LACKS("tensor", aclGetDataType(NULL, &type));
    LACKS("dataType", aclGetDataType(made, NULL));
    LACKS("tensor", aclSetRawTensorAddr(NULL, &number));
    LACKS("tensor", aclGetRawTensorAddr(NULL, &address));
    LACKS("addr", aclGetRawTensorAddr(made, NULL));
    LACKS("tensor", aclInitTensor(NULL, NULL, 0, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, NULL, 0, NULL));
    assert_ptr_equal(values, &values);
    assert_int_equal(n, 7);
    assert_int_equal(number, 7);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
}

static void test_dense_strides(void **state)
{
    (void)state;
    const int64_t view[] = {2, 3, 4, 1}, huge[] = {3, INT64_MAX / 2, 4, 5};
    aclTensor *made = aclCreateTensor(view, 4, ACL_FLOAT, NULL, 0, ACL_FORMAT_NCHW, NULL, 0, NULL);
    expect_array(aclGetViewStrides, made, (const int64_t[]){12, 4, 1, 1}, 4);
    expect_array(aclGetStorageShape, made, NULL, 0);
    /* Nothing is judged here, and nothing wraps round. */
    assert_int_equal(aclInitTensor(made, huge, 4, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, huge, 4, NULL), ACLNN_SUCCESS);
    expect_array(aclGetViewStrides, made, (const int64_t[]){INT64_MAX, 20, 5, 1}, 4);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
}

static void test_scalars(void **state)
{
    (void)state;
    aclTensor *made = aclCreateTensor(NULL, 0, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, NULL, 0, NULL);
    assert_non_null(made);
    expect_array(aclGetViewShape, made, NULL, 0);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
}

static void test_refused_descriptions(void **state)
{
    (void)state;
    int64_t dims[26];
    for (int i = 0; i < 26; i++) dims[i] = 1;
    assert_null(aclCreateTensor(NULL, 5, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, dims, 5, NULL));
    expect_message("aclCreateTensor", "viewDims", NULL);
    assert_null(aclCreateTensor(dims, 5, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, NULL, 5, NULL));
    expect_message("aclCreateTensor", "storageDims", NULL);
    assert_null(aclCreateTensor(dims, 26, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, dims, 5, NULL));
    expect_message("viewDimsNum", "26", NULL);
    assert_null(aclCreateTensor(dims, 5, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, dims, UINT64_MAX, NULL));
    expect_message("storageDimsNum", NULL);
    aclTensor *made = sample(NULL);
    assert_int_equal(aclInitTensor(made, NULL, 1, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, dims, 5, NULL),
                     ACLNN_ERR_PARAM_NULLPTR);
    assert_int_equal(aclInitTensor(made, dims, 26, ACL_FLOAT, NULL, 0, ACL_FORMAT_ND, dims, 5, NULL),
                     ACLNN_ERR_PARAM_INVALID);
    expect_array(aclGetViewStrides, made, (const int64_t[]){-20, 5, 1}, 3);
    assert_int_equal(aclInitTensor(made, dims, 25, ACL_FLOAT16, NULL, 3, ACL_FORMAT_NHWC, dims, 25, dims),
                     ACLNN_SUCCESS);
    expect_array(aclGetViewShape, made, dims, 25);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
}

static void test_lists(void **state)
{
    (void)state;
    const aclTensor *tensors[] = {sample(NULL), NULL, sample(NULL)};
    aclTensorList *list = aclCreateTensorList(tensors, 3);
    uint64_t size = 0;
    assert_non_null(list);
    assert_int_equal(aclGetTensorListSize(list, &size), ACLNN_SUCCESS);
    assert_int_equal(size, 3);
    LACKS("tensorList", aclGetTensorListSize(NULL, &size));
    LACKS("size", aclGetTensorListSize(list, NULL));
    assert_int_equal(aclDestroyTensorList(list), ACLNN_SUCCESS);
    assert_int_equal(aclDestroyTensorList(NULL), ACLNN_SUCCESS);
    assert_null(aclCreateTensorList(NULL, 3));
    expect_message("aclCreateTensorList: value is NULL", NULL);
    assert_null(aclCreateTensorList(tensors, UINT64_MAX));
    expect_message("aclCreateTensorList: no memory", NULL);
    list = aclCreateTensorList(NULL, 0);
    assert_non_null(list);
    assert_int_equal(aclDestroyTensorList(list), ACLNN_SUCCESS);
}

/* ---- Addresses of executors --------------------------------------------------------------------- */

typedef aclnnStatus (*set_address)(aclOpExecutor *, const size_t, aclTensor *, void *);
typedef aclnnStatus (*set_in_list)(aclOpExecutor *, size_t, const size_t, aclTensorList *, void *);

static void check_indexes(call *c, set_address set, size_t end, size_t absent)
{
    aclTensor *made = sample(NULL);
    assert_int_equal(set(NULL, 0, made, c), ACLNN_ERR_INNER_NULLPTR);
    expect_message("executor is NULL", NULL);
    assert_int_equal(set(c->executor, 0, NULL, c), ACLNN_ERR_INNER_NULLPTR);
    expect_message("tensor is NULL", NULL);
    assert_int_equal(set((aclOpExecutor *)c, 0, made, c), ACLNN_ERR_PARAM_INVALID);
    expect_message("executor is unknown", NULL);
    for (size_t i = 0; i < end + 3; i++) {
        const bool right = i < end && i != absent;
        assert_int_equal(set(c->executor, i, made, c), right ? ACLNN_SUCCESS : ACLNN_ERR_PARAM_INVALID);
        if (!right) expect_message("index", NULL);
    }
    assert_int_equal(set(c->executor, SIZE_MAX, made, c), ACLNN_ERR_PARAM_INVALID);
    expect_message("index", NULL);
    assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
}

static void test_indexes(void **state)
{
    (void)state;
    for (int absent = 0; absent < 2; absent++) {
        for (int o = 0; o < 2; o++) {
            const operator_case *op = OPERATORS[o];
            const spec s = smallest();
            call c;
            call_open(&c, op, &s);
            c.operands[op->mask].absent = absent != 0;
            assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
            const size_t inputs = (size_t)op->inputs, count = (size_t)op->count;
            const size_t gap = absent ? (size_t)op->mask : SIZE_MAX;
            check_indexes(&c, aclSetInputTensorAddr, inputs, gap);
            check_indexes(&c, AclSetInputTensorAddr, inputs, gap);
            check_indexes(&c, aclSetOutputTensorAddr, count - inputs, SIZE_MAX);
            check_indexes(&c, AclSetOutputTensorAddr, count - inputs, SIZE_MAX);
            check_indexes(&c, aclSetTensorAddr, count, gap);
            check_indexes(&c, AclSetTensorAddr, count, gap);
            assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
            call_close(&c);
        }
    }
}

static void test_lists_of_executors(void **state)
{
    (void)state;
    static const set_in_list SETTERS[] = {aclSetDynamicInputTensorAddr,  aclSetDynamicOutputTensorAddr,
                                          aclSetDynamicTensorAddr,       AclSetDynamicInputTensorAddr,
                                          AclSetDynamicOutputTensorAddr, AclSetDynamicTensorAddr};
    const aclTensor *tensors[] = {sample(NULL)};
    aclTensorList *list = aclCreateTensorList(tensors, 1);
    const spec s = smallest();
    call c;
    call_open(&c, &FORWARD, &s);
    assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(SETTERS[i](NULL, 0, 0, list, &c), ACLNN_ERR_INNER_NULLPTR);
        assert_int_equal(SETTERS[i](c.executor, 0, 0, NULL, &c), ACLNN_ERR_INNER_NULLPTR);
        assert_int_equal(SETTERS[i](c.executor, 0, 0, list, &c), ACLNN_ERR_PARAM_INVALID);
        expect_message("list", NULL);
    }
    assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
    assert_int_equal(aclDestroyTensorList(list), ACLNN_SUCCESS);
    call_close(&c);
}

static void test_init(void **state)
{
    (void)state;
    assert_int_equal(aclnnInit(NULL), ACLNN_SUCCESS);
    assert_int_equal(aclnnInit("acl.json"), ACLNN_SUCCESS);
    assert_int_equal(aclnnFinalize(), ACLNN_SUCCESS);
    assert_int_equal(aclnnFinalize(), ACLNN_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_dense_strides),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_refused_descriptions),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_indexes),
        cmocka_unit_test(test_lists_of_executors),
        cmocka_unit_test(test_init),
    };
    return cmocka_run_group_tests_name("aclnn tensors", tests, NULL, NULL);
}
