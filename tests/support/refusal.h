/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that must be refused. A call is one of the two operations over a fresh problem with distinct
 * sizes; a test spoils one thing in it and says which status it expects, from which of the two functions,
 * and what the message must contain. Every output is shown untouched.
 */
#ifndef FLOYD_TEST_REFUSAL_H
#define FLOYD_TEST_REFUSAL_H

#include "problem.h"

enum { REFUSAL_B = 2, REFUSAL_H = 3, REFUSAL_N = 5, REFUSAL_M = 17, REFUSAL_K = 11, REFUSAL_D = 13 };

typedef struct call {
    int backward;
    problem p;
    floyd_forward_args fargs;
    floyd_backward_args bargs;
    floyd_options options;
    floyd_tensor views[ROLES]; /* what the arguments point to: spoil these */
    unsigned char *workspace;
    size_t bytes; /* of workspace: what the query of the unspoilt call said */
} call;

/* roles: bits of those of BROADCAST that the call has; plain calls have a mask. */
call *call_with(int backward, floyd_dtype dtype, unsigned wide, unsigned roles);
call *call_new(int backward, floyd_dtype dtype, unsigned wide);
/* A plain call in fp32 that also has these roles, where the operation does. */
call *call_about(int backward, unsigned roles);
void call_free(call *c);

/* Whether the operation has this argument, as an output, as one that may be NULL. */
int call_has(const call *c, enum role r);
int call_writes(const call *c, enum role r);
int call_may_omit(const call *c, enum role r);
const floyd_tensor **call_slot(call *c, enum role r);

enum where { QUERY_AND_RUN, RUN_ONLY };

/*
 * Both functions (or the query accepts and the run refuses) return this status, with a message that
 * contains each text that is not NULL; outputs stay untouched. Frees the call.
 */
void expect_refusal(call *c, enum where where, floyd_status status, const char *name, const char *got,
                    const char *needed);

/* A number as a word of its own that the message must contain. */
const char *number(int64_t value);

#endif
