/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "progress.h"
#include "signals.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_MESSAGE = 8000 }; /* bytes: a name in a file may have millions */

/* Names in a file may hold anything: nothing of it may steer the terminal, by C1 controls in UTF-8 neither. */
static void make_plain(char *message)
{
    if (strlen(message) > LONGEST_MESSAGE) message[LONGEST_MESSAGE] = '\0';
    for (unsigned char *at = (unsigned char *)message; *at; at++) {
        const int two = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
        if (two) *at++ = '?';
        if (two || iscntrl(*at)) *at = '?';
    }
}

void die(exit_status status, const char *format, ...)
{
    va_list arguments;
    char *message = NULL;
    va_start(arguments, format);
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    va_end(arguments);
    hold_interrupts(); /* one way out, one message, one status */
    progress_erase();
    if (message) make_plain(message);
    fputs("floydattn: ", stderr);
    fputs(message ? message : "no memory", stderr);
    fputc('\n', stderr);
    free(message);
    exit(status);
}

static exit_status status_of_library(floyd_status status)
{
    switch (status) {
    case FLOYD_ERROR_NULL:
    case FLOYD_ERROR_DTYPE:
    case FLOYD_ERROR_SHAPE:
    case FLOYD_ERROR_OVERFLOW:
    case FLOYD_ERROR_STRIDE:
    case FLOYD_ERROR_OVERLAP:
        return STATUS_INPUT;
    case FLOYD_ERROR_OPTION:
        return STATUS_USAGE;
    case FLOYD_ERROR_CANCELLED:
        return STATUS_INTERRUPTED;
    default:
        return STATUS_SYSTEM;
    }
}

void die_of_library(floyd_status status, const char *message)
{
    if (status == FLOYD_ERROR_CANCELLED) die(STATUS_INTERRUPTED, "interrupted: nothing was written");
    die(status_of_library(status), "%s", message);
}

void *allocate(size_t bytes, const char *what)
{
    char size[BYTES_TEXT];
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        die(STATUS_SYSTEM, "no memory for %s (%s): close other programs, or split the problem along B or H", what,
            bytes_text(size, (double)bytes));
    return memory;
}

char *text(const char *format, ...)
{
    char *result = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&result, format, arguments);
    va_end(arguments);
    if (length < 0) die(STATUS_SYSTEM, "no memory for a line of text");
    return result;
}

const char *bytes_text(char buffer[BYTES_TEXT], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) bytes /= 1024;
    snprintf(buffer, BYTES_TEXT, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return buffer;
}

void check_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return;
    fprintf(stderr, "floydattn: cannot write to stdout: %s\n", strerror(errno));
    _exit(STATUS_SYSTEM); /* exit() is under way already */
}
