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

bool output_is_there(const char *path, struct stat *info)
{
    if (stat(path, info) == 0) return true;
    if (errno != ENOENT && errno != ENOTDIR) die_of(path, "cannot be looked at", "name another -o");
    return false;
}

/* Where the file goes: through a symbolic link, so that the link stays one. */
static char *resolve(const char *path, bool *is_new)
{
    struct stat info;
    *is_new = !output_is_there(path, &info);
    if (*is_new) return text("%s", path);
    if (!S_ISREG(info.st_mode)) die(STATUS_USAGE, "%s: is there and no regular file: name another -o", path);
    if (is_mapped(&info)) die(STATUS_USAGE, "%s: is an input: name another -o", path);
    char *target = realpath(path, NULL);
    if (!target) die_of(path, "cannot be followed", "name another -o");
    return target;
}

/* The directory of o->path, and ".NAME.XXXXXX" in it. */
static void name_temporary(output *o)
{
    char *directory = text("%s", o->path), *base = text("%s", o->path);
    o->directory = text("%s", dirname(directory));
    o->temporary = text("%s/.%s.XXXXXX", o->directory, basename(base));
    free(directory);
    free(base);
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
    int failed;
    do stop_if_interrupted();
    while ((failed = bytes > 0 && fallocate(o->fd, 0, 0, bytes) != 0) && errno == EINTR);
    if (failed && errno != EOPNOTSUPP && errno != ENOSYS) {
        char size[BYTES_TEXT];
        char *what = text("no room for %s", bytes_text(size, (double)bytes));
        die_of(o->path, what, "name another -o");
    }
}

output open_output(const char *path, int64_t bytes)
{
    output o = {0};
    o.path = resolve(path, &o.is_new);
    name_temporary(&o);
    o.entry = note_path(o.temporary, false);
    hold_interrupts(); /* or one might come between the file and the note that it is to be removed */
    o.fd = mkostemp(o.temporary, O_CLOEXEC);
    if (o.fd < 0) die_of(o.path, "cannot be written", "name an -o in a directory that you may write to");
    remove_on_exit(o.entry);
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
    int failed;
    do stop_if_interrupted();
    while ((failed = fsync(o->fd) != 0) && errno == EINTR);
    /* EINVAL: a file system that has nothing to bring anywhere. */
    if (failed && errno != EINVAL) die_of(o->path, "cannot be brought to the disk", "nothing was kept");
    if (close(o->fd) != 0) die_of(o->path, "cannot be written", "nothing was kept");
}

/* So that the new name, too, survives a power failure; where that cannot be asked for, it is not. */
static void sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* Nothing but the renaming may fail here: it cannot be undone where there was an older file. */
void publish_output(const output *o, const char *advice)
{
    if (rename(o->temporary, o->path) != 0) die_of(o->path, "cannot be put in place", advice);
    if (o->is_new)
        rename_unfinished(o->entry, o->path);
    else
        keep(o->entry);
    sync_directory(o->directory);
}

void free_output(output *o)
{
    free(o->is_new ? o->temporary : o->path); /* the list of files has the other one */
    free(o->directory);
}

void publish_directory(unfinished *entry, const char *path)
{
    char *copy = text("%s", path);
    keep(entry);
    sync_directory(dirname(copy));
    free(copy);
}

unfinished *make_directory(const char *path)
{
    struct stat info;
    unfinished *entry = note_path(text("%s", path), true);
    hold_interrupts();
    const int cause = mkdir(path, 0777) == 0 ? 0 : errno;
    if (cause == 0) remove_on_exit(entry);
    release_interrupts();
    if (cause == 0) return entry;
    errno = cause;
    if (cause != EEXIST)
        die_of(path, "cannot be made", "name an -o in a directory that is there and yours to write");
    if (output_is_there(path, &info) && S_ISDIR(info.st_mode)) return NULL;
    die(STATUS_USAGE, "%s: is there and no directory: name another -o", path);
}
