/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put before the system's library with LD_PRELOAD: from main on, call number FAULT_NUMBER of one kind fails as the
 * system might let it fail, once. FAULT_KIND says which calls count. "memory": malloc and its kin. "files": open,
 * fopen, stat, fstat, mkostemp, mkdir, fallocate, fchmod, realpath, mmap, write, fsync, close and rename.
 * "threads": pthread_create. "short": none fails, but each write takes one byte. "again": nor here, but every other
 * write is interrupted before it has begun.
 *
 * A failure writes the name of the call into the file FAULT_LOG. The standard streams are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *kind = "";
static atomic_long left; /* calls until the one that fails; 0: it has, or none will */

__attribute__((constructor)) static void begin(void)
{
    const char *set = getenv("FAULT_KIND"), *number = getenv("FAULT_NUMBER");
    kind = set ? set : "";
    left = number ? atol(number) : 0;
}

static void note(const char *call)
{
    const char *path = getenv("FAULT_LOG");
    if (!path) return;
    const long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, call, strlen(call));
    syscall(SYS_close, fd);
}

static bool fails(const char *which, const char *call, int error)
{
    if (strcmp(kind, which) != 0) return false;
    long before = left;
    while (before > 0 && !atomic_compare_exchange_weak(&left, &before, before - 1)) continue;
    if (before != 1) return false;
    note(call);
    errno = error;
    return true;
}

/* ---- memory; dlsym needs some itself --------------------------------------------------------------------- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails("memory", "malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails("memory", "calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return fails("memory", "realloc", ENOMEM) ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails("memory", "aligned_alloc", ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *made = fails("memory", "posix_memalign", ENOMEM) ? NULL : __libc_memalign(alignment, size);
    if (made) *block = made;
    return made ? 0 : ENOMEM;
}

/* ---- files ----------------------------------------------------------------------------------------------- */

/* The system's function `name`, of a pointer type. */
#define REAL(type, name, variable)                                                                                 \
    type variable;                                                                                                 \
    do {                                                                                                           \
        void *symbol = dlsym(RTLD_NEXT, name);                                                                     \
        memcpy(&variable, &symbol, sizeof symbol);                                                                 \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (fails("files", "open", EMFILE)) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    typedef FILE *(*function)(const char *, const char *);
    REAL(function, "fopen", real);
    return fails("files", "fopen", EMFILE) ? NULL : real(path, mode);
}

int stat(const char *path, struct stat *info)
{
    return fails("files", "stat", EIO) ? -1 : fstatat(AT_FDCWD, path, info, 0);
}

int fstat(int fd, struct stat *info)
{
    return fails("files", "fstat", EIO) ? -1 : fstatat(fd, "", info, AT_EMPTY_PATH);
}

int mkostemp(char *path, int flags)
{
    typedef int (*function)(char *, int);
    REAL(function, "mkostemp", real);
    return fails("files", "mkostemp", EROFS) ? -1 : real(path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails("files", "mkdir", ENOSPC) ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    return fails("files", "fallocate", ENOSPC) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

int fchmod(int fd, mode_t mode)
{
    return fails("files", "fchmod", EPERM) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

char *realpath(const char *path, char *resolved)
{
    typedef char *(*function)(const char *, char *);
    REAL(function, "realpath", real);
    return fails("files", "realpath", EIO) ? NULL : real(path, resolved);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && fails("files", "mmap", ENOMEM)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    static bool again;
    if (fd <= STDERR_FILENO) return syscall(SYS_write, fd, data, bytes);
    if (fails("files", "write", ENOSPC)) return -1;
    if (strcmp(kind, "again") == 0 && (again = !again)) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, fd, data, strcmp(kind, "short") == 0 && bytes > 1 ? 1 : bytes);
}

int fsync(int fd)
{
    return fails("files", "fsync", EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* As on a network, where what was written may fail to arrive: the descriptor is closed all the same. */
int close(int fd)
{
    const int status = (int)syscall(SYS_close, fd);
    return fd > STDERR_FILENO && fails("files", "close", EIO) ? -1 : status;
}

int rename(const char *from, const char *to)
{
    return fails("files", "rename", EIO) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- threads --------------------------------------------------------------------------------------------- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user)
{
    typedef int (*function)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    REAL(function, "pthread_create", real);
    return fails("threads", "pthread_create", EAGAIN) ? EAGAIN : real(thread, attributes, start, user);
}
