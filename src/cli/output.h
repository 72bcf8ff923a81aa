/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that appears whole or not at all: written under a temporary name beside its place, brought to the disk,
 * then renamed. Every function ends the command when it fails.
 */
#ifndef FLOYDATTN_CLI_OUTPUT_H
#define FLOYDATTN_CLI_OUTPUT_H

#include "signals.h"

#include <stddef.h>
#include <stdint.h>

typedef struct output {
    char *path, *temporary;
    int fd;
    unfinished *entry;
} output;

/* Reserves the space: a full disk is better known before the work than after. */
output open_output(const char *path, int64_t bytes);
void write_output(const output *o, const void *data, size_t bytes);
void sync_output(const output *o);
void publish_output(output *o);

/* Makes the directory if it is not there; it goes again if the command fails. NULL if it was there. */
unfinished *make_directory(const char *path);

#endif
