/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file of the examples needs and the C library lacks: memory that is there or the program ends, a clock,
 * and random numbers that are the same on every machine (SplitMix64).
 */
#ifndef EXAMPLES_UTIL_H
#define EXAMPLES_UTIL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Zeroed memory; ends the program when there is none. Free it with free(). */
static inline void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) {
        fprintf(stderr, "out of memory: %zu elements of %zu bytes\n", count, size);
        exit(3);
    }
    return memory;
}

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline uint64_t random_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_bits(state) >> 11) * 0x1p-53;
}

/* Uniform in low..high, both included. */
static inline int random_between(uint64_t *state, int low, int high)
{
    return low + (int)(random_unit(state) * (high - low + 1));
}

/* N(0,1), by Box and Muller. */
static inline double random_normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(1 - random_unit(state)));
    return radius * cos(6.283185307179586 * random_unit(state));
}

#endif
