/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory between pages that cannot be touched. It comes in islands of equal size, each with such a page on either
 * side and flush with one of them: a byte read or written beyond that end is a fault, and the report says whose
 * memory, which end, how far off and in which run. Written bytes beyond the other end, up to the page, are found
 * afterwards.
 */
#ifndef FLOYD_TRUST_GUARDED_H
#define FLOYD_TRUST_GUARDED_H

#include "tensor.h"

enum guard_end { GUARD_LOW, GUARD_HIGH }; /* where an island meets the page: at its beginning or its end */

/*
 * count islands of `bytes` poisoned bytes each. odd > 0: at addresses that are odd modulo 64, which leaves up to
 * odd bytes between an island and the page. Returns the first island; guard_step() is the distance to the next.
 */
unsigned char *guard_new(const char *name, size_t bytes, size_t count, enum guard_end end, size_t odd);
size_t guard_step(size_t bytes);
void guard_free(void *first);

/* From now on a write is a fault, too. */
void guard_read_only(void *first);
/* Whether the bytes between the islands and their pages are as they were. */
int guard_margins_untouched(const void *first);

/*
 * A copy of a tensor, with its values or poisoned. level < 0: as one island, with the strides of the original. Else
 * every index of the axes 0..level has an island of its own, and what it holds is contiguous.
 */
tensor guard_copy(const tensor *from, const char *name, enum guard_end end, int level, int poisoned);
void guard_copy_free(tensor *t);

/* Faults are reported from now on, as what happened `during` this, which must stay, and end the process with
 * status 1. */
void guard_watch(const char *during);

#endif
