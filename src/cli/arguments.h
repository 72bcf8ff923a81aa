/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options, for argp parsers: each ends the command with STATUS_USAGE and a hint when it makes no sense.
 */
#ifndef FLOYDATTN_CLI_ARGUMENTS_H
#define FLOYDATTN_CLI_ARGUMENTS_H

#include <argp.h>
#include <stdint.h>

/* `option` is its name with the dashes, for the message. */
int positive_argument(const struct argp_state *state, const char *option, const char *value);
double number_argument(const struct argp_state *state, const char *option, const char *value);

/* `count` positive sizes between commas. */
void sizes_argument(const struct argp_state *state, const char *option, const char *value, int64_t *sizes,
                    int count);

typedef struct choice {
    const char *name;
    int value;
} choice;

/* One of a list that ends with a NULL name. */
int choice_argument(const struct argp_state *state, const char *option, const char *value, const choice *choices);

/* The four types of operands, as they are named on the command line: f16, bf16, f32, f64. */
extern const choice dtype_choices[];

/* Parses with STATUS_USAGE as the exit status of every complaint. argv[0] is the command as the user knows it. */
void parse_arguments(const struct argp *parser, int argc, char **argv, unsigned flags, void *input);

#endif
