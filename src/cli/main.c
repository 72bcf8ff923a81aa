/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"
#include "commands.h"
#include "report.h"
#include "signals.h"

#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"forward", "Floyd attention of tensors in files", forward_command},
    {"grad", "its gradient", grad_command},
    {"info", "this processor, and the kernels that run on it", info_command},
    {"selftest", "does this machine compute right?", selftest_command},
    {"bench", "how fast is it here?", bench_command},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

typedef struct invocation {
    const struct command *command;
    int index; /* of its name in argv */
} invocation;

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

/* The list of commands, at its place in the help. argp frees what this returns, unless it is `unchanged`. */
static char *list_commands(int key, const char *unchanged, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_PRE_DOC) return (char *)unchanged;
    char *list = text("%s\n\nCommands:\n", unchanged ? unchanged : "");
    for (int i = 0; i < COMMANDS; i++) {
        char *longer = text("%s  %-10s%s\n", list, commands[i].name, commands[i].summary);
        free(list);
        list = longer;
    }
    return list;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    invocation *found = state->input;
    if (key == ARGP_KEY_NO_ARGS) argp_usage(state);
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    found->command = find_command(value);
    if (!found->command) argp_error(state, "%s is no command", value);
    found->index = state->next - 1;
    state->next = state->argc; /* the rest is the command's */
    return 0;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "floydattn %d.%d.%d, on library %s\n", FLOYD_VERSION_MAJOR, FLOYD_VERSION_MINOR,
            FLOYD_VERSION_PATCH, floyd_version());
}

static const char help[] =
    "Floyd (pivotal) attention, forward and gradient, on the CPU.\v"
    "`floydattn COMMAND --help' says more about a command.\n\n"
    "Exit status: 0 done, 1 a file does not hold what it should, 2 the command line makes no sense, 3 memory, disk "
    "or processor fail, 130 interrupted.";

static const struct argp parser = {
    .parser = parse, .args_doc = "COMMAND [ARGUMENT...]", .doc = help, .help_filter = list_commands};

/* jansson drops what it has no memory for, or calls it bad JSON: it always has some, or the command ends. */
static void *allocate_for_json(size_t bytes)
{
    return allocate(bytes, "JSON");
}

int main(int argc, char **argv)
{
    invocation found = {0};
    (void)setlocale(LC_CTYPE, "");
    (void)setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
    argp_err_exit_status = STATUS_USAGE;
    argp_program_version_hook = print_version;
    (void)atexit(check_stdout);
    install_signal_handlers();
    json_set_alloc_funcs(allocate_for_json, free);
    parse_arguments(&parser, argc, argv, ARGP_IN_ORDER, &found);
    char *name = text("floydattn %s", found.command->name);
    argv[found.index] = name;
    int status = found.command->run(argc - found.index, argv + found.index);
    free(name);
    return status;
}
