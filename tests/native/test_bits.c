/* SPDX-License-Identifier: Apache-2.0 */
/* The promise about bits: the value of every output element depends on the problem alone. */
#include "cmocka_all.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

/* Large enough for many tiles and tasks on every axis. */
static spec large_spec(int i)
{
    static const int64_t shapes[][6] = {{2, 2, 70, 67, 65, 24}, {1, 1, 129, 70, 97, 32}, {1, 3, 33, 100, 65, 20}};
    const int64_t *z = shapes[i % 3];
    spec s = spec_of(z[0], z[1], z[2], z[3], z[4], z[5]);
    s.dtype = (floyd_dtype)(i % 4);
    s.mask = i % 2 ? MASK_ROWS : MASK_NONE;
    s.seed = (uint64_t)i + 500;
    return s;
}

static void test_threads(void **state)
{
    static const int threads[] = {1, 2, 3, 7, 16};
    (void)state;
    for (int i = 0; i < 6; i++) {
        spec s = large_spec(i);
        problem first = computed(&s);
        for (int t = 0; t < 5; t++) {
            s.threads = threads[t];
            expect_as(&first, &s, ALL_OUTPUTS, "another number of threads");
        }
        problem_free(&first);
    }
}

/* The orders in which threads meet differ from run to run; bits do not. */
static void test_repeats(void **state)
{
    (void)state;
    spec s = large_spec(0);
    s.threads = 5;
    problem first = computed(&s);
    for (int i = 0; i < 10; i++) expect_as(&first, &s, ALL_OUTPUTS, "another run");
    problem_free(&first);
}

static floyd_tensor head_view(const floyd_tensor *t, int64_t b, int64_t h)
{
    floyd_tensor head = *t;
    head.size[0] = head.size[1] = 1;
    head.data =
        (unsigned char *)t->data + (b * t->stride[0] + h * t->stride[1]) * (int64_t)floyd_dtype_size(t->dtype);
    return head;
}

/* Head (b,h) of one problem as a problem of its own, contiguous. */
static problem head_of(const problem *whole, int64_t b, int64_t h)
{
    spec s = whole->s;
    s.B = s.H = 1;
    s.mask = MASK_NONE;
    problem head = problem_new(&s);
    tensor full = {0};
    for (enum role r = T_Q; r <= T_DY; r++) {
        if (r == T_MASK) {
            if (whole->s.mask == MASK_NONE) continue;
            full = mask_expanded(whole);
        }
        const floyd_tensor slice = head_view(r == T_MASK ? &full.view : &whole->t[r].view, b, h);
        if (r == T_MASK) head.t[r] = tensor_new(FLOYD_U8, slice.size, &layout_contiguous);
        double *values = tensor_values(&slice);
        tensor_assign(&head.t[r].view, values);
        free(values);
    }
    tensor_free(&full);
    return head;
}

static void test_head_alone(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(2, 3, 37, 40, 66, 16);
        s.dtype = (floyd_dtype)dtype;
        s.mask = dtype % 2 ? MASK_RANDOM : MASK_NONE;
        s.threads = 3;
        problem whole = computed(&s);
        for (int64_t b = 0; b < 2; b++)
            for (int64_t h = 0; h < 3; h++) {
                problem head = head_of(&whole, b, h);
                run_forward(&head);
                run_backward(&head);
                for (enum role r = T_Y; r < ROLES; r++) {
                    const floyd_tensor slice = head_view(&whole.t[r].view, b, h);
                    expect_same_view(&slice, &head.t[r].view, role_names[r]);
                }
                problem_free(&head);
            }
        problem_free(&whole);
    }
}

/* Every order of the axes in memory, in inputs and in outputs. */
static void test_stride_orders(void **state)
{
    (void)state;
    for (int i = 0; i < 120; i++) {
        layout shuffled = layout_contiguous;
        int left[5] = {0, 1, 2, 3, 4};
        for (int a = 0, rest = i; a < 5; a++) {
            const int pick = rest % (5 - a);
            rest /= 5 - a;
            shuffled.order[a] = left[pick];
            memmove(left + pick, left + pick + 1, (size_t)(4 - pick) * sizeof *left);
        }
        spec s = spec_of(2, 2, 9, 18, 33, 12);
        s.dtype = (floyd_dtype)(i % 4);
        s.mask = MASK_RANDOM;
        problem first = computed(&s);
        s.inputs = &shuffled;
        expect_as(&first, &s, ALL_OUTPUTS, "another order of the inputs' strides");
        s.outputs = &shuffled;
        expect_as(&first, &s, ALL_OUTPUTS, "another order of the outputs' strides");
        problem_free(&first);
    }
}

static void test_layouts(void **state)
{
    static const layout *const others[] = {&layout_permuted, &layout_scattered, &layout_gapped};
    (void)state;
    for (int i = 0; i < 6; i++) {
        spec s = large_spec(i);
        problem first = computed(&s);
        s.inputs = others[i % 3];
        s.outputs = others[(i + 1) % 3];
        expect_as(&first, &s, ALL_OUTPUTS, "another layout");
        problem_free(&first);
    }
}

/* Where the mask hides the rest of k, tiles end: seen the same whatever the mask's strides. */
static void test_layouts_of_padding(void **state)
{
    static const layout *const others[] = {&layout_permuted, &layout_scattered, &layout_gapped};
    static const enum mask_kind kinds[] = {MASK_PADDING, MASK_ROWS};
    (void)state;
    for (int i = 0; i < 6; i++) {
        spec s = spec_of(2, 2, 30, 20, 90, 8);
        s.mask = kinds[i / 3];
        s.mask_axes = i % 2 ? AXES_FULL : AXES_USUAL;
        problem first = computed(&s);
        s.inputs = others[i % 3];
        expect_as(&first, &s, ALL_OUTPUTS, "another layout of padding");
        problem_free(&first);
    }
}

/* Each subset of the gradients gives the bits of the full run. */
static void test_subsets_of_gradients(void **state)
{
    (void)state;
    for (unsigned subset = 0; subset < 32; subset++) {
        spec s = spec_of(1, 2, 35, 34, 67, 12);
        s.dtype = (floyd_dtype)(subset % 4);
        s.threads = 2;
        problem full = computed(&s), some = problem_new(&s);
        run_forward(&some);
        run_backward_wanted(&some, subset << T_DQ);
        expect_same_bits(&full, &some, subset << T_DQ, "some gradients");
        problem_free(&full);
        problem_free(&some);
    }
}

static void test_subsets_of_forward(void **state)
{
    (void)state;
    for (unsigned subset = 0; subset < 4; subset++) {
        const unsigned wanted = 1u << T_Y | subset << T_MAX;
        spec s = spec_of(1, 2, 35, 34, 67, 12);
        problem full = computed(&s), some = problem_new(&s);
        const floyd_forward_args args = forward_args(&some, wanted);
        assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
        expect_same_bits(&full, &some, wanted, "some of y, max and sum");
        for (enum role r = T_MAX; r <= T_SUM; r++)
            if (!(wanted >> r & 1)) assert_true(tensor_untouched(&some.t[r]));
        problem_free(&full);
        problem_free(&some);
    }
}

static void test_mask_storage(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(2, 2, 19, 18, 70, 8);
        s.dtype = (floyd_dtype)dtype;
        s.mask = dtype % 2 ? MASK_ROWS : MASK_RANDOM;
        problem first = computed(&s);
        tensor full = mask_expanded(&first);
        expect_same_with(&first, T_MASK, &full.view, "the mask in full");
        floyd_tensor expanded = first.t[T_MASK].view;
        expanded.size[1] = s.H, expanded.stride[1] = 0;
        expanded.size[3] = s.M, expanded.stride[3] = 0;
        expect_same_with(&first, T_MASK, &expanded, "the mask with strides of 0");
        tensor turned = tensor_new(FLOYD_U8, first.t[T_MASK].view.size, &layout_scattered);
        double *values = tensor_values(&first.t[T_MASK].view);
        for (int64_t i = 0; i < tensor_count(&turned.view); i++) values[i] = values[i] != 0;
        tensor_assign(&turned.view, values);
        expect_same_with(&first, T_MASK, &turned.view, "the mask as ones, turned round");
        free(values);
        tensor_free(&turned);
        tensor_free(&full);
        problem_free(&first);
    }
}

static void test_null_mask(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        spec s = large_spec(2 * i);
        s.dtype = (floyd_dtype)i;
        s.mask = MASK_NONE;
        problem first = computed(&s);
        s.mask = MASK_ZERO;
        expect_as(&first, &s, ALL_OUTPUTS, "a mask of zeros");
        s.mask_axes = 0;
        expect_as(&first, &s, ALL_OUTPUTS, "a mask of one zero");
        s.rule = FLOYD_MASK_ZERO_GRAD;
        expect_as(&first, &s, ALL_OUTPUTS, "the other mask rule");
        problem_free(&first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_repeats),
                                       cmocka_unit_test(test_head_alone),
                                       cmocka_unit_test(test_stride_orders),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_layouts_of_padding),
                                       cmocka_unit_test(test_subsets_of_gradients),
                                       cmocka_unit_test(test_subsets_of_forward),
                                       cmocka_unit_test(test_mask_storage),
                                       cmocka_unit_test(test_null_mask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
