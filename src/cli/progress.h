/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr that shows how far a call is, when stderr is a terminal, and nothing when it is not. */
#ifndef FLOYDATTN_CLI_PROGRESS_H
#define FLOYDATTN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_ERASE "\r\033[K"

double monotonic_seconds(void);

/* Whether stderr is a terminal that a line can be redrawn on. */
bool progress_possible(void);

/* From now on progress_step draws, unless quiet. The clock starts. */
void progress_start(bool quiet);

/* The calls that follow are `label` and take the bar from one share of the whole work to another. */
void progress_phase(const char *label, double from, double to);

/* A floyd_progress_fn: draws now and then, and cancels when an interrupt has come. */
int progress_step(void *unused, int64_t done, int64_t total);

/* Shows this instead of a bar, until progress_erase. */
void progress_note(const char *note);

void progress_erase(void);
bool progress_is_shown(void);

#endif
