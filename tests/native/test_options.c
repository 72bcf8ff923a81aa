/* SPDX-License-Identifier: Apache-2.0 */
/* Options and enumerations out of range, the running forms' demands, and environment variables. */
#define _DEFAULT_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "refusal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void refuse_option(call *c, const char *name)
{
    expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_OPTION, name, NULL, NULL);
}

static void test_struct_size(void **state)
{
    static const size_t sizes[] = {0, 1, 8};
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (int i = 0; i < 3; i++) {
            call *c = call_new(backward, FLOYD_F32, 0);
            c->fargs.struct_size = c->bargs.struct_size = sizes[i];
            refuse_option(c, "struct_size");
            c = call_new(backward, FLOYD_F32, 0);
            c->options.struct_size = sizes[i];
            refuse_option(c, "struct_size");
        }
}

/* A size that ends within a member: half a pointer must not be taken for one. */
static void test_cut_struct(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < sizeof(void *); cut++)
        for (int backward = 0; backward < 2; backward++) {
            call *c = call_new(backward, FLOYD_F32, 0);
            c->fargs.struct_size -= cut;
            c->bargs.struct_size -= cut;
            refuse_option(c, "struct_size");
            c = call_new(backward, FLOYD_F32, 0);
            c->options.struct_size -= cut;
            refuse_option(c, "struct_size");
        }
}

/* A caller built with a later header: fields unknown here may be zero, and are refused when they are not. */
static void test_longer_struct(void **state)
{
    struct {
        floyd_options known;
        int64_t unknown;
    } longer = {FLOYD_OPTIONS_INIT, 0};
    (void)state;
    call *c = call_new(0, FLOYD_F32, 0);
    size_t bytes;
    longer.known.struct_size = sizeof longer;
    assert_int_equal(floyd_forward_workspace(&c->fargs, &longer.known, &bytes), FLOYD_OK);
    longer.unknown = 1;
    assert_int_equal(floyd_forward_workspace(&c->fargs, &longer.known, &bytes), FLOYD_ERROR_OPTION);
    call_free(c);
}

static void test_threads(void **state)
{
    static const int counts[] = {-1, -1000, -2147483647 - 1};
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (int i = 0; i < 3; i++) {
            call *c = call_new(backward, FLOYD_F32, 0);
            c->options.threads = counts[i];
            expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_OPTION, "threads", number(counts[i]), NULL);
        }
}

static void test_mask_rule(void **state)
{
    static const int rules[] = {2, -1, 1000};
    (void)state;
    for (int i = 0; i < 3; i++) {
        call *c = call_new(1, FLOYD_F32, 0);
        c->bargs.mask_rule = (floyd_mask_rule)rules[i];
        expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_OPTION, "mask_rule", number(rules[i]), NULL);
    }
}

/* Carry needs y, max and sum, and y in fp32 (fp64). */
static void test_carry_demands(void **state)
{
    (void)state;
    for (enum role r = T_MAX; r <= T_SUM; r++) {
        call *c = call_new(0, FLOYD_F32, 0);
        c->fargs.carry = 1;
        *call_slot(c, r) = NULL;
        expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_NULL, role_names[r], NULL, NULL);
    }
    for (int dtype = FLOYD_F16; dtype <= FLOYD_BF16; dtype++) {
        call *c = call_new(0, (floyd_dtype)dtype, 0);
        c->fargs.carry = 1;
        expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_DTYPE, "y", NULL, NULL);
    }
}

/* Add needs every gradient that is asked for in fp32 (fp64). */
static void test_add_demands(void **state)
{
    (void)state;
    for (int dtype = FLOYD_F16; dtype <= FLOYD_BF16; dtype++)
        for (enum role r = T_DQ; r <= T_DV2; r++) {
            call *c = call_new(1, (floyd_dtype)dtype, GRADIENTS & ~(1u << r));
            c->bargs.add = 1;
            expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_DTYPE, role_names[r], NULL, NULL);
        }
}

/* A call whose numbers are the spec's is refused in both operations, by a message that names the argument. */
static void refuse_number(floyd_dtype dtype, const spec *numbers, const char *name)
{
    for (int backward = 0; backward < 2; backward++) {
        call *c = call_new(backward, dtype, 0);
        c->fargs.softmax_cap = c->bargs.softmax_cap = numbers->softmax_cap;
        c->fargs.mask_fill = c->bargs.mask_fill = numbers->mask_fill;
        c->fargs.dropout = c->bargs.dropout = numbers->dropout;
        refuse_option(c, name);
    }
}

/* A cap must be an ordinary number of the accumulator's type: fp32 has none of 1e-60, fp64 none of 1e-310. */
static void test_softmax_cap(void **state)
{
    static const double caps[] = {-1, -1e-60, NAN, INFINITY, -INFINITY, 1e-310, 1e-60, 1e-39, 1e39};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int i = 0; i < (dtype == FLOYD_F64 ? 6 : 9); i++)
            refuse_number((floyd_dtype)dtype, &(spec){.softmax_cap = caps[i]}, "softmax_cap");
}

static void test_mask_fill(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        refuse_number((floyd_dtype)dtype, &(spec){.mask_fill = NAN}, "mask_fill");
}

static void test_dropout(void **state)
{
    static const double dropouts[] = {-0.1, -0x1p-1074, 1 + 0x1p-52, 2, NAN, INFINITY, -INFINITY};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int i = 0; i < 7; i++) refuse_number((floyd_dtype)dtype, &(spec){.dropout = dropouts[i]}, "dropout");
}

/* A call that carries on does not know which pivots came before. */
static void test_dropout_beside_carry(void **state)
{
    (void)state;
    call *c = call_new(0, FLOYD_F32, 0);
    c->fargs.carry = 1;
    c->fargs.dropout = 0.5;
    refuse_option(c, "dropout");
}

/* A caller built with the header of a version that had less: what lies beyond its structure is none of it. */
static void check_older_struct(size_t forward_size, size_t backward_size, unsigned known)
{
    spec s = spec_of(1, 2, 9, 18, 33, 8);
    s.mask = MASK_ROWS;
    add_extras(&s, known);
    problem p = problem_new(&s), old = problem_new(&s);
    floyd_forward_args forward = forward_args(&old, FORWARD_OUTPUTS);
    floyd_backward_args backward = backward_args(&old, GRADIENTS);
    memset((char *)&forward + forward_size, 0xFF, sizeof forward - forward_size);
    memset((char *)&backward + backward_size, 0xFF, sizeof backward - backward_size);
    forward.struct_size = forward_size;
    backward.struct_size = backward_size;
    run_forward(&p);
    run_backward(&p);
    assert_int_equal(run_forward_args(&forward, NULL), FLOYD_OK);
    assert_int_equal(run_backward_args(&backward, NULL), FLOYD_OK);
    expect_same_bits(&p, &old, FORWARD_OUTPUTS | GRADIENTS, "an older structure");
    problem_free(&p);
    problem_free(&old);
}

static void test_older_struct(void **state)
{
    (void)state;
    check_older_struct(offsetof(floyd_forward_args, bias), offsetof(floyd_backward_args, bias), 0);
    check_older_struct(offsetof(floyd_forward_args, mask_fill), offsetof(floyd_backward_args, mask_fill),
                       CAP | BIAS);
}

/* NULL options are the defaults: default threads, no callback. */
static void test_defaults(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 9, 17, 8, 8);
    problem p = problem_new(&s);
    const floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    floyd_options options = FLOYD_OPTIONS_INIT;
    size_t by_default, by_name;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &by_default), FLOYD_OK);
    options.threads = floyd_default_threads();
    assert_int_equal(floyd_forward_workspace(&args, &options, &by_name), FLOYD_OK);
    assert_int_equal(by_default, by_name);
    assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
    check_forward(&p);
    problem_free(&p);
}

/* In a process of its own, so that a value read once would be read there. */
static int default_threads_with(const char *own, const char *omp)
{
    int status = -1;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        own ? setenv("FLOYDATTN_NUM_THREADS", own, 1) : unsetenv("FLOYDATTN_NUM_THREADS");
        omp ? setenv("OMP_NUM_THREADS", omp, 1) : unsetenv("OMP_NUM_THREADS");
        _exit(floyd_default_threads());
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_default_threads(void **state)
{
    (void)state;
    const int usable = default_threads_with(NULL, NULL);
    assert_true(usable >= 1);
    assert_int_equal(default_threads_with("5", NULL), 5);
    assert_int_equal(default_threads_with("5", "3"), 5);
    assert_int_equal(default_threads_with(NULL, "3"), 3);
    assert_int_equal(default_threads_with(NULL, "4,2"), 4);
    assert_int_equal(default_threads_with("6,1", NULL), 6);
    assert_int_equal(default_threads_with("many", "3"), 3);
    assert_int_equal(default_threads_with("0", "3"), 3);
    assert_int_equal(default_threads_with("-2", "3"), 3);
    assert_int_equal(default_threads_with("", ""), usable);
    assert_int_equal(default_threads_with("many", "none"), usable);
    assert_int_equal(default_threads_with("99999999999999999999", "7x"), usable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_default_threads),
                                       cmocka_unit_test(test_struct_size),
                                       cmocka_unit_test(test_cut_struct),
                                       cmocka_unit_test(test_longer_struct),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_mask_rule),
                                       cmocka_unit_test(test_carry_demands),
                                       cmocka_unit_test(test_add_demands),
                                       cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_softmax_cap),
                                       cmocka_unit_test(test_mask_fill),
                                       cmocka_unit_test(test_dropout),
                                       cmocka_unit_test(test_dropout_beside_carry),
                                       cmocka_unit_test(test_older_struct)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
