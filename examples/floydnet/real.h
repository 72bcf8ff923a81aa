/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type the network computes in: fp32 in the demo; fp64 where its gradients are checked against finite
 * differences, which need digits that fp32 does not have.
 */
#ifndef FLOYDNET_REAL_H
#define FLOYDNET_REAL_H

#include <tgmath.h>

#ifdef FLOYDNET_FP64
typedef double real;
#define REAL_DTYPE FLOYD_F64
#else
typedef float real;
#define REAL_DTYPE FLOYD_F32
#endif

#endif
