/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Small enough that an interrupt does not wait long for the disk. */
enum { CHUNK = 1 << 24 };

static _Noreturn void die_of(const char *path, const char *what, const char *advice)
{
    int cause = errno;
    if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG) advice = "make room there, or name another -o";
    die(STATUS_SYSTEM, "%s: %s: %s: %s", path, what, strerror(cause), advice);
}

/* Where the file goes: through a symbolic link, so that the link stays one. */
static char *resolve(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return text("%s", path);
    if (!S_ISREG(info.st_mode)) die(STATUS_USAGE, "%s: is there and no regular file: name another -o", path);
    if (is_mapped(&info)) die(STATUS_USAGE, "%s: is an input: name another -o", path);
    char *target = realpath(path, NULL);
    return target ? target : text("%s", path);
}

/* ".NAME.XXXXXX" beside the file */
static char *temporary_name(const char *path)
{
    char *directory = text("%s", path), *base = text("%s", path);
    char *name = text("%s/.%s.XXXXXX", dirname(directory), basename(base));
    free(directory);
    free(base);
    return name;
}

/* mkostemp lets nobody else read; a result has the permissions that any new file gets. */
static void give_usual_permissions(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
}

static void reserve(const output *o, int64_t bytes)
{
    if (bytes > 0 && fallocate(o->fd, 0, 0, bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
        char size[BYTES_TEXT];
        char *what = text("no room for %s", bytes_text(size, (double)bytes));
        die_of(o->path, what, "name another -o");
    }
}

output open_output(const char *path, int64_t bytes)
{
    output o = {.path = resolve(path)};
    o.temporary = temporary_name(o.path);
    hold_interrupts(); /* or one might come between the file and the note that it is to be removed */
    o.fd = mkostemp(o.temporary, O_CLOEXEC);
    if (o.fd < 0) die_of(o.path, "cannot be written", "name an -o in a directory that you may write to");
    o.entry = remove_on_exit(o.temporary, false);
    release_interrupts();
    give_usual_permissions(o.fd);
    reserve(&o, bytes);
    return o;
}

void write_output(const output *o, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        stop_if_interrupted();
        ssize_t written = write(o->fd, at, bytes < CHUNK ? bytes : CHUNK);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) die_of(o->path, "cannot be written", "nothing was kept");
        at += written;
        bytes -= (size_t)written;
    }
}

void sync_output(const output *o)
{
    /* EINVAL: a file system that has nothing to bring anywhere. */
    if (fsync(o->fd) != 0 && errno != EINVAL) die_of(o->path, "cannot be brought to the disk", "nothing was kept");
    if (close(o->fd) != 0) die_of(o->path, "cannot be written", "nothing was kept");
}

/* So that the new name, too, survives a power failure; where that cannot be asked for, it is not. */
static void sync_directory_of(const char *path)
{
    char *copy = text("%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

void publish_output(output *o)
{
    if (rename(o->temporary, o->path) != 0) die_of(o->path, "cannot be put in place", "nothing was kept");
    keep(o->entry);
    sync_directory_of(o->path);
    free(o->path);
}

unfinished *make_directory(const char *path)
{
    struct stat info;
    hold_interrupts();
    unfinished *made = mkdir(path, 0777) == 0 ? remove_on_exit(text("%s", path), true) : NULL;
    release_interrupts();
    if (made) return made;
    if (errno != EEXIST)
        die_of(path, "cannot be made", "name an -o in a directory that is there and yours to write");
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return NULL;
    die(STATUS_USAGE, "%s: is there and no directory: name another -o", path);
}
