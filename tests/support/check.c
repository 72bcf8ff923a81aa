/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "check.h"
#include "golden.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double half_ulp(floyd_dtype dtype, double value)
{
    static const int mantissa[] = {23, 52, 10, 7}, lowest[] = {-126, -1022, -14, -126};
    const double size = fabs(value);
    const int exponent = size > 0 && isfinite(size) ? ilogb(size) : lowest[dtype];
    return ldexp(0.5, (exponent > lowest[dtype] ? exponent : lowest[dtype]) - mantissa[dtype]);
}

static double largest_of(floyd_dtype dtype)
{
    static const double largest[] = {FLT_MAX, DBL_MAX, 65504, 0x1.FEp127};
    return largest[dtype];
}

static int same_class(double got, double want)
{
    return isnan(want) ? isnan(got) : !isfinite(want) ? got == want : isfinite(got);
}

static void report(const problem *p, enum role r, const int64_t i[5], double got, double want, double allowed)
{
    char text[SPEC_TEXT];
    print_error("%s\n", spec_text(&p->s, text));
    fail_msg("%s[%d,%d,%d,%d,%d] is %.9g, the reference says %.9g, allowed is %.3g", role_names[r], (int)i[0],
             (int)i[1], (int)i[2], (int)i[3], (int)i[4], got, want, allowed);
}

/* Rounding to the output's type may overflow: inf is right where golden comes within the tolerance of it. */
static int overflows(floyd_dtype dtype, double got, double want, double allowed)
{
    return isinf(got) && fabs(want) + allowed >= largest_of(dtype) && (got > 0) == (want > 0);
}

static void check_role(const problem *p, const golden *g, enum role r)
{
    const floyd_tensor *t = &p->t[r].view;
    const int per_row = r == T_MAX || r == T_SUM;
    int64_t index[5] = {0};
    for (int64_t i = 0, count = tensor_count(t); i < count; i++, tensor_next(t, index)) {
        const int64_t at = per_row ? i / t->size[4] : i;
        const double got = tensor_get(t, index), want = g->value[r][at];
        const double allowed = half_ulp(t->dtype, want) + 16 * g->unit * g->terms[r][at] + g->gradual;
        if (overflows(t->dtype, got, want, allowed)) continue;
        if (!same_class(got, want) || (isfinite(want) && !(fabs(got - want) <= allowed)))
            report(p, r, index, got, want, allowed);
    }
}

static void check_roles(const problem *p, const golden *g, unsigned roles)
{
    for (enum role r = T_Y; r < ROLES; r++)
        if ((roles >> r & 1) && p->t[r].block) check_role(p, g, r);
}

static void store_forward(problem *p, const golden *g)
{
    for (enum role r = T_MAX; r <= T_SUM; r++) {
        int64_t index[5] = {0};
        const floyd_tensor *t = &p->t[r].view;
        for (int64_t i = 0, count = tensor_count(t); i < count; i++, tensor_next(t, index))
            tensor_set(t, index, g->value[r][i / t->size[4]]);
    }
    tensor_assign(&p->t[T_Y].view, g->value[T_Y]);
}

void check_forward(const problem *p)
{
    golden g = golden_forward(p);
    check_roles(p, &g, FORWARD_OUTPUTS);
    golden_free(&g);
}

void check_backward(const problem *p)
{
    golden g = golden_backward(p);
    check_roles(p, &g, GRADIENTS);
    golden_free(&g);
}

void store_reference_forward(problem *p)
{
    golden g = golden_forward(p);
    store_forward(p, &g);
    golden_free(&g);
}

void check_and_store_forward(problem *p)
{
    golden g = golden_forward(p);
    check_roles(p, &g, FORWARD_OUTPUTS);
    store_forward(p, &g);
    golden_free(&g);
}

void run_and_check_problem(problem *p)
{
    run_forward(p);
    check_and_store_forward(p);
    run_backward(p);
    check_backward(p);
}

void run_and_check(const spec *s)
{
    problem p = problem_new(s);
    run_and_check_problem(&p);
    problem_free(&p);
}

void expect_same_view(const floyd_tensor *a, const floyd_tensor *b, const char *what)
{
    size_t bytes_a, bytes_b;
    unsigned char *packed_a = tensor_packed(a, &bytes_a), *packed_b = tensor_packed(b, &bytes_b);
    size_t i = 0;
    while (i < bytes_a && packed_a[i] == packed_b[i]) i++;
    free(packed_a);
    free(packed_b);
    if (bytes_a != bytes_b) fail_msg("%s: %zu bytes beside %zu", what, bytes_a, bytes_b);
    if (i < bytes_a) fail_msg("%s: bits differ at element %zu", what, i / floyd_dtype_size(a->dtype));
}

void expect_same_bits(const problem *a, const problem *b, unsigned roles, const char *what)
{
    for (int r = 0; r < ROLES; r++) {
        if (!(roles >> r & 1)) continue;
        char text[200];
        text[0] = 0;
        strncat(text, what, 150);
        strcat(text, ": ");
        strcat(text, role_names[r]);
        expect_same_view(&a->t[r].view, &b->t[r].view, text);
    }
}

problem computed(const spec *s)
{
    problem p = problem_new(s);
    run_forward(&p);
    run_backward(&p);
    return p;
}

void expect_as(const problem *first, const spec *s, unsigned roles, const char *what)
{
    problem other = computed(s);
    expect_same_bits(first, &other, roles, what);
    problem_free(&other);
}

void expect_same_with(const problem *first, enum role role, const floyd_tensor *other, const char *what)
{
    spec s = first->s;
    if (role == T_MASK)
        s.mask = MASK_NONE;
    else
        s.bias = BIAS_NONE;
    problem p = problem_new(&s);
    floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    floyd_backward_args backward = backward_args(&p, GRADIENTS);
    *forward_slot(&forward, role) = *backward_slot(&backward, role) = other;
    assert_int_equal(run_forward_args(&forward, NULL), FLOYD_OK);
    assert_int_equal(run_backward_args(&backward, NULL), FLOYD_OK);
    expect_same_bits(first, &p, ALL_OUTPUTS, what);
    problem_free(&p);
}
