/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving in good order. Files under construction and files mapped into memory are registered here, so
 * that an interrupt, a failure, or an input that another program cuts short while it is read ends with a
 * message, the right exit status and no half file.
 */
#ifndef FLOYDATTN_CLI_SIGNALS_H
#define FLOYDATTN_CLI_SIGNALS_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * An interrupt ends the command at once with STATUS_INTERRUPTED. After defer_interrupts() the first one is
 * only noted, for the progress callback to see, and the second ends it at once.
 */
void install_signal_handlers(void);
void defer_interrupts(void);
bool interrupted(void);
/* Between the two an interrupt waits, the second as well: for what must be done whole; at the command's end for
 * good. errno stays. */
void hold_interrupts(void);
void release_interrupts(void);
void stop_if_interrupted(void);

/*
 * A path that is removed at exit from remove_on_exit() to keep(). It is noted before it is made: once it is there,
 * there must be nothing left that can fail. The path is not copied and the entry is never freed.
 */
typedef struct unfinished unfinished;
unfinished *note_path(const char *path, bool directory);
void remove_on_exit(unfinished *entry);
void keep(unfinished *entry);
/* What is removed has another name now. */
void rename_unfinished(unfinished *entry, const char *path);

/* A file, open as fd, that is mapped at `start` with the size and time that `info` says. The name is not copied. */
void watch_mapping(const char *path, int fd, const void *start, const struct stat *info);

/* Ends the command if a mapped file has changed since: what was computed from it may be a mixture. */
void check_mappings(void);

/* Whether this is one of the mapped files. */
bool is_mapped(const struct stat *info);

#endif
