/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of a process that leaves by _exit, in a signal handler or as a child of fork, are lost unless somebody
 * writes them. With JOINS this becomes part of every library and program that is measured, and names its own
 * function that writes (gcov has one in each); without, it is loaded before all others and has them called.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef void dump_function(void);

#ifdef JOINS

extern dump_function __gcov_dump;
__attribute__((weak)) void coverage_join(dump_function *dump);

__attribute__((constructor)) static void join(void)
{
    if (coverage_join) coverage_join(__gcov_dump);
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
    for (size_t i = 0; i < count; i++) joined[i]();
    for (;;) syscall(SYS_exit_group, status);
}

#endif
