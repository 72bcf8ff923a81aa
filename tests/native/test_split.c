/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running forms that distribution needs. A forward over parts of the pivots, carried on, and a
 * backward over parts of N, added up, give the whole's result: both are judged by the reference of the
 * whole problem, with the tolerance of check.h.
 */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <math.h>

/* Where a tensor has the axis n, m or k; -1: nowhere. */
static int axis_of_n(enum role r)
{
    return r == T_K2 || r == T_V2 || r == T_DK2 || r == T_DV2 ? -1 : 2;
}
static int axis_of_m(enum role r)
{
    return r == T_K1 || r == T_V1 || r == T_DK1 || r == T_DV1 ? -1 : 3;
}

static int axis_of_k(enum role r)
{
    if (BROADCAST >> r & 1) return 4;
    if (r == T_K1 || r == T_V1 || r == T_DK1 || r == T_DV1) return 3;
    return r == T_K2 || r == T_V2 || r == T_DK2 || r == T_DV2 ? 2 : -1;
}

/* The part [from, to) of an axis, which may have size 1 in these roles. */
static floyd_tensor part_of(const problem *p, enum role r, int axis, int64_t from, int64_t to)
{
    const floyd_tensor *t = &p->t[r].view;
    floyd_tensor part = *t;
    if (t->size[axis] == 1 && (BROADCAST >> r & 1)) return part;
    part.data = (unsigned char *)t->data + from * t->stride[axis] * (int64_t)floyd_dtype_size(t->dtype);
    part.size[axis] = to - from;
    return part;
}

/* One carried call over the pivots [from, to). */
static void carry_part(problem *p, int64_t from, int64_t to)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    floyd_forward_args args = forward_args(p, FORWARD_OUTPUTS);
    floyd_tensor parts[ROLES];
    for (enum role r = T_Q; r < ROLES; r++) {
        const floyd_tensor **slot = forward_slot(&args, r);
        if (!slot || !*slot || axis_of_k(r) < 0) continue;
        parts[r] = part_of(p, r, axis_of_k(r), from, to);
        *slot = &parts[r];
    }
    args.carry = 1;
    options.threads = p->s.threads;
    assert_int_equal(run_forward_args(&args, &options), FLOYD_OK);
}

/* sum = 0 is the empty state: Y and max hold poison then, and must not be read. */
static void start_empty(problem *p)
{
    int64_t index[5] = {0};
    do tensor_set(&p->t[T_SUM].view, index, 0);
    while (tensor_next(&p->t[T_SUM].view, index));
}

static void check_carry(spec s, int64_t chunk)
{
    problem p = problem_new(&s);
    start_empty(&p);
    for (int64_t from = 0; from < s.K; from += chunk) carry_part(&p, from, from + chunk < s.K ? from + chunk : s.K);
    check_forward(&p);
    problem_free(&p);
}

static void test_carry(void **state)
{
    static const floyd_dtype dtypes[] = {FLOYD_F32, FLOYD_F64, FLOYD_F16, FLOYD_BF16};
    static const int64_t chunks[] = {1, 7, 32, 50, 99, 100};
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int d = 0; d < 4; d++)
            for (int kind = 0; kind < 4; kind++) {
                static const enum mask_kind kinds[] = {MASK_NONE, MASK_RANDOM, MASK_PADDING, MASK_ROWS};
                spec s = spec_of(1, 2, 5, 17, 100, i % 2 ? 16 : 12);
                s.dtype = dtypes[d];
                s.wide = d >= 2 ? 1u << T_Y : 0;
                s.mask = kinds[kind];
                s.R = 1 + kind;
                s.threads = 1 + d % 2;
                s.outputs = i % 2 ? &layout_permuted : &layout_contiguous;
                check_carry(s, chunks[i]);
            }
}

/* A cap, a bias and a fill mean the same in each part. */
static void test_carry_scores(void **state)
{
    static const int64_t chunks[] = {1, 7, 32, 50, 99, 100};
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int d = 0; d < 4; d++)
            for (int kind = MASK_NONE; kind <= MASK_ROWS; kind++) {
                spec s = spec_of(1, 2, 5, 17, 100, 12);
                add_extras(&s, kind % 2 ? CAP | BIAS | FILL : CAP | BIAS);
                s.dtype = (floyd_dtype)d;
                s.wide = 1u << T_Y;
                s.mask = (enum mask_kind)kind;
                s.bias = kind % 3 ? BIAS_NORMAL : BIAS_HOLES;
                s.bias_axes = i % 2 ? AXES_FULL : AXES_ROW;
                check_carry(s, chunks[i]);
            }
}

/* Chunks whose maxima differ by hundreds: what came before is scaled away, or what comes after. */
static void test_carry_far_apart(void **state)
{
    (void)state;
    for (int rising = 0; rising < 2; rising++) {
        spec s = spec_of(1, 1, 3, 4, 40, 8);
        s.scale = rising ? 30 : -30;
        s.mean = 0.5;
        check_carry(s, 10);
    }
}

/* The copies of max and sum beyond element 0 are written, not read. */
static void test_carry_reads_element_0(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 3, 17, 40, 8);
    s.R = 3;
    problem p = problem_new(&s);
    start_empty(&p);
    carry_part(&p, 0, 20);
    for (enum role r = T_MAX; r <= T_SUM; r++) {
        int64_t index[5] = {0};
        do
            if (index[4] > 0) tensor_set(&p.t[r].view, index, NAN);
        while (tensor_next(&p.t[r].view, index));
    }
    carry_part(&p, 20, 40);
    check_forward(&p);
    problem_free(&p);
}

static void add_part(problem *p, int (*axis_of)(enum role), int64_t from, int64_t to)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    floyd_backward_args args = backward_args(p, GRADIENTS);
    floyd_tensor parts[ROLES];
    for (enum role r = T_Q; r < ROLES; r++) {
        if (!p->t[r].block || axis_of(r) < 0) continue;
        parts[r] = part_of(p, r, axis_of(r), from, to);
        *backward_slot(&args, r) = &parts[r];
    }
    args.add = 1;
    options.threads = p->s.threads;
    assert_int_equal(run_backward_args(&args, &options), FLOYD_OK);
}

static void check_add(spec s, int (*axis_of)(enum role), int64_t size, int64_t chunk)
{
    problem p = problem_new(&s);
    store_reference_forward(&p);
    for (enum role r = T_DQ; r < ROLES; r++) tensor_fill_normal(&p.t[r].view, 0, 0, 0);
    for (int64_t from = 0; from < size; from += chunk)
        add_part(&p, axis_of, from, from + chunk < size ? from + chunk : size);
    check_backward(&p);
    problem_free(&p);
}

static void test_add(void **state)
{
    (void)state;
    for (int d = 0; d < 4; d++)
        for (int kind = MASK_NONE; kind <= MASK_ROWS; kind += 3) {
            spec s = spec_of(2, 1, 33, 35, 37, d >= 2 ? 16 : 12);
            s.dtype = (floyd_dtype)d;
            s.wide = d >= 2 ? (unsigned)GRADIENTS : 0;
            s.mask = (enum mask_kind)kind;
            s.threads = 1 + d % 2;
            s.outputs = d % 2 ? &layout_gapped : &layout_contiguous;
            check_add(s, axis_of_n, s.N, 10);
            check_add(s, axis_of_m, s.M, 17);
            check_add(s, axis_of_k, s.K, 16);
        }
}

/* Both, for heads as wide as models have them. */
static void test_wide_heads(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        spec s = spec_of(1, 1, 17, 18, 40, 64);
        s.dtype = i ? FLOYD_BF16 : FLOYD_F16;
        s.wide = 1u << T_Y | (unsigned)GRADIENTS;
        s.mask = MASK_ROWS;
        check_carry(s, 23);
        check_add(s, axis_of_n, s.N, 9);
        check_add(s, axis_of_k, s.K, 23);
    }
}

/* Parts of dbias lie beside each other, or are added up where it has size 1. */
static void test_add_scores(void **state)
{
    (void)state;
    for (unsigned axes = 0; axes < 32; axes++) {
        spec s = spec_of(2, 1, 13, 26, 17, 4);
        add_extras(&s, CAP | BIAS | DBIAS);
        s.dtype = (floyd_dtype)(axes % 4);
        s.wide = GRADIENTS;
        s.mask = axes % 3 ? MASK_ROWS : MASK_NONE;
        s.bias_axes = axes * 5 & 31;
        s.dbias_axes = axes;
        s.threads = 1 + (int)(axes % 2);
        check_add(s, axis_of_n, s.N, 5);
        check_add(s, axis_of_m, s.M, 17);
        check_add(s, axis_of_k, s.K, 6);
    }
}

/* The accumulator starts from the stored value: g stored before gives g + gradient, within rounding. */
static void test_add_to_values(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 20, 18, 19, 8);
    s.dbias = 1;
    s.dbias_axes = AXES_ROW;
    problem once = problem_new(&s), twice = problem_new(&s);
    store_reference_forward(&once);
    store_reference_forward(&twice);
    run_backward(&once);
    for (enum role r = T_DQ; r < ROLES; r++) tensor_fill_normal(&twice.t[r].view, 70 + r, 2, 1);
    add_part(&twice, axis_of_k, 0, s.K);
    for (enum role r = T_DQ; r < ROLES; r++) {
        if (!once.t[r].block || !(GRADIENTS >> r & 1)) continue;
        tensor before = tensor_new(FLOYD_F32, twice.t[r].view.size, &layout_contiguous);
        int64_t i[5] = {0};
        tensor_fill_normal(&before.view, 70 + r, 2, 1);
        /* Up to some 40 roundings of values below 16. */
        do
            if (!(fabs(tensor_get(&twice.t[r].view, i) - tensor_get(&before.view, i) -
                       tensor_get(&once.t[r].view, i)) <= 40 * 16 * (double)FLT_EPSILON / 2))
                fail_msg("%s was not added to", role_names[r]);
        while (tensor_next(&before.view, i));
        tensor_free(&before);
    }
    problem_free(&once);
    problem_free(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_carry),
                                       cmocka_unit_test(test_carry_scores),
                                       cmocka_unit_test(test_add_scores),
                                       cmocka_unit_test(test_carry_far_apart),
                                       cmocka_unit_test(test_carry_reads_element_0),
                                       cmocka_unit_test(test_add),
                                       cmocka_unit_test(test_wide_heads),
                                       cmocka_unit_test(test_add_to_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
