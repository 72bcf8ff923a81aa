/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peak resident memory of a forward and a backward beyond the caller's own tensors and workspace: at
 * N = M = K = 320 and D = 8 one fp32 buffer of size N*M*K would be 131 MB, a pair tensor is 3 MB.
 */
#define _POSIX_C_SOURCE 200809L
#include "cmocka_all.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double peak_kilobytes(void)
{
    char line[256];
    double peak = -1;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "VmHWM:", 6)) peak = strtod(line + 6, NULL);
    fclose(file);
    assert_true(peak > 0);
    return peak;
}

/* Stacks, code pages that run for the first time, and this process's own small change. */
static double slack_kilobytes(int threads)
{
    return 2048 + 256.0 * threads;
}

static void check_growth(floyd_dtype dtype, int threads)
{
    spec s = spec_of(1, 1, 320, 320, 320, 8);
    s.dtype = dtype;
    s.threads = threads;
    s.mask = MASK_RANDOM;
    problem p = problem_new(&s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&p, GRADIENTS);
    size_t bytes, more;
    assert_int_equal(floyd_forward_workspace(&forward, &options, &bytes), FLOYD_OK);
    assert_int_equal(floyd_backward_workspace(&backward, &options, &more), FLOYD_OK);
    bytes = more > bytes ? more : bytes;
    unsigned char *workspace = malloc(bytes);
    memset(workspace, 1, bytes);
    const double before = peak_kilobytes();
    assert_int_equal(floyd_forward(&forward, &options, workspace, bytes), FLOYD_OK);
    assert_int_equal(floyd_backward(&backward, &options, workspace, bytes), FLOYD_OK);
    const double grown = peak_kilobytes() - before;
    print_message("dtype %d, %d threads: %.0f kB more, workspace %zu kB\n", (int)dtype, threads, grown,
                  bytes / 1024);
    assert_true(grown <= slack_kilobytes(threads));
    free(workspace);
    problem_free(&p);
}

static void test_growth(void **state)
{
    (void)state;
    /* The smallest first: a peak only ever rises. */
    check_growth(FLOYD_F16, 1);
    check_growth(FLOYD_F32, 1);
    check_growth(FLOYD_F32, 3);
    check_growth(FLOYD_F64, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
