/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of `floydattn forward` and `floydattn grad`. */
#include "arguments.h"
#include "commands.h"
#include "operate.h"
#include "report.h"

#include <stdlib.h>

static const struct argp_option shared_options[] = {
    {"output", 'o', "OUT", 0,
     "Write the results to OUT: a safetensors file, or a directory of NAME.npy if OUT ends with '/', is a "
     "directory, or is new, without .safetensors, while IN is a directory",
     0},
    {"scale", 's', "X", 0, "Multiply the scores by X (default: the scale in the file's metadata)", 0},
    {"threads", 't', "N", 0, "Compute with N threads (default: all that this process may use)", 0},
    {"quiet", 'q', NULL, 0, "Show no progress and no summary", 0},
    {0}};

static const struct argp_option grad_options[] = {{"mask-rule", 'm', "RULE", 0,
                                                   "In fully masked rows, let the gradient flow (replace, the "
                                                   "default) or be zero at masked positions (zero-grad)",
                                                   0},
                                                  {0}};

static const choice mask_rules[] = {
    {"replace", FLOYD_MASK_REPLACE}, {"zero-grad", FLOYD_MASK_ZERO_GRAD}, {NULL, 0}};

static void add_input(job *j, char *path)
{
    j->inputs = realloc(j->inputs, (size_t)(j->input_count + 1) * sizeof *j->inputs);
    if (!j->inputs) die(STATUS_SYSTEM, "no memory for the list of inputs");
    j->inputs[j->input_count++] = path;
}

static error_t parse_shared(int key, char *value, struct argp_state *state)
{
    job *j = state->input;
    switch (key) {
    case 'o':
        j->output = value;
        break;
    case 's':
        j->scale = number_argument(state, "--scale", value);
        j->has_scale = true;
        break;
    case 't':
        j->threads = positive_argument(state, "--threads", value);
        break;
    case 'q':
        j->quiet = true;
        break;
    case ARGP_KEY_ARG:
        add_input(j, value);
        break;
    case ARGP_KEY_END:
        if (j->input_count == 0) argp_error(state, "no input: name a safetensors file or a directory of NAME.npy");
        if (!j->output || !*j->output) argp_error(state, "no output: say where to write with -o OUT");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t parse_own(int key, char *value, struct argp_state *state)
{
    job *j = state->input;
    switch (key) {
    case 'm':
        j->mask_rule = (floyd_mask_rule)choice_argument(state, "--mask-rule", value, mask_rules);
        break;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = j;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

#define INPUTS_HELP "IN is a safetensors file or a directory of NAME.npy; several are read as one."

static const char forward_help[] =
    "Floyd attention of the tensors in IN.\v"
    "Reads query, key1, value1, key2, value2 and, if it is there, atten_mask. Writes attention_in, softmax_max and "
    "softmax_sum, named as `floydattn grad' reads them.\n\n" INPUTS_HELP;

static const char grad_help[] =
    "Gradient of Floyd attention at the tensors in IN.\v"
    "Reads query, key1, value1, key2, value2, dy and, if it is there, atten_mask; and softmax_max, softmax_sum and "
    "attention_in as `floydattn forward' wrote them, or, if none of the three is there, computes them first. "
    "Writes dq, dk1, dv1, dk2 and dv2.\n\n" INPUTS_HELP;

static const struct argp shared_parser = {.options = shared_options, .parser = parse_shared};
static const struct argp_child children[] = {{.argp = &shared_parser}, {0}};

static const struct argp forward_parser = {
    .parser = parse_own, .args_doc = "IN... -o OUT", .doc = forward_help, .children = children};

static const struct argp grad_parser = {.options = grad_options,
                                        .parser = parse_own,
                                        .args_doc = "IN... -o OUT",
                                        .doc = grad_help,
                                        .children = children};

static int run_job(const struct argp *parser, void (*operate)(const job *), int argc, char **argv)
{
    job j = {0};
    parse_arguments(parser, argc, argv, 0, &j);
    operate(&j);
    free(j.inputs);
    return STATUS_OK;
}

int forward_command(int argc, char **argv)
{
    return run_job(&forward_parser, run_forward, argc, argv);
}

int grad_command(int argc, char **argv)
{
    return run_job(&grad_parser, run_grad, argc, argv);
}
