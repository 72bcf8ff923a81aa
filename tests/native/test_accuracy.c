/* SPDX-License-Identifier: Apache-2.0 */
/* Values against the reference: scales, magnitudes, batches, inputs that fit nothing. */
#include "cmocka_all.h"

#include "check.h"

#include <math.h>
#include <stdlib.h>

static void for_each_dtype(spec s)
{
    for (int dtype = 0; dtype < 4; dtype++) {
        s.dtype = (floyd_dtype)dtype;
        s.seed++;
        run_and_check(&s);
    }
}

static void test_batch_and_heads(void **state)
{
    (void)state;
    for_each_dtype(spec_of(3, 5, 9, 17, 21, 16));
    for_each_dtype(spec_of(1, 7, 33, 8, 16, 8));
}

static void test_scales(void **state)
{
    static const double scales[] = {0, -0.0, 1, -0.25, 0.1, -3};
    (void)state;
    for (int i = 0; i < 6; i++) {
        spec s = spec_of(2, 1, 17, 9, 33, 24);
        s.scale = scales[i];
        for_each_dtype(s);
        s.mask = MASK_RANDOM;
        for_each_dtype(s);
    }
}

/* Scores of some hundreds: the softmax is one-hot; and inputs so small that it is flat. */
static void test_magnitudes(void **state)
{
    static const struct {
        double mean, deviation;
    } kinds[] = {{0, 4}, {3, 2}, {-2, 1}, {0, 1e-3}, {0, 0.02}};
    (void)state;
    for (int i = 0; i < 5; i++) {
        spec s = spec_of(1, 2, 18, 19, 40, 32);
        s.mean = kinds[i].mean;
        s.deviation = kinds[i].deviation;
        for_each_dtype(s);
    }
}

/* max, sum and Y are used as given, also when they fit nothing. */
static void test_given_statistics(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 2, 17, 18, 33, 16);
        s.dtype = (floyd_dtype)dtype;
        s.mask = dtype % 2 ? MASK_ROWS : MASK_NONE;
        s.threads = 2;
        problem p = problem_new(&s);
        tensor_fill_normal(&p.t[T_MAX].view, 5, 3, 1);
        tensor_fill_normal(&p.t[T_SUM].view, 6, 40, 3);
        tensor_fill_normal(&p.t[T_Y].view, 7, 1, 2);
        run_backward(&p);
        check_backward(&p);
        problem_free(&p);
    }
}

/* Element 0 of the R copies is read, the others are not. */
static void test_copies_of_statistics(void **state)
{
    static const int64_t copies[] = {1, 3, 8};
    (void)state;
    for (int i = 0; i < 3; i++) {
        spec s = spec_of(2, 1, 9, 17, 16, 8);
        s.R = copies[i];
        s.dtype = i % 2 ? FLOYD_F64 : FLOYD_F16;
        run_and_check(&s);
        problem p = problem_new(&s);
        store_reference_forward(&p);
        for (enum role r = T_MAX; r <= T_SUM; r++) {
            int64_t index[5] = {0};
            do
                if (index[4] > 0) tensor_set(&p.t[r].view, index, NAN);
            while (tensor_next(&p.t[r].view, index));
        }
        run_backward(&p);
        check_backward(&p);
        problem_free(&p);
    }
}

/* The data of these tests says something: gradients are neither zero nor all alike. */
static void test_not_trivial(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 17, 16, 33, 16);
    problem p = problem_new(&s);
    run_forward(&p);
    store_reference_forward(&p);
    run_backward(&p);
    for (enum role r = T_DQ; r <= T_DV2; r++) {
        double *values = tensor_values(&p.t[r].view), low = values[0], high = values[0];
        for (int64_t i = 0, count = tensor_count(&p.t[r].view); i < count; i++) {
            low = fmin(low, values[i]);
            high = fmax(high, values[i]);
        }
        free(values);
        if (!(high - low > 0.1)) fail_msg("%s lies within [%g, %g]", role_names[r], low, high);
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_and_heads),      cmocka_unit_test(test_scales),
        cmocka_unit_test(test_magnitudes),           cmocka_unit_test(test_given_statistics),
        cmocka_unit_test(test_copies_of_statistics), cmocka_unit_test(test_not_trivial)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
