/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals and cancelling: none reaches the library's own threads, a storm of them changes no bit, and a call that
 * is cancelled, wherever that is, leaves the next one whole.
 */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "storm.h"
#include "watchdog.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = 64 };

static spec usual(int threads)
{
    spec s = spec_of(2, 2, 70, 65, 34, 8);
    s.threads = threads;
    return s;
}

static floyd_status run_whole(problem *p, const floyd_options *options, bool backward)
{
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args args = backward_args(p, GRADIENTS);
    return backward ? run_backward_args(&args, options) : run_forward_args(&forward, options);
}

static void run_both(problem *p, int threads)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    assert_int_equal(run_whole(p, &options, false), FLOYD_OK);
    assert_int_equal(run_whole(p, &options, true), FLOYD_OK);
}

/* ---- The library's threads ------------------------------------------------------------------------------ */

static int tasks(long list[MOST_TASKS])
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && count < MOST_TASKS) list[count++] = strtol(entry->d_name, NULL, 10);
    (void)closedir(directory);
    return count;
}

static bool holds(const long *list, int count, long id)
{
    for (int i = 0; i < count; i++)
        if (list[i] == id) return true;
    return false;
}

/* Of /proc, where bit n - 1 is signal n. */
static sigset_t blocked_by(long id)
{
    char path[64], line[256];
    unsigned long long bits = 0;
    sigset_t set;
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/status", id);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "SigBlk:", 7) == 0) bits = strtoull(line + 7, NULL, 16);
    (void)fclose(file);
    (void)sigemptyset(&set);
    for (int number = 1; number < 32; number++)
        if (bits >> (number - 1) & 1) (void)sigaddset(&set, number);
    return set;
}

static void *nothing(void *unused)
{
    return unused;
}

static void test_threads_block_them(void **state)
{
    (void)state;
    pthread_t first; /* with a program's first thread ThreadSanitizer brings one of its own */
    assert_int_equal(pthread_create(&first, NULL, nothing, NULL), 0);
    assert_int_equal(pthread_join(first, NULL), 0);
    long before[MOST_TASKS], after[MOST_TASKS];
    const spec s = usual(4);
    problem p = problem_new(&s);
    const int count_before = tasks(before);
    run_both(&p, 4);
    const int count_after = tasks(after);
    int made = 0;
    for (int i = 0; i < count_after; i++) {
        if (holds(before, count_before, after[i])) continue;
        const sigset_t set = blocked_by(after[i]);
        assert_true(blocks_all_but_faults(&set));
        made++;
    }
    assert_int_equal(made, 3);
    problem_free(&p);
}

static void test_storm(void **state)
{
    (void)state;
    const spec s = usual(1);
    problem want = computed(&s), p = problem_new(&s);
    storm_begin();
    for (int i = 0; i < 8 || (storm_hits() < 100 && i < 4000); i++) {
        for (enum role r = T_Y; r < ROLES; r++)
            if ((ALL_OUTPUTS & 1 << r) && p.t[r].block != NULL) tensor_poison(&p.t[r]);
        run_both(&p, 1 + i % 4);
        expect_same_bits(&want, &p, ALL_OUTPUTS, "in a storm of signals");
    }
    storm_end();
    assert_true(storm_hits() >= 100);
    assert_int_equal(storm_strangers(), 0);
    problem_free(&p);
    problem_free(&want);
}

/* ---- Cancelling ------------------------------------------------------------------------------------------ */

static int count_down(void *user, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    return --*(int *)user == 0;
}

/* At the first, second, third call of the callback and so on, up to a run that has fewer. */
static int cancel_everywhere(const problem *want, problem *p, int threads, bool backward)
{
    int stop = 0;
    floyd_status status;
    do {
        int left = ++stop;
        floyd_options options = FLOYD_OPTIONS_INIT;
        options.threads = threads;
        options.progress = count_down;
        options.progress_user = &left;
        status = run_whole(p, &options, backward);
        assert_true(status == FLOYD_OK ? left > 0 : status == FLOYD_ERROR_CANCELLED && left == 0);
        run_both(p, threads);
        expect_same_bits(want, p, ALL_OUTPUTS, "after a cancel");
    } while (status == FLOYD_ERROR_CANCELLED);
    return stop - 1;
}

static void test_cancel_everywhere(void **state)
{
    (void)state;
    const spec s = usual(1);
    problem want = computed(&s);
    for (int threads = 1; threads <= (sanitized() ? 2 : 4); threads++)
        for (int backward = 0; backward <= 1; backward++) {
            problem p = problem_new(&s);
            const int cancelled = cancel_everywhere(&want, &p, threads, backward);
            assert_true(cancelled > (threads == 1 ? 3 : 0));
            problem_free(&p);
        }
    problem_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_block_them), cmocka_unit_test(test_storm),
                                       cmocka_unit_test(test_cancel_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
