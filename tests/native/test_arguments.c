/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers, data types and sizes: each argument of each function spoilt in each way. */
#include "cmocka_all.h"

#include "refusal.h"

/* Runs the body once for each argument of each operation. */
typedef void (*spoil)(call *c, enum role r);

static void for_each_argument(spoil body)
{
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++) {
            call *c = call_about(backward, 1u << r);
            if (call_has(c, r))
                body(c, r);
            else
                call_free(c);
        }
}

static void without_tensor(call *c, enum role r)
{
    *call_slot(c, r) = NULL;
    if (call_may_omit(c, r))
        call_free(c);
    else
        expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_NULL, role_names[r], NULL, NULL);
}

static void without_data(call *c, enum role r)
{
    c->views[r].data = NULL;
    expect_refusal(c, RUN_ONLY, FLOYD_ERROR_NULL, role_names[r], NULL, NULL);
}

static void test_null(void **state)
{
    (void)state;
    for_each_argument(without_tensor);
    for_each_argument(without_data);
}

static void test_null_structures(void **state)
{
    size_t bytes = 7;
    (void)state;
    assert_int_equal(floyd_forward_workspace(NULL, NULL, &bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_backward_workspace(NULL, NULL, &bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_forward(NULL, NULL, &bytes, sizeof bytes), FLOYD_ERROR_NULL);
    assert_int_equal(floyd_backward(NULL, NULL, &bytes, sizeof bytes), FLOYD_ERROR_NULL);
    assert_int_equal(bytes, 7);
    for (int backward = 0; backward < 2; backward++) {
        call *c = call_about(backward, 0);
        assert_int_equal(backward ? floyd_backward_workspace(&c->bargs, NULL, NULL)
                                  : floyd_forward_workspace(&c->fargs, NULL, NULL),
                         FLOYD_ERROR_NULL);
        call_free(c);
    }
}

/* Whether role r may have this type beside operands of type own. */
static int dtype_fits(enum role r, floyd_dtype own, int dtype)
{
    const int accumulator = (int)accumulator_of(own);
    if (r == T_MASK) return dtype == FLOYD_U8;
    if (r == T_MAX || r == T_SUM || r == T_DBIAS) return dtype == accumulator;
    return dtype == (int)own || ((HALVES >> r & 1) && dtype == accumulator);
}

/* Each type that an argument cannot have, out of all values and some that are none. */
static void test_dtype(void **state)
{
    static const int dtypes[] = {FLOYD_F32, FLOYD_F64, FLOYD_F16, FLOYD_BF16, FLOYD_U8, 5, -1, 1000};
    (void)state;
    for (int own = 0; own < 4; own++)
        for (int d = 0; d < 8; d++)
            for (int backward = 0; backward < 2; backward++)
                for (enum role r = T_Q; r < ROLES; r++) {
                    call *c = call_with(backward, (floyd_dtype)own, 0, 1u << T_MASK | 1u << r);
                    const int wrong = dtypes[d];
                    c->views[r].dtype = (floyd_dtype)wrong;
                    if (!call_has(c, r) || dtype_fits(r, (floyd_dtype)own, wrong))
                        call_free(c);
                    else /* another type of q makes the next tensor the one that disagrees */
                        expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_DTYPE,
                                       r == T_Q && d < 4 ? NULL : role_names[r], NULL, NULL);
                }
}

/* Which sizes an argument is the first to say: there another value makes a later argument disagree. */
static int defines(enum role r, int axis)
{
    return r == T_Q || (r == T_K1 && axis == 3);
}

static int64_t size_of_role(const call *c, enum role r, int axis)
{
    return c->p.t[r].view.size[axis];
}

static void with_other_sizes(call *c, enum role r)
{
    const int backward = c->backward;
    call_free(c);
    for (int axis = 0; axis < 5; axis++)
        for (int64_t change = -1; change <= 1; change += 2) {
            const int copies = (r == T_MAX || r == T_SUM) && axis == 4;
            call *spoilt = call_about(backward, 1u << r);
            const int64_t needed = size_of_role(spoilt, r, axis);
            /* any number of copies will do, and an axis of a score's tensor may be 1 */
            if (copies || ((BROADCAST >> r & 1) && (needed == 1 || needed + change == 1))) {
                call_free(spoilt);
                continue;
            }
            spoilt->views[r].size[axis] += change;
            if (defines(r, axis))
                expect_refusal(spoilt, QUERY_AND_RUN, FLOYD_ERROR_SHAPE, NULL, NULL, NULL);
            else
                expect_refusal(spoilt, QUERY_AND_RUN, FLOYD_ERROR_SHAPE, role_names[r], number(needed + change),
                               number(needed));
        }
}

static void with_negative_sizes(call *c, enum role r)
{
    const int backward = c->backward;
    call_free(c);
    for (int axis = 0; axis < 5; axis++) {
        call *spoilt = call_about(backward, 1u << r);
        spoilt->views[r].size[axis] = -3;
        expect_refusal(spoilt, QUERY_AND_RUN, FLOYD_ERROR_SHAPE, role_names[r], number(-3), NULL);
    }
}

static void without_copies(call *c, enum role r)
{
    if (r != T_MAX && r != T_SUM) {
        call_free(c);
        return;
    }
    c->views[r].size[4] = 0;
    expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_SHAPE, role_names[r], number(0), NULL);
}

static void with_other_broadcast_size(call *c, enum role r)
{
    if (!(BROADCAST >> r & 1)) {
        call_free(c);
        return;
    }
    c->views[r].size[1] = 2;
    expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_SHAPE, role_names[r], number(2), number(REFUSAL_H));
}

static void test_shape(void **state)
{
    (void)state;
    for_each_argument(with_other_sizes);
    for_each_argument(with_negative_sizes);
    for_each_argument(without_copies);
    for_each_argument(with_other_broadcast_size);
}

/* max and sum may have different numbers of copies. */
static void test_copies_may_differ(void **state)
{
    (void)state;
    call *c = call_about(0, 0);
    size_t bytes;
    c->views[T_MAX].size[4] = 1;
    assert_int_equal(floyd_forward_workspace(&c->fargs, &c->options, &bytes), FLOYD_OK);
    call_free(c);
}

/* Of several faults the one is told whose status comes first. */
static void test_first_of_several(void **state)
{
    static const floyd_status order[] = {
        FLOYD_ERROR_NULL,   FLOYD_ERROR_DTYPE,  FLOYD_ERROR_SHAPE, FLOYD_ERROR_OVERFLOW,
        FLOYD_ERROR_STRIDE, FLOYD_ERROR_OPTION, FLOYD_OK};
    (void)state;
    for (int right = 0; right < 7; right++) {
        call *c = call_about(0, 0);
        size_t bytes;
        if (right < 1) c->fargs.q = NULL;
        if (right < 2) c->views[T_V2].dtype = FLOYD_U8;
        if (right < 3) c->views[T_K2].size[1]++;
        if (right < 4) c->views[T_V1].stride[2] = INT64_MAX;
        if (right < 5) c->views[T_Y].stride[4] = 0;
        if (right < 6) c->fargs.dropout = 2;
        assert_int_equal(floyd_forward_workspace(&c->fargs, &c->options, &bytes), order[right]);
        call_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_null),
                                       cmocka_unit_test(test_null_structures),
                                       cmocka_unit_test(test_dtype),
                                       cmocka_unit_test(test_shape),
                                       cmocka_unit_test(test_copies_may_differ),
                                       cmocka_unit_test(test_first_of_several)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
