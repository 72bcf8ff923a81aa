/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"
#include "commands.h"
#include "machine.h"
#include "report.h"

#include <stdbool.h>
#include <stdlib.h>

/* What from outside decides how a call runs. */
static const char *const variables[] = {"FLOYDATTN_ISA", "FLOYDATTN_NUM_THREADS", "OMP_NUM_THREADS"};
enum { VARIABLES = sizeof variables / sizeof *variables };

static const struct argp_option options[] = {{"json", 'j', NULL, 0, "Print JSON", 0}, {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    (void)value;
    bool *json = state->input;
    if (key == ARGP_KEY_ARG) argp_usage(state);
    if (key != 'j') return ARGP_ERR_UNKNOWN;
    *json = true;
    return 0;
}

static const char help[] =
    "This processor, the kernels that the library has, and which of them runs here, and why.";

static const struct argp parser = {.options = options, .parser = parse, .doc = help};

static void print_text(const machine *m)
{
    char memory[BYTES_TEXT];
    floyd_isa isa;
    printf("version    %d.%d.%d, library %s\n", FLOYD_VERSION_MAJOR, FLOYD_VERSION_MINOR, FLOYD_VERSION_PATCH,
           floyd_version());
    printf("compiler   %s\n", m->compiler);
    printf("processor  %s, %d of %d usable\n", m->processor, m->usable, m->present);
    printf("memory     %s\n", bytes_text(memory, m->memory));
    printf("system     %s, %s\n", m->system, m->kernel);
    printf("threads    %d unless told otherwise\n", floyd_default_threads());
    for (int i = 0; i < VARIABLES; i++)
        if (getenv(variables[i])) printf("setting    %s=%s\n", variables[i], getenv(variables[i]));
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        printf("%-10s %-13s %-7s %s\n", i ? "" : "kernels", isa.name,
               isa.chosen      ? "runs"
               : isa.supported ? "could"
                               : "cannot",
               isa.reason);
}

static json_t *kernels_json(void)
{
    json_t *list = json_array();
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:s}", "name", isa.name, "supported", isa.supported,
                                              "chosen", isa.chosen, "reason", isa.reason));
    return list;
}

static json_t *settings_json(void)
{
    json_t *object = json_object();
    for (int i = 0; i < VARIABLES; i++)
        if (getenv(variables[i])) json_object_set_new(object, variables[i], json_text(getenv(variables[i])));
    return object;
}

static void print_json(const machine *m)
{
    json_t *object = json_pack("{s:s,s:o,s:i,s:o,s:o}", "version", floyd_version(), "machine", machine_json(m),
                               "default_threads", floyd_default_threads(), "settings", settings_json(), "kernels",
                               kernels_json());
    (void)json_dumpf(object, stdout, JSON_INDENT(2)); /* a failure to write is check_stdout()'s */
    putchar('\n');
    json_decref(object);
}

int info_command(int argc, char **argv)
{
    bool json = false;
    parse_arguments(&parser, argc, argv, 0, &json);
    machine m = describe_machine();
    if (json)
        print_json(&m);
    else
        print_text(&m);
    free_machine(&m);
    fflush(stdout);
    chosen_isa(); /* says so when none runs */
    return STATUS_OK;
}
