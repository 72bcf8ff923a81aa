/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What training rests on: the matrix product against a plain one in double, padding that changes nothing, and the
 * promise that the number of threads changes no bit.
 */
#include "cmocka_all.h"

#include "matmul.h"
#include "product.h"
#include "train.h"
#include "util.h"

#include <float.h>
#include <string.h>

static real *random_values(size_t count, uint64_t *random)
{
    real *values = allocate(count, sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = (real)random_normal(random);
    return values;
}

/* |error| <= (depth + 1) eps sum |a b|: one rounding for each of depth multiply-adds, whether fused or not. */
static void check_product(product_fn *product, int rows, int cols, int depth, int transposed)
{
    uint64_t random = (uint64_t)(rows * 1000 + cols * 10 + depth);
    const int ldb = cols + 3, ldc = cols + 1, a_row = transposed ? 1 : depth, a_depth = transposed ? rows : 1;
    real *a = random_values((size_t)(rows * depth), &random), *b = random_values((size_t)(depth * ldb), &random);
    real *c = random_values((size_t)(rows * ldc), &random), *before = allocate((size_t)(rows * ldc), sizeof *c);
    memcpy(before, c, (size_t)(rows * ldc) * sizeof *c);
    product(rows, cols, depth, a, a_row, a_depth, b, ldb, c, ldc);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < ldc; j++) {
            double sum = (double)before[i * ldc + j], size = fabs(sum);
            for (int k = 0; k < depth && j < cols; k++) {
                const double term = (double)a[i * a_row + k * a_depth] * (double)b[k * ldb + j];
                sum += term;
                size += fabs(term);
            }
            assert_true(fabs((double)c[i * ldc + j] - sum) <=
                        (j < cols ? (depth + 1) * (double)FLT_EPSILON * size : 0));
        }
    }
    free(a);
    free(b);
    free(c);
    free(before);
}

static void test_product(void **state)
{
    static const int rows[] = {1, 4, 5, 11}, cols[] = {1, 10, 16, 33, 48}, depths[] = {1, 32, 127, 128, 300};
    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 5; j++) {
            for (int k = 0; k < 5; k++) {
                for (int transposed = 0; transposed < 2; transposed++) {
                    check_product(matmul_add, rows[i], cols[j], depths[k], transposed);
                    check_product(product_plain, rows[i], cols[j], depths[k], transposed);
                }
            }
        }
    }
}

static const net_config SMALL = {.layers = 3, .heads = 2, .head_size = 8, .hidden = 16, .classes = 6};

/*
 * A graph's scores do not depend on the larger graph it is padded beside: masked pivots take no part. Not to the
 * bit: the longer pivot axis may be summed in other parts. Scores are of order 1 and pass some hundred roundings.
 */
static void test_padding_changes_nothing(void **state)
{
    (void)state;
    uint64_t random = 5;
    graph graphs[2] = {graph_random(&random, 9, 9), graph_random(&random, 20, 20)};
    net_params params = net_params_new(&SMALL);
    net_params_init(&SMALL, &params, &random);
    batch alone = batch_new(&SMALL, graphs, 1), beside = batch_new(&SMALL, graphs, 2);
    net_state *one = net_state_new(&SMALL, 1, 9), *two = net_state_new(&SMALL, 2, 20);
    const real *a = net_forward(&SMALL, &params, &alone, one, 1),
               *b = net_forward(&SMALL, &params, &beside, two, 2);
    for (int u = 0; u < 9; u++) {
        for (int v = 0; v < 9 * SMALL.classes; v++) {
            const double expected = (double)a[u * 9 * SMALL.classes + v];
            assert_true(fabs((double)b[u * 20 * SMALL.classes + v] - expected) <=
                        500 * (double)FLT_EPSILON * (1 + fabs(expected)));
        }
    }
    net_state_free(one);
    net_state_free(two);
    batch_free(&alone);
    batch_free(&beside);
    graph_free(&graphs[0]);
    graph_free(&graphs[1]);
    free(params.flat);
}

static void test_threads_change_no_bit(void **state)
{
    enum { STEPS = 3 };
    (void)state;
    trainer *one = trainer_new(&SMALL, 7, STEPS, 1), *three = trainer_new(&SMALL, 7, STEPS, 3);
    trainer *other = trainer_new(&SMALL, 8, STEPS, 1);
    for (int i = 0; i < STEPS; i++) {
        const double loss = trainer_step(one);
        assert_true(loss > 0 && loss == trainer_step(three) && loss != trainer_step(other));
    }
    assert_memory_equal(one->params.flat, three->params.flat, one->params.count * sizeof(real));
    assert_memory_not_equal(one->params.flat, other->params.flat, one->params.count * sizeof(real));
    trainer_free(one);
    trainer_free(three);
    trainer_free(other);
}

/* Twenty steps bring the loss of the same kind of graphs well below the start's. */
static void test_loss_falls(void **state)
{
    enum { STEPS = 20 };
    (void)state;
    trainer *t = trainer_new(&SMALL, 1, STEPS, 2);
    double first = 0, last = 0;
    for (int i = 0; i < STEPS; i++) {
        const double loss = trainer_step(t);
        first += i < 4 ? loss : 0;
        last += i >= STEPS - 4 ? loss : 0;
    }
    print_message("loss %.3f at the start, %.3f after %d steps\n", first / 4, last / 4, STEPS);
    assert_true(last < 0.9 * first);
    trainer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product), cmocka_unit_test(test_padding_changes_nothing),
        cmocka_unit_test(test_threads_change_no_bit), cmocka_unit_test(test_loss_falls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
