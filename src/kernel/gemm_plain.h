/* SPDX-License-Identifier: Apache-2.0 */
/* Where no inner loop is written in assembly (gemm_avx2.h). */
#ifndef FLOYD_GEMM_PLAIN_H
#define FLOYD_GEMM_PLAIN_H

enum { GEMM_TURN = 1 };
#define gemm_has_turns(MR, NV) 0
#define gemm_turns(...) ((void)0)

#endif
