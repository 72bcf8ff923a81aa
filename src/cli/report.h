/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the command ends when it cannot go on: one message on stderr, one exit status. Nothing is handed
 * back up through the callers: what an unfinished run left on disk is removed at exit (signals.h).
 */
#ifndef FLOYDATTN_CLI_REPORT_H
#define FLOYDATTN_CLI_REPORT_H

#include "floydattn.h"

#include <stddef.h>
#include <stdio.h>

typedef enum exit_status {
    STATUS_OK = 0,
    STATUS_INPUT = 1,  /* a file does not hold what it should */
    STATUS_USAGE = 2,  /* the command line makes no sense */
    STATUS_SYSTEM = 3, /* memory, disk, threads, or a processor that computes wrongly */
    STATUS_INTERRUPTED = 130
} exit_status;

/* Prints "floydattn: ..." and exits. */
_Noreturn void die(exit_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the command after a library call that failed; `message` is what floyd_last_message() comes down to. */
_Noreturn void die_of_library(floyd_status status, const char *message);

/* Memory that is there: the command ends when there is none. Never NULL; `what` is said in the message. */
void *allocate(size_t bytes, const char *what);

/* A new string. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "3.2 MiB". The buffer is the caller's and is returned. */
enum { BYTES_TEXT = 24 };
const char *bytes_text(char buffer[BYTES_TEXT], double bytes);

/* To be the first function given to atexit: ends the command when what was printed could not be written. */
void check_stdout(void);

#endif
