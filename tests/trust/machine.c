/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "machine.h"

#include "floydattn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What follows the first line that begins with name, without spaces, colons, equals signs and quotes round it. */
static int find_line(const char *path, const char *name, char *text, size_t size)
{
    char line[512];
    FILE *file = fopen(path, "r");
    text[0] = 0;
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        const char *from = line + strlen(name) + strspn(line + strlen(name), " \t:=\"");
        snprintf(text, size, "%.*s", (int)strcspn(from, "\"\n"), from);
    }
    if (file) fclose(file);
    return text[0] != 0;
}

static double kilobytes(const char *path, const char *name)
{
    char text[128];
    return find_line(path, name, text, sizeof text) ? strtod(text, NULL) : -1;
}

double status_kilobytes(const char *name)
{
    return kilobytes("/proc/self/status", name);
}

double meminfo_kilobytes(const char *name)
{
    return kilobytes("/proc/meminfo", name);
}

double available_kilobytes(void)
{
    const double machine = meminfo_kilobytes("MemAvailable:");
    const double limit = kilobytes("/sys/fs/cgroup/memory.max", ""),
                 used = kilobytes("/sys/fs/cgroup/memory.current", "");
    const double group = (limit - used) / 1024; /* "max" reads as 0: no limit */
    return limit > 0 && group < machine ? group : machine;
}

void print_machine(void)
{
    char processor[256], system[256];
    struct utsname name;
    floyd_isa isa;
    if (!find_line("/proc/cpuinfo", "model name", processor, sizeof processor))
        snprintf(processor, sizeof processor, "unknown");
    if (!find_line("/etc/os-release", "PRETTY_NAME", system, sizeof system))
        snprintf(system, sizeof system, "unknown");
    if (uname(&name) != 0) memset(&name, 0, sizeof name);
    const char *commit = getenv("FLOYDATTN_COMMIT");
    printf("processor  %s, %ld online, %.1f GiB\n", processor, sysconf(_SC_NPROCESSORS_ONLN),
           meminfo_kilobytes("MemTotal:") / 1048576);
    printf("system     %s, %s %s, %s\n", system, name.sysname, name.release, name.machine);
#ifdef __clang__
    printf("compiler   %s\n", __VERSION__);
#else
    printf("compiler   gcc %s\n", __VERSION__);
#endif
    printf("commit     %s\n", commit ? commit : "unknown");
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) printf("kernels    %s\n", isa.name);
}
