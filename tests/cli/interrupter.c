/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put before libc with LD_PRELOAD: interrupts the command exactly before or after one of the calls by which it
 * works on files. The calls' beginnings and ends are counted together from 0.
 *
 *   INTERRUPT_AT      which of them            INTERRUPT_SIGNAL   a number
 *   INTERRUPT_TIMES   how often, there         INTERRUPT_LOG      a file that is given a line for each
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t at = -1, within; /* within: what is called now is called by the handler, or by us */

static int number(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : -1;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void note(const char *when, const char *name)
{
    const char *path = getenv("INTERRUPT_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    fprintf(log, "%s %s\n", when, name);
    fclose(log);
}

static void pass(const char *when, const char *name)
{
    if (within) return;
    const int saved = errno;
    within = 1;
    note(when, name);
    if (++at == number("INTERRUPT_AT"))
        for (int i = 0; i < number("INTERRUPT_TIMES"); i++) raise(number("INTERRUPT_SIGNAL"));
    within = 0;
    errno = saved;
}

#define WRAP(type, name, parameters, arguments)                                                                    \
    __attribute__((visibility("default"))) type name parameters                                                    \
    {                                                                                                              \
        type(*call) parameters;                                                                                    \
        *(void **)&call = real(#name);                                                                             \
        pass("before", #name);                                                                                     \
        type result = call arguments;                                                                              \
        pass("after", #name);                                                                                      \
        return result;                                                                                             \
    }

WRAP(int, mkostemp, (char *template, int flags), (template, flags))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
WRAP(ssize_t, write, (int fd, const void *data, size_t bytes), (fd, data, bytes))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, close, (int fd), (fd))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, stat, (const char *path, struct stat *info), (path, info))
WRAP(int, fstat, (int fd, struct stat *info), (fd, info))
WRAP(char *, realpath, (const char *path, char *resolved), (path, resolved))
WRAP(void *, mmap, (void *start, size_t bytes, int protection, int flags, int fd, off_t offset),
     (start, bytes, protection, flags, fd, offset))
WRAP(int, munmap, (void *start, size_t bytes), (start, bytes))
