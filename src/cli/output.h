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
    char *path, *temporary, *directory;
    bool is_new; /* nothing of this name was there */
    int fd;
    unfinished *entry;
} output;

/* Whether something of this name is there. Not to be able to tell is a failure, too. */
bool output_is_there(const char *path, struct stat *info);

/* Reserves the space: a full disk is better known before the work than after. */
output open_output(const char *path, int64_t bytes);
void write_output(const output *o, const void *data, size_t bytes);
void sync_output(const output *o);
/* Puts it in its place, or says the advice. A new one goes again if the command fails before keep(o->entry). */
void publish_output(const output *o, const char *advice);

/* Keeps a directory that make_directory() made, now that what belongs in it is there. */
void publish_directory(unfinished *entry, const char *path);
void free_output(output *o);

/* Makes the directory if it is not there; it goes again if the command fails. NULL if it was there. */
unfinished *make_directory(const char *path);

#endif
