/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOYD_CHECK_H
#define FLOYD_CHECK_H

#include "problem.h"

/*
 * Checks a problem whose tensors are taken over but not looked at, and fills in what follows from them: sizes,
 * accumulator type, broadcast strides. In order: presence of every tensor, then data types, then sizes, then
 * extents and the layout of outputs, each in the order of floyd_role; then the numbers of the score.
 */
floyd_status floyd_check(floyd_problem *problem);

#endif
