/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include "progress.h"
#include "report.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct unfinished {
    const char *volatile path;
    bool directory;
    volatile sig_atomic_t kept;
    unfinished *next;
};

typedef struct watched {
    const char *path;
    int fd;
    uintptr_t start;
    struct stat info;
    struct watched *next;
} watched;

/* Handlers walk both lists, so an entry is complete before it is linked, and stays. */
static unfinished *volatile unfinished_head;
static watched *volatile watched_head;

static volatile sig_atomic_t interrupt_noted;
static volatile sig_atomic_t interrupt_deferred;

static const int interrupt_signals[] = {SIGINT, SIGTERM, SIGHUP};
static sigset_t let_through; /* what was blocked before hold_interrupts() */

/* Newest first: a directory was registered before the files in it. Safe in a signal handler. */
static void remove_unfinished(void)
{
    for (unfinished *u = unfinished_head; u; u = u->next) {
        if (u->kept) continue;
        if (u->directory)
            rmdir(u->path);
        else
            unlink(u->path);
    }
}

unfinished *note_path(const char *path, bool directory)
{
    unfinished *entry = allocate(sizeof *entry, "the list of files");
    *entry = (unfinished){.path = path, .directory = directory, .kept = 1, .next = unfinished_head};
    unfinished_head = entry;
    return entry;
}

void remove_on_exit(unfinished *entry)
{
    entry->kept = 0;
}

void keep(unfinished *entry)
{
    entry->kept = 1;
}

void rename_unfinished(unfinished *entry, const char *path)
{
    entry->path = path;
}

void watch_mapping(const char *path, int fd, const void *start, const struct stat *info)
{
    watched *entry = allocate(sizeof *entry, "the list of files");
    *entry = (watched){path, fd, (uintptr_t)start, *info, watched_head};
    watched_head = entry;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void check_mappings(void)
{
    struct stat now;
    for (const watched *w = watched_head; w; w = w->next)
        if (fstat(w->fd, &now) == 0 && (now.st_size != w->info.st_size || !same_time(now.st_mtim, w->info.st_mtim)))
            die(STATUS_INPUT, "%s: was changed while it was read: run again when no other program writes it",
                w->path);
}

bool is_mapped(const struct stat *info)
{
    for (const watched *w = watched_head; w; w = w->next)
        if (w->info.st_dev == info->st_dev && w->info.st_ino == info->st_ino) return true;
    return false;
}

/* Async-signal-safe, unlike anything of stdio. */
static void say(const char *string)
{
    ssize_t ignored = write(STDERR_FILENO, string, strlen(string));
    (void)ignored;
}

/* Several threads may come upon the same missing page: the first to come speaks for all. */
static void be_the_only_one(void)
{
    static int taken;
    if (!__atomic_exchange_n(&taken, 1, __ATOMIC_ACQ_REL)) return;
    for (;;) pause();
}

static _Noreturn void leave(exit_status status)
{
    remove_unfinished();
    _exit(status);
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (interrupt_deferred && !interrupt_noted) {
        interrupt_noted = 1;
        return;
    }
    if (progress_is_shown()) say(PROGRESS_ERASE);
    say("floydattn: interrupted\n");
    leave(STATUS_INTERRUPTED);
}

static const watched *mapping_of(const void *address)
{
    for (const watched *w = watched_head; w; w = w->next)
        if ((uintptr_t)address - w->start < (uintptr_t)w->info.st_size) return w;
    return NULL;
}

/*
 * A page of a mapped file that is no longer there, or that the disk did not give. Any thread of the
 * library may be the one that touched it, so there is no way back: say which file, and leave.
 */
static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    const watched *file = mapping_of(info->si_addr);
    if (!file) {
        (void)signal(signal_number, SIG_DFL); /* not ours: returning raises it again, and it ends the process */
        return;
    }
    be_the_only_one();
    struct stat now;
    bool shorter = fstat(file->fd, &now) == 0 && now.st_size < file->info.st_size;
    if (progress_is_shown()) say(PROGRESS_ERASE);
    say("floydattn: ");
    say(file->path);
    say(shorter ? ": became shorter while it was read: run again when no other program writes it\n"
                : ": cannot be read from its disk: copy it elsewhere and run again\n");
    leave(shorter ? STATUS_INPUT : STATUS_SYSTEM);
}

static sigset_t interrupts(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof interrupt_signals / sizeof *interrupt_signals; i++)
        sigaddset(&set, interrupt_signals[i]);
    return set;
}

static void handle(int signal_number, struct sigaction *action)
{
    struct sigaction before;
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return; /* nohup, cmd & */
    sigaction(signal_number, action, NULL);
}

void install_signal_handlers(void)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    struct sigaction bus_error = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    interrupt.sa_mask = interrupts();
    for (size_t i = 0; i < sizeof interrupt_signals / sizeof *interrupt_signals; i++)
        handle(interrupt_signals[i], &interrupt);
    handle(SIGBUS, &bus_error);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit then is an error of write() */
    (void)atexit(remove_unfinished);
}

void defer_interrupts(void)
{
    interrupt_deferred = 1;
    (void)signal(SIGPIPE, SIG_IGN); /* what is unfinished is removed, also when nobody hears why */
}

void hold_interrupts(void)
{
    const sigset_t held = interrupts();
    pthread_sigmask(SIG_BLOCK, &held, &let_through);
}

void release_interrupts(void)
{
    pthread_sigmask(SIG_SETMASK, &let_through, NULL);
}

bool interrupted(void)
{
    return interrupt_noted != 0;
}

void stop_if_interrupted(void)
{
    if (interrupted()) die(STATUS_INTERRUPTED, "interrupted: nothing was written");
}
