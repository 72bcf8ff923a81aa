/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include "report.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

mapping map_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us before we refuse it */
    if (fd < 0 || fstat(fd, &info) != 0) die(STATUS_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) die(STATUS_INPUT, "%s: is not a regular file: write its content to one", path);
    if (info.st_size == 0) die(STATUS_INPUT, "%s: is empty", path);
    mapping m = {path, NULL, (size_t)info.st_size};
    void *start = mmap(NULL, m.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (start == MAP_FAILED)
        die(STATUS_SYSTEM, "%s: cannot be mapped into memory: %s: copy it to a local disk", path, strerror(errno));
    m.data = start;
    watch_mapping(path, fd, start, &info); /* keeps fd open, to see later what became of the file */
    return m;
}
