/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of a process that leaves by _exit, in a signal handler or as a child of fork, are lost unless somebody
 * writes them. With JOINS this becomes part of every library and program that is measured, and names its own
 * function that writes (gcov has one in each); without, it is loaded before all others and has them called. A file
 * of counts that is only half written spoils all later ones: no signal ends the writing, nor does a limit that a
 * test has set on files.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef void dump_function(void);

static void leave_undisturbed(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

#ifdef JOINS

extern dump_function __gcov_dump;
__attribute__((weak)) void coverage_join(dump_function *dump);

__attribute__((constructor)) static void join(void)
{
    if (coverage_join) coverage_join(__gcov_dump);
}

/* Destructors without a priority come before gcov's own. */
__attribute__((destructor)) static void leave(void)
{
    leave_undisturbed();
}

#else

void coverage_join(dump_function *dump);

enum { MOST = 8 };
static dump_function *joined[MOST];
static size_t count;

void coverage_join(dump_function *dump)
{
    if (count < MOST) joined[count++] = dump;
}

void _exit(int status)
{
    leave_undisturbed();
    for (size_t i = 0; i < count; i++) joined[i]();
    for (;;) syscall(SYS_exit_group, status);
}

#endif
