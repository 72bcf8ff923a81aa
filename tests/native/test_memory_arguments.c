/* SPDX-License-Identifier: Apache-2.0 */
/* Strides, products that overflow, bytes that are shared, and the workspace's own errors. */
#include "cmocka_all.h"

#include "check.h"
#include "refusal.h"

#include <stdlib.h>
#include <string.h>

static void refuse_stride(int backward, enum role r, const int64_t stride[5])
{
    call *c = call_about(backward, 1u << r);
    memcpy(c->views[r].stride, stride, sizeof c->views[r].stride);
    expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_STRIDE, role_names[r], NULL, NULL);
}

/* Stride 0, a stride one too short on each axis, and two axes that run into each other. */
static void test_stride(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++) {
            call *c = call_about(backward, 1u << r);
            const floyd_tensor t = c->views[r];
            const int writes = call_writes(c, r);
            call_free(c);
            for (int axis = 0; writes && axis < 5; axis++) {
                int64_t stride[5];
                memcpy(stride, t.stride, sizeof stride);
                stride[axis] = 0;
                refuse_stride(backward, r, stride);
                if (axis == 4) continue;
                /* Exactly the summed extent of the smaller ones: the element after the last one's place. */
                stride[axis] = -(t.stride[axis] - 1);
                refuse_stride(backward, r, stride);
                stride[axis] = t.stride[axis + 1];
                refuse_stride(backward, r, stride);
            }
        }
}

/* The rule is about |stride| and says nothing of axes of size 1: [D,N,M,..] orders and gaps are accepted. */
static void test_strides_that_are_fine(void **state)
{
    (void)state;
    call *c = call_about(1, 0);
    floyd_tensor *t = &c->views[T_DQ];
    size_t bytes;
    /* Innermost n, then d reversed, m, h, b: each |stride| is the extent of those before it. */
    t->stride[2] = 1;
    t->stride[4] = -REFUSAL_N;
    t->stride[3] = REFUSAL_N * REFUSAL_D;
    assert_int_equal(floyd_backward_workspace(&c->bargs, &c->options, &bytes), FLOYD_OK);
    /* One more than the summed extent (5 - 1) * 1 + (13 - 1) * 5 is enough. */
    t->stride[3] = (REFUSAL_N - 1) + (REFUSAL_D - 1) * REFUSAL_N + 1;
    assert_int_equal(floyd_backward_workspace(&c->bargs, &c->options, &bytes), FLOYD_OK);
    t->stride[3]--;
    assert_int_equal(floyd_backward_workspace(&c->bargs, &c->options, &bytes), FLOYD_ERROR_STRIDE);
    call_free(c);
}

static void test_overflow_of_strides(void **state)
{
    static const int64_t strides[] = {INT64_MAX, INT64_MIN, INT64_MAX / 2, INT64_C(1) << 62, -(INT64_C(1) << 62)};
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++)
            for (int i = 0; i < 5; i++) {
                call *c = call_about(backward, 1u << r);
                if (!call_has(c, r)) {
                    call_free(c);
                    continue;
                }
                /* Axis 2 has 5 elements of at least one byte: 4 * 2^62 overflows. */
                c->views[r].stride[2] = strides[i];
                expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_OVERFLOW, role_names[r], NULL, NULL);
            }
}

/* Elements beyond the last address, or before the first: no memory is there. */
static void test_beyond_addresses(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++)
            for (int before = 0; before < 2; before++) {
                call *c = call_about(backward, 1u << r);
                if (!call_has(c, r)) {
                    call_free(c);
                    continue;
                }
                /* Axis 4 has more than 8 elements. */
                const uintptr_t near_end = before ? 16 : UINTPTR_MAX - 15;
                c->views[r].data = (void *)near_end;
                if (before)
                    for (int a = 0; a < 5; a++) c->views[r].stride[a] = -c->views[r].stride[a];
                expect_refusal(c, RUN_ONLY, FLOYD_ERROR_OVERFLOW, role_names[r], "addresses", NULL);
            }
}

static void test_overflow_of_sizes(void **state)
{
    static const int64_t shapes[][6] = {{INT64_C(1) << 40, INT64_C(1) << 40, 1, 1, 1, 1},
                                        {1, 1, INT64_C(1) << 32, INT64_C(1) << 32, 1, 1},
                                        {1, 1, 1, INT64_C(1) << 31, INT64_C(1) << 31, 2},
                                        {1, INT64_MAX, 1, 1, 1, INT64_MAX},
                                        {INT64_MAX, 1, 1, 1, 1, 1}};
    (void)state;
    for (int i = 0; i < 5; i++)
        for (int backward = 0; backward < 2; backward++) {
            call *c = call_about(backward, 0);
            const int64_t *z = shapes[i];
            const spec s = spec_of(z[0], z[1], z[2], z[3], z[4], z[5]);
            for (enum role r = T_Q; r < ROLES; r++) {
                role_size(&s, r, c->views[r].size);
                memset(c->views[r].stride, 0, sizeof c->views[r].stride);
                if (call_writes(c, r)) /* a shape whose elements could not be addressed: its strides overflow too */
                    for (int a = 0; a < 5; a++) c->views[r].stride[a] = 1;
            }
            if (call_has(c, T_MASK)) *call_slot(c, T_MASK) = NULL;
            expect_refusal(c, QUERY_AND_RUN, FLOYD_ERROR_OVERFLOW, NULL, NULL, NULL);
        }
}

/* Inputs may share everything; they may repeat huge extents with stride 0. */
static void test_inputs_may_overlap(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 16, 16, 16, 8);
    problem p = problem_new(&s);
    floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    args.k1 = args.v1 = args.k2 = args.v2 = args.q;
    assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
    double *q = tensor_values(&p.t[T_Q].view);
    for (enum role r = T_K1; r <= T_V2; r++) tensor_assign(&p.t[r].view, q);
    check_forward(&p);
    free(q);
    problem_free(&p);
}

/*
 * Output r and another tensor in one block of poison, sharing a single byte: the last of r and the first
 * of the other, or the other way round. No third tensor is near.
 */
static void refuse_overlap(int backward, enum role r, enum role other, int other_first)
{
    call *c = call_about(backward, 1u << r | 1u << other);
    if (!call_has(c, other)) {
        call_free(c);
        return;
    }
    const enum role low = other_first ? other : r, high = other_first ? r : other;
    tensor block = {.bytes = c->p.t[r].bytes + c->p.t[other].bytes - 1};
    block.block = malloc(block.bytes);
    tensor_poison(&block);
    c->views[low].data = block.block;
    c->views[high].data = block.block + c->p.t[low].bytes - 1;
    expect_refusal(c, RUN_ONLY, FLOYD_ERROR_OVERLAP, role_names[r], role_names[other], NULL);
    assert_true(tensor_untouched(&block));
    tensor_free(&block);
}

static void test_overlap(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++)
            for (enum role other = T_Q; other < ROLES; other++) {
                call *c = call_about(backward, 1u << r | 1u << other);
                const int writes = call_writes(c, r);
                call_free(c);
                if (!writes || r == other) continue;
                refuse_overlap(backward, r, other, 0);
                refuse_overlap(backward, r, other, 1);
            }
}

/* An output whose strides go down begins at its last byte: what shares its first one shares it all the same. */
static void test_overlap_below(void **state)
{
    (void)state;
    for (int above = 0; above < 2; above++) {
        call *c = call_about(0, 0);
        floyd_tensor *y = &c->views[T_Y], *v2 = &c->views[T_V2];
        const size_t elements = (size_t)tensor_count(y);
        tensor block = {.bytes = c->p.t[T_Y].bytes + c->p.t[T_V2].bytes};
        block.block = malloc(block.bytes);
        tensor_poison(&block);
        v2->data = block.block + above * sizeof(float); /* below y, or over one element of it */
        y->data = block.block + c->p.t[T_V2].bytes + (elements - 1) * sizeof(float);
        for (int a = 0; a < 5; a++) y->stride[a] = -y->stride[a];
        if (above) {
            expect_refusal(c, RUN_ONLY, FLOYD_ERROR_OVERLAP, "y", "v2", NULL);
            assert_true(tensor_untouched(&block));
        } else {
            assert_int_equal(floyd_forward(&c->fargs, &c->options, c->workspace, c->bytes), FLOYD_OK);
            call_free(c);
        }
        tensor_free(&block);
    }
}

static void test_overlap_with_workspace(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++)
            for (int at_end = 0; at_end < 2; at_end++) {
                call *c = call_about(backward, 1u << r);
                if (!call_writes(c, r)) {
                    call_free(c);
                    continue;
                }
                const size_t span = (size_t)tensor_count(&c->views[r]) * floyd_dtype_size(c->views[r].dtype);
                assert_true(c->bytes > 0);
                c->views[r].data = at_end ? c->workspace + c->bytes - 1 : c->workspace + 1 - span;
                expect_refusal(c, RUN_ONLY, FLOYD_ERROR_OVERLAP, role_names[r], "workspace", NULL);
            }
}

/* The workspace is written, so inputs are to keep out of it as well: of this one the first byte does not. */
static void test_input_in_workspace(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (enum role r = T_Q; r < ROLES; r++) {
            call *c = call_about(backward, 1u << r);
            if (!call_has(c, r) || call_writes(c, r)) {
                call_free(c);
                continue;
            }
            free(c->workspace);
            c->workspace = malloc(c->bytes + c->p.t[r].bytes);
            c->views[r].data = c->workspace + c->bytes - 1;
            expect_refusal(c, RUN_ONLY, FLOYD_ERROR_OVERLAP, role_names[r], "workspace", NULL);
        }
}

/* Side by side is no overlap: outputs and inputs in one block without a byte between them. */
static void test_neighbours_are_fine(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 9, 17, 8, 8);
    problem p = problem_new(&s);
    floyd_backward_args args = backward_args(&p, GRADIENTS);
    floyd_tensor views[ROLES];
    size_t total = 0;
    store_reference_forward(&p);
    for (enum role r = T_Q; r < ROLES; r++) total += p.t[r].bytes;
    unsigned char *block = malloc(total), *at = block;
    for (enum role r = T_Q; r < ROLES; r++) {
        if (BROADCAST >> r & 1) continue;
        memcpy(at, p.t[r].block, p.t[r].bytes);
        views[r] = p.t[r].view;
        views[r].data = at;
        at += p.t[r].bytes;
        *backward_slot(&args, r) = &views[r];
    }
    assert_int_equal(run_backward_args(&args, NULL), FLOYD_OK);
    run_backward(&p);
    for (enum role r = T_DQ; r <= T_DV2; r++) expect_same_view(&views[r], &p.t[r].view, role_names[r]);
    free(block);
    problem_free(&p);
}

static void test_workspace(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++)
        for (int empty = 0; empty < 2; empty++) {
            call *c = call_about(backward, 0);
            const size_t needed = c->bytes;
            assert_true(needed > 0);
            c->bytes = empty ? 0 : needed - 1;
            expect_refusal(c, RUN_ONLY, FLOYD_ERROR_WORKSPACE, "workspace",
                           number((int64_t)(empty ? 0 : needed - 1)), number((int64_t)needed));
            c = call_about(backward, 0);
            unsigned char *kept = c->workspace;
            c->workspace = NULL;
            free(kept);
            expect_refusal(c, RUN_ONLY, FLOYD_ERROR_NULL, "workspace", NULL, NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stride),
                                       cmocka_unit_test(test_strides_that_are_fine),
                                       cmocka_unit_test(test_overflow_of_strides),
                                       cmocka_unit_test(test_beyond_addresses),
                                       cmocka_unit_test(test_overflow_of_sizes),
                                       cmocka_unit_test(test_inputs_may_overlap),
                                       cmocka_unit_test(test_overlap),
                                       cmocka_unit_test(test_overlap_below),
                                       cmocka_unit_test(test_overlap_with_workspace),
                                       cmocka_unit_test(test_input_in_workspace),
                                       cmocka_unit_test(test_neighbours_are_fine),
                                       cmocka_unit_test(test_workspace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
