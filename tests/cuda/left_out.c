/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a group of the CPU's tests without those that say something of the CPU library alone. */
#include "cmocka_all.h"

#include "stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

enum { NO_DEVICE = 77 };

#ifdef FLOYD_TEST_EMULATED
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif

enum kind { EVERYWHERE, IN_EMULATOR };

/* FLOYD_TEST_NAME is the group that this is built for. */
static const struct {
    const char *group, *name;
    enum kind where;
    const char *reason;
} left_out[] = {
    {"workspace", "test_formula", EVERYWHERE, "the CPU's workspace"},
    {"workspace", "test_formula_of_scores", EVERYWHERE, "the CPU's workspace"},
    {"workspace", "test_unwanted_costs_nothing", EVERYWHERE, "the CPU's workspace"},
    {"workspace", "test_room_for_fewer_threads", EVERYWHERE, "the CPU's threads"},
    {"memory_arguments", "test_input_in_workspace", EVERYWHERE, "the stand-in copies inputs"},
    {"memory_arguments", "test_workspace", EVERYWHERE, "the forward has none here"},
    {"memory_arguments", "test_overlap_with_workspace", EVERYWHERE, "the forward has none here"},
    {"memory_arguments", "test_beyond_addresses", EVERYWHERE, "the stand-in copies what is there"},
    {"empty", "test_huge_and_empty", EVERYWHERE, "it asks for dbias"},
    {"empty", "test_largest_head", EVERYWHERE, "the CPU's plan"},
    {"options", "test_cut_struct", EVERYWHERE, "floyd_options"},
    {"options", "test_longer_struct", EVERYWHERE, "floyd_options"},
    {"options", "test_threads", EVERYWHERE, "floyd_options"},
    {"options", "test_default_threads", EVERYWHERE, "floyd_options"},
    {"corners", "test_no_gradient", EVERYWHERE, "the CPU's workspace"},
    {"corners", "test_absurd_sizes", EVERYWHERE, "the CPU's plan"},
    {"corners", "test_default_threads_grow", EVERYWHERE, "the CPU's threads"},
    {"sizes", "test_many_tiles_of_both", IN_EMULATOR, "slow"},
    {"nonfinite", "test_sums_under_a_mask", EVERYWHERE, "they count, as floydattn_cuda.h says"},
    {"bits", "test_threads", EVERYWHERE, "the CPU's threads"},
    {"bits", "test_layouts", EVERYWHERE, "the layout chooses between kernels"},
    {"bits", "test_repeats", IN_EMULATOR, "slow"},
    {"bits", "test_head_alone", IN_EMULATOR, "slow"},
    {"bits", "test_stride_orders", IN_EMULATOR, "slow"},
    {"bits", "test_subsets_of_gradients", IN_EMULATOR, "slow"},
    {"bits", "test_null_mask", IN_EMULATOR, "slow"},
    {"bits", "test_layouts_of_padding", IN_EMULATOR, "slow"},
    {"masks", "test_ragged_padding", IN_EMULATOR, "slow"},
    {"concurrency", "test_more_threads_than_work", EVERYWHERE, "the CPU's threads"},
    {"concurrency", "test_idle_threads", EVERYWHERE, "the CPU's threads"},
    {"concurrency", "test_fork", EVERYWHERE, "CUDA does not survive a fork"},
    {"concurrency", "test_fork_while_computing", EVERYWHERE, "CUDA does not survive a fork"},
};

static bool is_left_out(const char *name)
{
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        if (strcmp(FLOYD_TEST_NAME, left_out[i].group) != 0 || strcmp(name, left_out[i].name) != 0) continue;
        if (left_out[i].where == IN_EMULATOR && !EMULATED) continue;
        printf("[ LEFT OUT ] %s: %s\n", name, left_out[i].reason);
        return true;
    }
    return false;
}

/* FLOYD_TEST_ONLY names one test to run. */
static bool is_wanted(const char *name)
{
    const char *only = getenv("FLOYD_TEST_ONLY");
    return only ? strcmp(name, only) == 0 : !is_left_out(name);
}

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    int devices = 0;
    size_t kept = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        puts("skipped: there is no device");
        exit(NO_DEVICE);
    }
    struct CMUnitTest *chosen = malloc((count + 1) * sizeof *chosen);
    if (!chosen) abort();
    for (size_t i = 0; i < count; i++)
        if (is_wanted(tests[i].name)) chosen[kept++] = tests[i];
    const int failed = __real__cmocka_run_group_tests(name, chosen, kept, setup, teardown);
    printf("%ld calls went to the device, %ld to the CPU\n", stand_in_calls(true), stand_in_calls(false));
    free(chosen);
    return failed;
}
