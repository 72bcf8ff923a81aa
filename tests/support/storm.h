/* SPDX-License-Identifier: Apache-2.0 */
/* A storm of signals that interrupt system calls, for the program's own threads: who is hit is counted. */
#ifndef FLOYD_TEST_STORM_H
#define FLOYD_TEST_STORM_H

/* From now on, thousands of times a second, on whichever thread of the process takes it; then an end. */
void storm_begin(void);
void storm_end(void);

/* How often it hit a thread since it began, and how often one that is not the one that began it. */
long storm_hits(void);
long storm_strangers(void);

/* Whether a signal mask blocks everything but the faults that a thread commits itself. */
int blocks_all_but_faults(const void *set);

#endif
