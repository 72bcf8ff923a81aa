/* SPDX-License-Identifier: Apache-2.0 */
/* The promise about bits where more is done to scores and weights: the problem alone decides, not how it is run. */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <stdlib.h>

/* Several tiles and tasks on every axis. */
static spec large_spec(unsigned i)
{
    static const int64_t shapes[][6] = {{2, 2, 26, 49, 65, 12}, {1, 1, 97, 30, 53, 16}, {1, 3, 33, 50, 53, 20}};
    const int64_t *z = shapes[i % 3];
    spec s = spec_of(z[0], z[1], z[2], z[3], z[4], z[5]);
    add_extras(&s, EXTRAS);
    s.dtype = (floyd_dtype)(i % 4);
    s.mask = (enum mask_kind)(i % 6);
    s.bias_axes = AXES_FULL ^ (i & 3);
    s.dbias_axes = i & 31;
    s.seed = i + 900;
    return s;
}

/* Each form of dbias is summed elsewhere. */
static void test_threads(void **state)
{
    static const int threads[] = {2, 3, 4, 7};
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        spec s = large_spec(i);
        problem first = computed(&s);
        for (unsigned t = i % 2; t < 4; t += 2) {
            s.threads = threads[t];
            expect_as(&first, &s, ALL_OUTPUTS, "another number of threads");
        }
        problem_free(&first);
    }
}

static void test_repeats(void **state)
{
    (void)state;
    spec s = large_spec(12);
    s.threads = 5;
    problem first = computed(&s);
    for (int i = 0; i < 10; i++) expect_as(&first, &s, ALL_OUTPUTS, "another run");
    problem_free(&first);
}

/* Gradients of the edges do not depend on whether dbias is asked for, nor on its form; nor it on them. */
static void test_subsets_of_gradients(void **state)
{
    (void)state;
    for (unsigned subset = 0; subset < 64; subset++) {
        const unsigned wanted = (subset & 31) << T_DQ | subset >> 5 << T_DBIAS;
        spec s = spec_of(1, 2, 26, 25, 51, 8);
        add_extras(&s, subset % 3 ? EXTRAS : DBIAS);
        s.dtype = (floyd_dtype)(subset % 4);
        s.mask = subset % 5 ? MASK_ROWS : MASK_NONE;
        s.dbias_axes = subset * 13 & 31;
        s.threads = 2;
        problem full = computed(&s), some = problem_new(&s);
        run_forward(&some);
        run_backward_wanted(&some, wanted);
        expect_same_bits(&full, &some, wanted, "some gradients");
        s.dbias_axes ^= 1u << subset % 5;
        expect_as(&full, &s, FORWARD_OUTPUTS | EDGE_GRADIENTS, "another form of dbias");
        problem_free(&full);
        problem_free(&some);
    }
}

/* What changes nothing changes no bit. */
static void test_neutral(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        spec s = large_spec(i);
        const spec plain = s;
        s.softmax_cap = s.mask_fill = s.dropout = 0;
        s.bias = BIAS_NONE;
        s.dbias = 0;
        problem first = computed(&s);
        s.mask_fill = -(double)FLT_MAX;
        s.dropout_seed = 9;
        expect_as(&first, &s, ALL_OUTPUTS, "the fill that is meant by none, and a seed of no dropout");
        s.dbias = 1;
        expect_as(&first, &s, ALL_OUTPUTS & ~(1 << T_DBIAS), "dbias");
        s.bias = BIAS_ZERO;
        s.bias_axes = plain.bias_axes;
        expect_as(&first, &s, ALL_OUTPUTS & ~(1 << T_DBIAS), "a bias of zeros");
        problem_free(&first);
    }
}

/* dbias without a bias is that of a bias of zeros. */
static void test_gradient_of_no_bias(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        spec s = large_spec(i);
        s.bias = BIAS_NONE;
        problem first = computed(&s);
        s.bias = BIAS_ZERO;
        expect_as(&first, &s, ALL_OUTPUTS, "a bias of zeros");
        problem_free(&first);
    }
}

/* Dropout does not change what is known before it. */
static void test_statistics_before_dropout(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        spec s = large_spec(i);
        problem first = computed(&s);
        s.dropout = 0;
        expect_as(&first, &s, 1u << T_MAX | 1u << T_SUM, "no dropout");
        problem_free(&first);
    }
}

/* In fp32 rather than half, with strides of 0, turned round: the same bias. */
static void test_bias_storage(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        spec s = large_spec(i);
        s.bias = BIAS_HOLES;
        s.bias_axes = 31 ^ (i * 2 & 31);
        problem first = computed(&s);
        const floyd_tensor *own = &first.t[T_BIAS].view;
        const int64_t full[] = {s.B, s.H, s.N, s.M, s.K};
        floyd_tensor expanded = *own;
        for (int a = 0; a < 5; a++) {
            if (own->size[a] == 1) expanded.stride[a] = 0;
            expanded.size[a] = full[a];
        }
        expect_same_with(&first, T_BIAS, &expanded, "strides of 0");
        double *values = tensor_values(&expanded);
        tensor turned = tensor_new(own->dtype, full, &layout_scattered);
        tensor wide = tensor_new(accumulator_of(s.dtype), full, &layout_contiguous);
        tensor_assign(&turned.view, values);
        tensor_assign(&wide.view, values);
        expect_same_with(&first, T_BIAS, &turned.view, "in full, turned round");
        expect_same_with(&first, T_BIAS, &wide.view, "in full and wide");
        free(values);
        tensor_free(&turned);
        tensor_free(&wide);
        problem_free(&first);
    }
}

static void test_layouts(void **state)
{
    static const layout *const others[] = {&layout_permuted, &layout_scattered, &layout_gapped};
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        spec s = spec_of(2, 2, 9, 26, 50, 12);
        add_extras(&s, EXTRAS);
        s.dtype = (floyd_dtype)(i % 4);
        s.mask = (enum mask_kind)(i % 6);
        s.dbias_axes = i;
        problem first = computed(&s);
        s.inputs = others[i % 3];
        s.outputs = others[(i + 1) % 3];
        expect_as(&first, &s, ALL_OUTPUTS, "another layout");
        problem_free(&first);
    }
}

/* Stored once for all heads, or once for all, dbias is the sum over full heads; full heads do not know each other.
 */
static void test_head_alone(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 3, 25, 26, 50, 16);
        add_extras(&s, EXTRAS & ~DROPOUT);
        s.bias_axes = 31 ^ 1 << 1;
        s.dtype = (floyd_dtype)dtype;
        problem whole = computed(&s);
        s.H = 1;
        problem head = problem_new(&s);
        for (int64_t h = 0; h < 3; h++) {
            floyd_tensor slices[ROLES];
            for (enum role r = T_Q; r < ROLES; r++) {
                floyd_tensor *t = &slices[r];
                *t = whole.t[r].view;
                if (t->size[1] != 3) continue;
                t->data = (char *)t->data + h * t->stride[1] * (int64_t)floyd_dtype_size(t->dtype);
                t->size[1] = 1;
            }
            for (enum role r = T_Q; r < ROLES; r++) {
                if (!head.t[r].block || ((FORWARD_OUTPUTS | GRADIENTS) >> r & 1)) continue;
                double *values = tensor_values(&slices[r]);
                tensor_assign(&head.t[r].view, values);
                free(values);
            }
            run_forward(&head);
            run_backward(&head);
            for (enum role r = T_Y; r < ROLES; r++) expect_same_view(&slices[r], &head.t[r].view, role_names[r]);
        }
        problem_free(&whole);
        problem_free(&head);
    }
}

/* Added to what is stored: nothing stored gives the bits of a run that overwrites. */
static void test_add_to_zeros(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        spec s = large_spec(i);
        s.wide = GRADIENTS;
        problem first = computed(&s), added = problem_new(&s);
        run_forward(&added);
        for (enum role r = T_DQ; r < ROLES; r++)
            if (GRADIENTS >> r & 1) tensor_fill_normal(&added.t[r].view, 0, 0, 0);
        floyd_backward_args args = backward_args(&added, GRADIENTS);
        args.add = 1;
        assert_int_equal(run_backward_args(&args, NULL), FLOYD_OK);
        expect_same_bits(&first, &added, GRADIENTS, "added to zeros");
        problem_free(&first);
        problem_free(&added);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_repeats),
                                       cmocka_unit_test(test_subsets_of_gradients),
                                       cmocka_unit_test(test_neutral),
                                       cmocka_unit_test(test_gradient_of_no_bias),
                                       cmocka_unit_test(test_statistics_before_dropout),
                                       cmocka_unit_test(test_bias_storage),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_head_alone),
                                       cmocka_unit_test(test_add_to_zeros)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
