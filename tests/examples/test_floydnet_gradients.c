/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of every parameter of a small network against central differences, all in fp64: two layers, two
 * heads, two padded graphs of different size, one of them in two pieces.
 *
 * With D(h) = (L(w+h) - L(w-h)) / 2h, the true gradient is D(h) + c h^2 + O(h^4), so that D(h/2) is off by a third
 * of |D(h) - D(h/2)|; the whole of it is allowed. Rounding: L is a mean of logarithms that went through less than
 * 200 dependent roundings, so it is known to 200 eps |L|, and D(h/2) to 200 eps |L| / (h/2).
 */
#include "cmocka_all.h"

#include "net.h"
#include "ops.h"
#include "util.h"

#include <float.h>

static const net_config CONFIG = {.layers = 2, .heads = 2, .head_size = 3, .hidden = 7, .classes = 4};
static const double STEP = 1e-4;

typedef struct fixture {
    net_params params, grads;
    batch input;
    net_state *state;
} fixture;

/* A path of five nodes, and a triangle beside a path of four. */
static batch two_graphs(void)
{
    static const int edges[2][6][2] = {{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {3, 4}, {3, 4}},
                                       {{0, 1}, {1, 2}, {0, 2}, {3, 4}, {4, 5}, {5, 6}}};
    graph graphs[2] = {graph_new(5), graph_new(7)};
    for (int g = 0; g < 2; g++) {
        for (int e = 0; e < 6; e++) {
            const int u = edges[g][e][0], v = edges[g][e][1], nodes = graphs[g].nodes;
            graphs[g].adjacent[u * nodes + v] = graphs[g].adjacent[v * nodes + u] = 1;
        }
    }
    const batch b = batch_new(&CONFIG, graphs, 2);
    graph_free(&graphs[0]);
    graph_free(&graphs[1]);
    return b;
}

static fixture fixture_new(void)
{
    uint64_t random = 11;
    fixture f = {net_params_new(&CONFIG), net_params_new(&CONFIG), two_graphs(), NULL};
    f.state = net_state_new(&CONFIG, f.input.graphs, f.input.nodes);
    net_params_init(&CONFIG, &f.params, &random);
    /* Away from the start: biases and gains that matter, and layers that add much. */
    for (size_t i = 0; i < f.params.count; i++) f.params.flat[i] += 0.2 * random_normal(&random);
    return f;
}

static void fixture_free(fixture *f)
{
    free(f->params.flat);
    free(f->grads.flat);
    batch_free(&f->input);
    net_state_free(f->state);
}

static double loss(const fixture *f)
{
    real *score = net_forward(&CONFIG, &f->params, &f->input, f->state, 1);
    const int pairs = f->input.graphs * f->input.nodes * f->input.nodes;
    return cross_entropy(pairs, CONFIG.classes, f->input.label, score);
}

static double central_difference(const fixture *f, real *value, double step)
{
    const double at = *value;
    *value = at + step;
    const double above = loss(f);
    *value = at - step;
    const double below = loss(f);
    *value = at;
    return (above - below) / (2 * step);
}

static void test_every_gradient(void **state)
{
    (void)state;
    fixture f = fixture_new();
    net_forward(&CONFIG, &f.params, &f.input, f.state, 2);
    const double value = net_backward(&CONFIG, &f.params, &f.input, f.state, 2, &f.grads);
    const double rounding = 200 * DBL_EPSILON * fabs(value) / (STEP / 2);
    size_t telling = 0;
    assert_true(f.grads.count == f.params.count && value > 0.1);
    for (size_t i = 0; i < f.params.count; i++) {
        const double coarse = central_difference(&f, &f.params.flat[i], STEP);
        const double fine = central_difference(&f, &f.params.flat[i], STEP / 2);
        const double tolerance = fabs(coarse - fine) + rounding, error = fabs(f.grads.flat[i] - fine);
        if (!(error <= tolerance)) {
            fail_msg("parameter %zu of %zu: gradient %.12g, difference %.12g, off by %.3g, allowed %.3g", i,
                     f.params.count, f.grads.flat[i], fine, error, tolerance);
        }
        telling += fabs(fine) > 1000 * tolerance;
    }
    /* Biases of keys shift all scores of a row alike and have no gradient: they, and little else, may be zero. */
    print_message("%zu of %zu gradients are told from zero by a factor of 1000\n", telling, f.params.count);
    assert_true(telling > f.params.count * 8 / 10);
    fixture_free(&f);
}

/* Gradients add to what is there: a second pass doubles them. */
static void test_gradients_add(void **state)
{
    (void)state;
    fixture f = fixture_new();
    net_params once = net_params_new(&CONFIG);
    net_forward(&CONFIG, &f.params, &f.input, f.state, 1);
    net_backward(&CONFIG, &f.params, &f.input, f.state, 1, &once);
    for (int pass = 0; pass < 2; pass++) {
        net_forward(&CONFIG, &f.params, &f.input, f.state, 1);
        net_backward(&CONFIG, &f.params, &f.input, f.state, 1, &f.grads);
    }
    for (size_t i = 0; i < once.count; i++) {
        /* The second pass adds its terms one by one to a sum that is not zero: some rounding remains. */
        const double tolerance = 400 * DBL_EPSILON * (fabs(once.flat[i]) + 1);
        assert_true(fabs(f.grads.flat[i] - 2 * once.flat[i]) <= tolerance);
    }
    free(once.flat);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_gradient), cmocka_unit_test(test_gradients_add)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
