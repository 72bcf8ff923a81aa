/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "signals.h"

#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A run that is over sooner than QUIET_SECONDS shows no bar: it would only flicker. */
static const double QUIET_SECONDS = 0.25, REDRAW_SECONDS = 0.1;
enum { BAR_WIDEST = 50, BAR_NARROWEST = 8, COLUMNS_UNKNOWN = 80, TIME_TEXT = 32, LABEL_WIDTH = 8 };

static struct {
    bool wanted;
    const char *label;
    double from, to;
    double started, drawn;
    volatile sig_atomic_t shown;
} bar;

double monotonic_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool progress_possible(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

void progress_start(bool quiet)
{
    bar.wanted = !quiet && progress_possible();
    bar.started = bar.drawn = monotonic_seconds();
}

void progress_phase(const char *label, double from, double to)
{
    bar.label = label;
    bar.from = from;
    bar.to = to;
}

static int terminal_columns(void)
{
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : COLUMNS_UNKNOWN;
}

/* "0:07", "12:30", "3:01:15" */
static void time_text(char buffer[TIME_TEXT], double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(buffer, TIME_TEXT, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(buffer, TIME_TEXT, "%ld:%02ld", s / 60, s % 60);
}

/* Eight steps to a column where the terminal knows the characters; '#' elsewhere. */
static void draw_cells(double share, int width)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const bool fine = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    int filled = (int)(share * width * 8), column = filled / 8;
    for (int i = 0; i < column; i++) fputs(fine ? "█" : "#", stderr);
    if (fine && filled % 8) {
        fputs(eighths[filled % 8], stderr);
        column++;
    }
    for (; column < width; column++) fputc(fine ? ' ' : '.', stderr);
}

static void draw(double share, double elapsed)
{
    char left[TIME_TEXT] = "-:--";
    if (share > 0) time_text(left, elapsed / share * (1 - share));
    /* label, " [", "] 100%  ", the time, " left", and a column that stays free so that no terminal wraps */
    int width = terminal_columns() - LABEL_WIDTH - (int)strlen(left) - 16;
    if (width > BAR_WIDEST) width = BAR_WIDEST;
    fprintf(stderr, "\r%-*s ", LABEL_WIDTH, bar.label);
    if (width >= BAR_NARROWEST) {
        fputc('[', stderr);
        draw_cells(share, width);
        fputs("] ", stderr);
    }
    fprintf(stderr, "%3d%%  %s left\033[K", (int)(100 * share), left);
    fflush(stderr);
    bar.shown = 1;
}

int progress_step(void *unused, int64_t done, int64_t total)
{
    (void)unused;
    if (interrupted()) return 1;
    if (!bar.wanted) return 0;
    double now = monotonic_seconds(), elapsed = now - bar.started;
    if (elapsed < QUIET_SECONDS || now - bar.drawn < REDRAW_SECONDS) return 0;
    bar.drawn = now;
    draw(bar.from + (bar.to - bar.from) * (total > 0 ? (double)done / (double)total : 1), elapsed);
    return 0;
}

void progress_note(const char *note)
{
    if (!bar.wanted) return;
    fprintf(stderr, "\r%s\033[K", note);
    fflush(stderr);
    bar.shown = 1;
}

bool progress_is_shown(void)
{
    return bar.shown != 0;
}

void progress_erase(void)
{
    if (!bar.shown) return;
    fputs(PROGRESS_ERASE, stderr);
    fflush(stderr);
    bar.shown = 0;
}
