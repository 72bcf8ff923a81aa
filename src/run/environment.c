/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a call takes when it does not say. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "floydattn.h"

/* A positive number, alone or first of a list "4,2"; 0 for anything else. */
static int count_from(const char *name)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): as safe as any reader, setenv is not */
    if (!text) return 0;
    char *end;
    errno = 0;
    const long count = strtol(text, &end, 10);
    if (end == text || errno != 0 || count < 1 || count > INT_MAX) return 0;
    while (isspace((unsigned char)*end)) end++;
    return *end == '\0' || *end == ',' ? (int)count : 0;
}

static int processors(void)
{
    cpu_set_t set[64]; /* 65536 of them: more than any kernel's set, which must fit */
    for (size_t size = sizeof set[0]; size <= sizeof set; size *= 4) {
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        if (count > 0) return count;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int floyd_default_threads(void)
{
    int count = count_from("FLOYDATTN_NUM_THREADS");
    if (count == 0) count = count_from("OMP_NUM_THREADS");
    return count > 0 ? count : processors();
}
