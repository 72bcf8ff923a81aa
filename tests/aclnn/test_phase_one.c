/* SPDX-License-Identifier: Apache-2.0 */
/* What phase one refuses besides shapes, argument by argument, for both operators; and in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* ---- 161001 ------------------------------------------------------------------------------------- */

static void test_null_tensors(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            c.operands[i].absent = true;
            if (i == op->mask) {
                call_accepted(&c);
            } else {
                call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, op->names[i], "NULL");
            }
            c.operands[i].absent = false;
        }
        call_close_untouched(&c);
    }
}

static void test_null_answers(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        c.size_out = NULL;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "workspaceSize", "NULL");
        c.executor_out = NULL;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "workspaceSize", "NULL");
        c.size_out = &c.workspace_bytes;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "executor", "NULL");
        call_close_untouched(&c);
    }
}

/* ---- 161002 ------------------------------------------------------------------------------------- */

static const aclDataType TYPES[] = {
    ACL_DT_UNDEFINED, ACL_FLOAT,  ACL_FLOAT16, ACL_INT8,       ACL_INT32,         ACL_UINT8, ACL_INT16,
    ACL_UINT16,       ACL_UINT32, ACL_INT64,   ACL_UINT64,     ACL_DOUBLE,        ACL_BOOL,  ACL_COMPLEX64,
    ACL_BF16,         ACL_INT4,   ACL_UINT1,   (aclDataType)5, (aclDataType)1000,
};

static bool type_taken(const operator_case *op, int i, aclDataType operands, aclDataType type)
{
    if (i == op->mask) return type == ACL_BOOL || type == ACL_UINT8;
    if (strncmp(op->names[i], "softmax", 7) == 0) return type == ACL_FLOAT;
    if (op == &FORWARD && i == op->count - 1) return type == operands || type == ACL_FLOAT;
    return type == operands;
}

static void test_types(void **state)
{
    (void)state;
    static const floyd_dtype OPERANDS[] = {FLOYD_F16, FLOYD_BF16, FLOYD_F32};
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        for (int t = 0; t < 3; t++) {
            spec s = smallest();
            call c;
            s.dtype = OPERANDS[t];
            call_open_unfilled(&c, op, &s);
            call_accepted(&c);
            const aclDataType operands = c.operands[0].type;
            for (int i = 1; i < op->count; i++) {
                const aclDataType right = c.operands[i].type;
                for (size_t j = 0; j < sizeof TYPES / sizeof *TYPES; j++) {
                    c.operands[i].type = TYPES[j];
                    if (type_taken(op, i, operands, TYPES[j])) {
                        call_accepted(&c);
                    } else {
                        call_refused(&c, ACLNN_ERR_PARAM_INVALID, op->names[i], "data type");
                    }
                }
                c.operands[i].type = right;
            }
            call_close_untouched(&c);
        }
    }
}

/* Another type in query: it is query that is wrong, or the first argument that differs from it. */
static void test_type_of_query(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (size_t j = 0; j < sizeof TYPES / sizeof *TYPES; j++) {
            if (TYPES[j] == ACL_FLOAT16) continue;
            const bool possible = TYPES[j] == ACL_FLOAT || TYPES[j] == ACL_BF16;
            c.operands[0].type = TYPES[j];
            call_refused(&c, ACLNN_ERR_PARAM_INVALID, possible ? "key1" : "query", "data type");
        }
        call_close_untouched(&c);
    }
}

static void test_formats(void **state)
{
    (void)state;
    static const aclFormat FORMATS[] = {ACL_FORMAT_UNDEFINED, ACL_FORMAT_NCHW,  ACL_FORMAT_NHWC,
                                        ACL_FORMAT_NC1HWC0,   ACL_FORMAT_NDHWC, ACL_FORMAT_FRACTAL_NZ,
                                        ACL_FORMAT_NCL,       (aclFormat)999};
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        spec s = smallest();
        call c;
        s.dtype = FLOYD_BF16;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            for (size_t j = 0; j < sizeof FORMATS / sizeof *FORMATS; j++) {
                c.operands[i].format = FORMATS[j];
                call_refused(&c, ACLNN_ERR_PARAM_INVALID, op->names[i], "format");
            }
            c.operands[i].format = ACL_FORMAT_ND;
        }
        call_close_untouched(&c);
    }
}

/* ---- Order -------------------------------------------------------------------------------------- */

/* Everything wrong at once, then one thing after the other put right: the order of the specification. */
static void test_order(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        const int last = op->count - 1;
        operand *query = &c.operands[0], *key1 = &c.operands[1], *out = &c.operands[last],
                *out_before = &c.operands[last - 1];
        query->absent = out->absent = true;
        c.size_out = NULL;
        c.executor_out = NULL;
        query->type = ACL_INT8, query->format = ACL_FORMAT_NCHW;
        out_before->type = ACL_INT8, out_before->format = ACL_FORMAT_NCHW;
        query->axes = 4, out_before->axes = 6;
        query->size[0] = 0, key1->size[3] = 5, key1->size[0] = 7;
        key1->stride[2] = INT64_MAX, out->stride[4] = 0;

        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "query", "NULL");
        query->absent = false;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, op->names[last], "NULL");
        out->absent = false;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "workspaceSize", "NULL");
        c.size_out = &c.workspace_bytes;
        call_refused(&c, ACLNN_ERR_PARAM_NULLPTR, "executor", "NULL");
        c.executor_out = &c.executor;
        call_refused(&c, ACLNN_ERR_PARAM_INVALID, "query", "data type");
        query->type = ACL_FLOAT16;
        call_refused(&c, ACLNN_ERR_PARAM_INVALID, "query", "format");
        query->format = ACL_FORMAT_ND;
        call_refused(&c, ACLNN_ERR_PARAM_INVALID, op->names[last - 1], "data type");
        out_before->type = op == &FORWARD ? ACL_FLOAT : ACL_FLOAT16;
        call_refused(&c, ACLNN_ERR_PARAM_INVALID, op->names[last - 1], "format");
        out_before->format = ACL_FORMAT_ND;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "query", "axes");
        query->axes = 5;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[last - 1], "axes");
        out_before->axes = 5;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "query", "(B)");
        query->size[0] = 1;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "key1", "(K)");
        key1->size[3] = s.K;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "key1", "shape");
        key1->size[0] = 1;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "key1", "64 bits");
        key1->stride[2] = 1;
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[last], "overlap");
        out->stride[4] = 1;
        call_accepted(&c);
        call_close_untouched(&c);
    }
}

/* Phase one needs no device, and neither data nor an address. */
static void test_without_device(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        spec s = smallest();
        call c;
        s.dtype = FLOYD_F32;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) c.operands[i].data = NULL;
        call_accepted(&c);
        call_close_untouched(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_tensors),   cmocka_unit_test(test_null_answers), cmocka_unit_test(test_types),
        cmocka_unit_test(test_type_of_query),  cmocka_unit_test(test_formats),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_without_device),
    };
    return cmocka_run_group_tests_name("aclnn phase one", tests, NULL, NULL);
}
