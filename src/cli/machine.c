/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "report.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The value in the first line "key<blanks><separator>value" of a file, without quotes; NULL if there is none. */
static char *value_in_file(const char *path, const char *key, char separator)
{
    FILE *file = fopen(path, "re");
    char *line = NULL, *found = NULL;
    size_t room = 0;
    while (file && !found && getline(&line, &room, file) > 0) {
        char *at = line + strlen(key);
        if (strncmp(line, key, strlen(key)) != 0) continue;
        at += strspn(at, " \t");
        if (*at != separator) continue;
        at += 1 + strspn(at + 1, " \t\"");
        at[strcspn(at, "\"\n")] = '\0';
        found = text("%s", at);
    }
    free(line);
    if (file) (void)fclose(file);
    return found;
}

/* Arm processors have no name in cpuinfo, but a device tree may know the machine. */
static char *processor_name(const struct utsname *u)
{
    char *name = value_in_file("/proc/cpuinfo", "model name", ':');
    if (!name) name = value_in_file("/proc/cpuinfo", "Model", ':');
    return name ? name : text("unnamed %s processor", u->machine);
}

static int usable_processors(int present)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : present;
}

machine describe_machine(void)
{
    struct utsname u;
    uname(&u);
    char *system = value_in_file("/etc/os-release", "PRETTY_NAME", '=');
    machine m = {
        .processor = processor_name(&u),
        .system = system ? system : text("%s", u.sysname),
        .kernel = text("%s %s %s", u.sysname, u.release, u.machine),
        .compiler = text("%s", COMPILER),
        .present = (int)sysconf(_SC_NPROCESSORS_ONLN),
        .memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE),
    };
    m.usable = usable_processors(m.present);
    m.compiler[strcspn(m.compiler, "(") - (strchr(m.compiler, '(') ? 1 : 0)] = '\0'; /* drops where it came from */
    return m;
}

void free_machine(machine *m)
{
    free(m->processor);
    free(m->system);
    free(m->kernel);
    free(m->compiler);
}

json_t *json_text(const char *bytes)
{
    json_t *string = json_string(bytes);
    if (string) return string;
    char *plain = text("%s", bytes);
    for (char *at = plain; *at; at++)
        if ((unsigned char)*at >= 0x80) *at = '?';
    string = json_string(plain);
    free(plain);
    return string;
}

json_t *machine_json(const machine *m)
{
    return json_pack("{s:o,s:i,s:i,s:I,s:o,s:o,s:o}", "processor", json_text(m->processor), "processors_usable",
                     m->usable, "processors_present", m->present, "memory_bytes", (json_int_t)m->memory, "system",
                     json_text(m->system), "kernel", json_text(m->kernel), "compiler", json_text(m->compiler));
}

floyd_isa chosen_isa(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) return isa;
    const char *wanted = getenv("FLOYDATTN_ISA");
    die(STATUS_SYSTEM, "no kernel can run with FLOYDATTN_ISA=%s: see `floydattn info'", wanted ? wanted : "");
}
