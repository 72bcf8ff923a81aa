/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point environment that every computing thread runs in: to nearest, subnormals kept, no traps. */
#ifndef FLOYD_FPENV_H
#define FLOYD_FPENV_H

#include <fenv.h>
#include <stdint.h>

typedef struct floyd_fpenv {
    fenv_t standard;
    uint64_t control; /* what <fenv.h> does not promise to cover: flush-to-zero and its kin */
} floyd_fpenv;

/* Sets the environment and keeps in *found what was there, for floyd_fpenv_leave to put back. */
void floyd_fpenv_enter(floyd_fpenv *found);
void floyd_fpenv_leave(const floyd_fpenv *found);

#endif
