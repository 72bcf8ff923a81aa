/* SPDX-License-Identifier: Apache-2.0 */
/* What a figure or a fault report must name: processor, system, compiler, versions, kernels. */
#ifndef FLOYDATTN_CLI_MACHINE_H
#define FLOYDATTN_CLI_MACHINE_H

#include "floydattn.h"

#include <jansson.h>

typedef struct machine {
    char *processor, *system, *kernel, *compiler;
    int usable, present; /* processors */
    double memory;       /* bytes */
} machine;

machine describe_machine(void);
void free_machine(machine *m);
json_t *machine_json(const machine *m);
/* A new string; of bytes that are no UTF-8, those of ASCII with ? between them. */
json_t *json_text(const char *bytes);

/* The ISA that runs. Ends the command when FLOYDATTN_ISA leaves none. */
floyd_isa chosen_isa(void);

#endif
