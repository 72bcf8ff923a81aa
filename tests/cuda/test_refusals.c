/* SPDX-License-Identifier: Apache-2.0 */
/* What the CUDA library refuses and the CPU library does not, and that its options are checked as any structure. */
#include "cmocka_all.h"

#include "floydattn_cuda.h"

#include <float.h>
#include <string.h>

typedef struct call {
    floyd_tensor q, k1, k2, y;
    floyd_forward_args args;
} call;

static void call_make(call *c, floyd_dtype dtype, int64_t D)
{
    static char data[16];
    c->q = c->y = floyd_contiguous(data, dtype, 1, 1, 2, 3, D);
    c->k1 = floyd_contiguous(data, dtype, 1, 1, 2, 4, D);
    c->k2 = floyd_contiguous(data, dtype, 1, 1, 4, 3, D);
    c->args = (floyd_forward_args)FLOYD_FORWARD_ARGS_INIT;
    c->args.q = &c->q, c->args.k1 = c->args.v1 = &c->k1, c->args.k2 = c->args.v2 = &c->k2, c->args.y = &c->y;
}

static void expect(const call *c, const floyd_cuda_options *options, floyd_status status, const char *text)
{
    size_t bytes = 77;
    assert_int_equal(floyd_cuda_forward_workspace(&c->args, options, &bytes), status);
    assert_non_null(strstr(floyd_cuda_last_message(), text));
    assert_int_equal(bytes, 77);
    assert_int_equal(floyd_cuda_forward(&c->args, options, NULL, 0), status);
    assert_non_null(strstr(floyd_cuda_last_message(), text));
}

static void test_unsupported(void **state)
{
    call c;
    (void)state;
    call_make(&c, FLOYD_F64, 8);
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "F64");
    call_make(&c, FLOYD_F16, 129);
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "129");
}

/* What floydattn.h has beyond scale, mask and softmax is not here yet, and is not ignored. */
static void test_extras(void **state)
{
    call c;
    floyd_tensor bias;
    static char data[16];
    (void)state;
    call_make(&c, FLOYD_F16, 8);
    c.args.mask_fill = -(double)FLT_MAX;
    size_t bytes;
    assert_int_equal(floyd_cuda_forward_workspace(&c.args, NULL, &bytes), FLOYD_OK);
    c.args.mask_fill = -1e9;
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "mask_fill");
    call_make(&c, FLOYD_F16, 8);
    c.args.softmax_cap = 1;
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "softmax_cap");
    call_make(&c, FLOYD_F16, 8);
    c.args.dropout = 0.1;
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "dropout");
    call_make(&c, FLOYD_F16, 8);
    bias = floyd_contiguous(data, FLOYD_F16, 1, 1, 1, 1, 4);
    c.args.bias = &bias;
    expect(&c, NULL, FLOYD_ERROR_UNSUPPORTED, "bias");
}

/* What is wrong with the problem is said before what a GPU lacks. */
static void test_order(void **state)
{
    call c;
    (void)state;
    call_make(&c, FLOYD_F64, 129);
    c.args.k1 = NULL;
    expect(&c, NULL, FLOYD_ERROR_NULL, "k1");
}

static void test_options(void **state)
{
    call c;
    floyd_cuda_options options = FLOYD_CUDA_OPTIONS_INIT;
    struct {
        floyd_cuda_options known;
        size_t later; /* leaves no padding */
    } longer = {FLOYD_CUDA_OPTIONS_INIT, 0};
    size_t bytes;
    (void)state;
    call_make(&c, FLOYD_F32, 8);
    options.struct_size = 3;
    expect(&c, &options, FLOYD_ERROR_OPTION, "floydattn_cuda.h");
    longer.known.struct_size = sizeof longer;
    assert_int_equal(floyd_cuda_forward_workspace(&c.args, &longer.known, &bytes), FLOYD_OK);
    longer.later = 1;
    expect(&c, &longer.known, FLOYD_ERROR_OPTION, "options");
}

static void test_null(void **state)
{
    call c;
    size_t bytes;
    (void)state;
    call_make(&c, FLOYD_F32, 8);
    assert_int_equal(floyd_cuda_forward_workspace(NULL, NULL, &bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_cuda_forward_workspace(&c.args, NULL, NULL), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_cuda_backward_workspace(NULL, NULL, &bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_cuda_backward(NULL, NULL, NULL, 0), FLOYD_ERROR_NULL);
}

/* The backward's workspace: too small, missing, or where a tensor is. */
static void test_workspace(void **state)
{
    static char data[512], memory[4096], of_dq[192];
    const floyd_tensor pair = floyd_contiguous(data, FLOYD_F32, 1, 1, 2, 3, 8);
    const floyd_tensor row = floyd_contiguous(data, FLOYD_F32, 1, 1, 2, 3, 1);
    floyd_tensor k1 = floyd_contiguous(data, FLOYD_F32, 1, 1, 2, 4, 8),
                 k2 = floyd_contiguous(data, FLOYD_F32, 1, 1, 4, 3, 8);
    floyd_tensor dq = floyd_contiguous(of_dq, FLOYD_F32, 1, 1, 2, 3, 8);
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    size_t bytes = 0;
    (void)state;
    args.q = args.y = args.dy = &pair, args.max = args.sum = &row, args.dq = &dq;
    args.k1 = args.v1 = &k1, args.k2 = args.v2 = &k2;
    assert_int_equal(floyd_cuda_backward_workspace(&args, NULL, &bytes), FLOYD_OK);
    assert_true(bytes > 0 && bytes < sizeof memory);
    assert_int_equal(floyd_cuda_backward(&args, NULL, memory, bytes - 1), FLOYD_ERROR_WORKSPACE);
    assert_int_equal(floyd_cuda_backward(&args, NULL, NULL, bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_cuda_backward(&args, NULL, of_dq, sizeof of_dq), FLOYD_ERROR_OVERLAP);
    assert_non_null(strstr(floyd_cuda_last_message(), "dq"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unsupported), cmocka_unit_test(test_extras),
                                       cmocka_unit_test(test_order),       cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_null),        cmocka_unit_test(test_workspace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
