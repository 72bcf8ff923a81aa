/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels run: the best this processor can, or what FLOYDATTN_ISA asks for; decided once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FLOYD_X86_KERNELS
#include <cpuid.h>
#endif

#include "kernel/kernel.h"

extern const floyd_kernels floyd_kernels_portable_f32, floyd_kernels_portable_f64;
#ifdef FLOYD_X86_KERNELS
extern const floyd_kernels floyd_kernels_avx512_f32, floyd_kernels_avx512_f64;
extern const floyd_kernels floyd_kernels_avx2_f32, floyd_kernels_avx2_f64;
extern const floyd_kernels floyd_kernels_portable_fma_f32, floyd_kernels_portable_fma_f64;
#endif

typedef struct isa_entry {
    const char *name;
    int (*supported)(void);
    const char *lacks; /* why, when it is not */
    const floyd_kernels *f32, *f64;
} isa_entry;

static int always(void)
{
    return 1;
}

#ifdef FLOYD_X86_KERNELS
/*
 * The compiler's runtime asks cpuid and, through xgetbv, whether the system saves the registers; F16C, which some
 * compilers cannot ask for, uses the same registers.
 */
static int has_avx2_fma(void)
{
    unsigned a, b, c = 0, d;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C) != 0;
}

/*
 * VBMI is not used, but marks the processors (Ice Lake, Zen 4 and later) that do not slow their clock for long
 * vectors.
 */
static int has_avx512(void)
{
    return has_avx2_fma() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi");
}
#endif

/* Best first. */
static const isa_entry isas[] = {
#ifdef FLOYD_X86_KERNELS
#define FLOYD_LACKS_FMA "this processor or system lacks AVX2, FMA or F16C"
    {"avx512", has_avx512, "this processor or system lacks AVX-512 (F, BW, DQ, VL, VBMI)",
     &floyd_kernels_avx512_f32, &floyd_kernels_avx512_f64},
    {"avx2", has_avx2_fma, FLOYD_LACKS_FMA, &floyd_kernels_avx2_f32, &floyd_kernels_avx2_f64},
    {"portable-fma", has_avx2_fma, FLOYD_LACKS_FMA, &floyd_kernels_portable_fma_f32,
     &floyd_kernels_portable_fma_f64},
#endif
    {"portable", always, "", &floyd_kernels_portable_f32, &floyd_kernels_portable_f64},
};
enum { ISAS = sizeof isas / sizeof isas[0] };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int chosen = -1; /* -1: FLOYDATTN_ISA makes no sense */
static char asked[64];  /* FLOYDATTN_ISA, or empty */

static void choose(void)
{
    const char *wish = getenv("FLOYDATTN_ISA"); /* NOLINT(concurrency-mt-unsafe): as any reader; setenv is not */
    if (wish) snprintf(asked, sizeof asked, "%s", wish);
    for (int i = 0; i < ISAS && chosen < 0; i++)
        if (isas[i].supported() && (!asked[0] || strcmp(asked, isas[i].name) == 0)) chosen = i;
}

const floyd_kernels *floyd_kernels_get(int fp64)
{
    pthread_once(&once, choose);
    if (chosen < 0) return NULL;
    return fp64 ? isas[chosen].f64 : isas[chosen].f32;
}

const char *floyd_isa_asked(void)
{
    pthread_once(&once, choose);
    return asked;
}

static const char *reason(int index)
{
    if (!isas[index].supported()) return isas[index].lacks;
    if (index == chosen) return asked[0] ? "asked for by FLOYDATTN_ISA" : "the best that runs here";
    if (chosen < 0) return "runs here, but FLOYDATTN_ISA asks for one that does not";
    return asked[0] ? "runs here, but FLOYDATTN_ISA asks for another" : "runs here, but a better one does too";
}

int floyd_isa_get(int index, floyd_isa *isa)
{
    if (index < 0 || index >= ISAS) return ISAS;
    pthread_once(&once, choose);
    isa->name = isas[index].name;
    isa->supported = isas[index].supported();
    isa->chosen = index == chosen;
    isa->reason = reason(index);
    return ISAS;
}
