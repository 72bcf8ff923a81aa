/* SPDX-License-Identifier: Apache-2.0 */
/* `floydattn forward` and `floydattn grad`, once the command line is understood. */
#ifndef FLOYDATTN_CLI_OPERATE_H
#define FLOYDATTN_CLI_OPERATE_H

#include "floydattn.h"

#include <stdbool.h>

typedef struct job {
    char **inputs;
    int input_count;
    const char *output;
    double scale; /* if has_scale; else the files say it */
    bool has_scale;
    floyd_mask_rule mask_rule;
    int threads; /* 0 = the library's default */
    bool quiet;
} job;

void run_forward(const job *j);
void run_grad(const job *j);

#endif
