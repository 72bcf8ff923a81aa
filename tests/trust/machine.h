/* SPDX-License-Identifier: Apache-2.0 */
/* Where a check runs: what a recorded result begins with, and what Linux says about memory. */
#ifndef FLOYD_TRUST_MACHINE_H
#define FLOYD_TRUST_MACHINE_H

/* Processor, system, compiler, commit (from FLOYDATTN_COMMIT) and kernels, a line each. */
void print_machine(void);

/* A line of /proc/self/status, such as "VmRSS:", in KiB; or of /proc/meminfo. -1: there is none. */
double status_kilobytes(const char *name);
double meminfo_kilobytes(const char *name);

/* What this process may still take: of the machine's memory and, where one is set, of its control group's limit. */
double available_kilobytes(void);

#endif
