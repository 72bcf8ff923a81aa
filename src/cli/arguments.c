/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include "report.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const choice dtype_choices[] = {
    {"f16", FLOYD_F16}, {"bf16", FLOYD_BF16}, {"f32", FLOYD_F32}, {"f64", FLOYD_F64}, {NULL, 0}};

/* A positive whole number at *value, which then points behind it; 0 if there is none. */
static int64_t take_positive(const char **value)
{
    char *end;
    errno = 0;
    long long number = strtoll(*value, &end, 10);
    if (end == *value || errno || number < 1) return 0;
    *value = end;
    return number;
}

int positive_argument(const struct argp_state *state, const char *option, const char *value)
{
    const char *rest = value;
    int64_t number = take_positive(&rest);
    if (number == 0 || *rest || number > INT_MAX)
        argp_error(state, "%s is \"%s\": it must be a whole number from 1", option, value);
    return (int)number;
}

double number_argument(const struct argp_state *state, const char *option, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number))
        argp_error(state, "%s is \"%s\": it must be a number, such as 0.125", option, value);
    return number;
}

void sizes_argument(const struct argp_state *state, const char *option, const char *value, int64_t *sizes,
                    int count)
{
    const char *rest = value;
    for (int i = 0; i < count; i++) {
        sizes[i] = take_positive(&rest);
        if (sizes[i] == 0 || *rest++ != (i + 1 < count ? ',' : '\0'))
            argp_error(state, "%s is \"%s\": it must be %d whole numbers from 1 with commas between", option, value,
                       count);
    }
}

int choice_argument(const struct argp_state *state, const char *option, const char *value, const choice *choices)
{
    char *known = text("%s", "");
    for (const choice *c = choices; c->name; c++) {
        if (strcmp(c->name, value) == 0) {
            free(known);
            return c->value;
        }
        char *longer = text("%s%s%s", known, c == choices ? "" : ", ", c->name);
        free(known);
        known = longer;
    }
    argp_error(state, "%s is \"%s\": it must be one of %s", option, value, known);
    return 0;
}

void parse_arguments(const struct argp *parser, int argc, char **argv, unsigned flags, void *input)
{
    const error_t error = argp_parse(parser, argc, argv, flags, NULL, input);
    if (error == ENOMEM) die(STATUS_SYSTEM, "no memory to read the command line");
    if (error != 0) exit(STATUS_USAGE); /* it has said why */
}
