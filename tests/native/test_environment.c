/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's floating-point environment: another rounding mode, flush-to-zero and denormals-are-zero
 * change no bit, and the caller finds them as they were.
 */
#include "cmocka_all.h"

#include "check.h"

#include <fenv.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
enum { FLUSH_AND_DENORMALS = 0x8040, FLAGS = 0x3F };
static unsigned control(void)
{
    return _mm_getcsr() & ~(unsigned)FLAGS;
}
static void flush(void)
{
    _mm_setcsr(_mm_getcsr() | FLUSH_AND_DENORMALS);
}
#else
static unsigned control(void)
{
    return (unsigned)fegetround();
}
static void flush(void) {}
#endif

/* Denormal scores, values and gradients, so that a flush would show. */
static problem denormal_problem(int dtype, int threads)
{
    spec s = spec_of(1, 2, 35, 18, 40, 12);
    s.dtype = (floyd_dtype)dtype;
    s.threads = threads;
    s.scale = 0.25; /* exact: test_scale_rounding() is about the others */
    problem p = problem_new(&s);
    const double small[] = {1e-39, 1e-309, 1e-6, 1e-39};
    for (enum role r = T_V1; r <= T_DY; r++)
        if (r == T_V1 || r == T_V2 || r == T_DY) tensor_fill_normal(&p.t[r].view, r, 0, small[dtype]);
    return p;
}

static void run_both(problem *p)
{
    run_forward(p);
    run_backward(p);
}

/* run_both() of other in an environment, where it must give plain's bits and leave all as it was. Frees both. */
static void check_environment(problem plain, problem other, int rounding, int flushing)
{
    fenv_t before;
    run_both(&plain);
    fegetenv(&before);
    assert_int_equal(fesetround(rounding), 0);
    if (flushing) flush();
    const unsigned wanted = control();
    run_both(&other);
    const unsigned found = control();
    const int found_rounding = fegetround();
    fesetenv(&before);
    assert_int_equal(found, wanted);
    assert_int_equal(found_rounding, rounding);
    expect_same_bits(&plain, &other, FORWARD_OUTPUTS | GRADIENTS, "another floating-point environment");
    problem_free(&plain);
    problem_free(&other);
}

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void test_environments(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int mode = 0; mode < 4; mode++)
            for (int threads = 1; threads <= 3; threads += 2)
                for (int flushing = 0; flushing < 2; flushing++)
                    check_environment(denormal_problem(dtype, 1), denormal_problem(dtype, threads), modes[mode],
                                      flushing);
}

/* Cap, fill and dropout are numbers that fp32 must round. */
static void test_scores(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int mode = 0; mode < 4; mode++) {
            spec s = spec_of(1, 2, 9, 26, 33, 8);
            add_extras(&s, EXTRAS);
            s.dtype = (floyd_dtype)dtype;
            s.scale = 0.25;
            s.softmax_cap = 0.7 + mode;
            s.mask_fill = -2.7 - mode;
            s.mask = MASK_ROWS;
            check_environment(problem_new(&s), problem_new(&s), modes[mode], 1);
        }
}

/* A number that the caller's environment takes for 0 is one: nothing is planned without what is then computed. */
static void test_denormal_options(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        const int dtype = i % 4;
        spec s = spec_of(1, 1, 9, 26, 60, 8);
        add_extras(&s, i / 4 ? BIAS | DBIAS : 0);
        s.dtype = (floyd_dtype)dtype;
        s.mask = MASK_ROWS;
        s.dropout = 1e-310;
        s.mask_fill = dtype == FLOYD_F64 ? -1e-310 : 0;
        check_environment(problem_new(&s), problem_new(&s), FE_TONEAREST, 1);
    }
}

/* Scale is rounded to fp32 to nearest, whatever the caller's mode: once up, once down. */
static void test_scale_rounding(void **state)
{
    static const double scales[] = {0.1, 0.3, -0.1, 0.7};
    (void)state;
    for (int i = 0; i < 12; i++) {
        spec s = spec_of(1, 1, 9, 17, 8, 8);
        s.scale = scales[i / 3];
        problem plain = problem_new(&s), other = problem_new(&s);
        run_both(&plain);
        fesetround(modes[1 + i % 3]);
        run_both(&other);
        fesetround(FE_TONEAREST);
        expect_same_bits(&plain, &other, FORWARD_OUTPUTS | GRADIENTS, "another rounding of the scale");
        problem_free(&plain);
        problem_free(&other);
    }
}

/* A refused call leaves the environment alone, too. */
static void test_errors(void **state)
{
    fenv_t before;
    (void)state;
    spec s = spec_of(1, 1, 9, 18, 8, 12);
    problem p = problem_new(&s);
    floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    args.q = NULL;
    fegetenv(&before);
    fesetround(FE_DOWNWARD);
    flush();
    const unsigned wanted = control();
    const floyd_status status = run_forward_args(&args, NULL);
    const unsigned found = control();
    fesetenv(&before);
    assert_int_equal(status, FLOYD_ERROR_NULL);
    assert_int_equal(found, wanted);
    problem_free(&p);
}

static int note_control(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    *(unsigned *)user = control();
    return 0;
}

/* A callback is the caller's code: it runs in the caller's environment. */
static void test_callback(void **state)
{
    fenv_t before;
    unsigned seen = 0;
    floyd_options options = FLOYD_OPTIONS_INIT;
    (void)state;
    problem p = denormal_problem(FLOYD_F32, 1), plain = denormal_problem(FLOYD_F32, 1);
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&p, GRADIENTS);
    options.threads = 1;
    options.progress = note_control;
    options.progress_user = &seen;
    run_both(&plain);
    fegetenv(&before);
    fesetround(FE_DOWNWARD);
    flush();
    const unsigned wanted = control();
    const floyd_status first = run_forward_args(&forward, &options);
    const unsigned seen_forward = seen;
    const floyd_status second = run_backward_args(&backward, &options);
    fesetenv(&before);
    assert_int_equal(first, FLOYD_OK);
    assert_int_equal(second, FLOYD_OK);
    assert_int_equal(seen_forward, wanted);
    assert_int_equal(seen, wanted);
    expect_same_bits(&plain, &p, FORWARD_OUTPUTS | GRADIENTS, "around a callback");
    problem_free(&p);
    problem_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environments),     cmocka_unit_test(test_scores),
        cmocka_unit_test(test_denormal_options), cmocka_unit_test(test_scale_rounding),
        cmocka_unit_test(test_errors),           cmocka_unit_test(test_callback)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
