/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of one tensor: its extent in memory, and whether its elements lie apart. */
#ifndef FLOYD_TENSOR_H
#define FLOYD_TENSOR_H

#include <stdbool.h>

#include "floydattn.h"

/* Bytes [low, high) relative to data that the elements take; 0, 0 without elements. False if they do not fit 63
 * bits. */
bool floyd_tensor_extent(const floyd_tensor *tensor, int64_t *low, int64_t *high);

bool floyd_tensor_empty(const floyd_tensor *tensor);

/*
 * True when, without axes of size 1 and sorted by |stride|, each |stride| exceeds the summed extent of the smaller
 * ones: then no two elements share an address. The extent must fit.
 */
bool floyd_tensor_apart(const floyd_tensor *tensor);

/* Strides with those of axes of size 1 set to 0, so that such an axis can stand for any index. */
void floyd_tensor_broadcast(floyd_tensor *tensor);

#endif
