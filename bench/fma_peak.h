/* SPDX-License-Identifier: Apache-2.0 */
/* The ceiling that speed is quoted against: what one thread can do in fused multiply-adds from registers. */
#ifndef FLOYD_FMA_PEAK_H
#define FLOYD_FMA_PEAK_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Flops per second of one thread doing nothing but independent multiply-adds in the vector width of the named
 * ISA ("avx512", "avx2", "portable": floyd_isa.name), in fp64 or fp32: the best of `repeats` runs of about 10 ms.
 */
double floyd_fma_peak(const char *isa, int fp64, int repeats);

#ifdef __cplusplus
}
#endif

#endif
