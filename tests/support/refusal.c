/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "refusal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static floyd_status query(call *c, size_t *bytes)
{
    return c->backward ? floyd_backward_workspace(&c->bargs, &c->options, bytes)
                       : floyd_forward_workspace(&c->fargs, &c->options, bytes);
}

static floyd_status run(call *c)
{
    return c->backward ? floyd_backward(&c->bargs, &c->options, c->workspace, c->bytes)
                       : floyd_forward(&c->fargs, &c->options, c->workspace, c->bytes);
}

call *call_with(int backward, floyd_dtype dtype, unsigned wide, unsigned roles)
{
    call *c = calloc(1, sizeof *c);
    spec s = spec_of(REFUSAL_B, REFUSAL_H, REFUSAL_N, REFUSAL_M, REFUSAL_K, REFUSAL_D);
    s.dtype = dtype;
    s.wide = wide;
    s.mask = roles >> T_MASK & 1 ? MASK_RANDOM : MASK_NONE;
    s.bias = roles >> T_BIAS & 1 ? BIAS_NORMAL : BIAS_NONE;
    s.dbias = roles >> T_DBIAS & 1;
    s.bias_axes = 1u << 2 | 1u << 3 | 1u << 4;
    s.R = 2;
    c->backward = backward;
    c->p = problem_new(&s);
    c->fargs = forward_args(&c->p, FORWARD_OUTPUTS);
    c->bargs = backward_args(&c->p, GRADIENTS);
    c->options = (floyd_options)FLOYD_OPTIONS_INIT;
    c->options.threads = 1;
    for (enum role r = T_Q; r < ROLES; r++) {
        c->views[r] = c->p.t[r].view;
        if (call_has(c, r)) *call_slot(c, r) = &c->views[r];
    }
    assert_int_equal(query(c, &c->bytes), FLOYD_OK);
    c->workspace = malloc(c->bytes + 1);
    return c;
}

call *call_new(int backward, floyd_dtype dtype, unsigned wide)
{
    return call_with(backward, dtype, wide, 1u << T_MASK);
}

call *call_about(int backward, unsigned roles)
{
    return call_with(backward, FLOYD_F32, 0, 1u << T_MASK | roles);
}

void call_free(call *c)
{
    problem_free(&c->p);
    free(c->workspace);
    free(c);
}

int call_has(const call *c, enum role r)
{
    return c->p.t[r].block && (c->backward || r <= T_SUM || r == T_BIAS);
}

int call_writes(const call *c, enum role r)
{
    return (c->backward ? GRADIENTS : FORWARD_OUTPUTS) >> r & 1;
}

int call_may_omit(const call *c, enum role r)
{
    return (BROADCAST | (c->backward ? GRADIENTS : 1 << T_MAX | 1 << T_SUM)) >> r & 1;
}

const floyd_tensor **call_slot(call *c, enum role r)
{
    return c->backward ? backward_slot(&c->bargs, r) : forward_slot(&c->fargs, r);
}

/* Like strstr(), but "k1" is not found in "dk1" nor "5" in "15". */
static int has_word(const char *text, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[length])) return 1;
    return 0;
}

static void expect_message(const char *name, const char *got, const char *needed)
{
    const char *const words[] = {name, got, needed};
    for (int i = 0; i < 3; i++)
        if (words[i] && !has_word(floyd_last_message(), words[i]))
            fail_msg("the message \"%s\" does not say \"%s\"", floyd_last_message(), words[i]);
}

static void expect_status(floyd_status got, floyd_status wanted, const char *name, const char *function)
{
    if (got != wanted)
        fail_msg("%s, %s spoilt: %s (%s), not %s", function, name ? name : "something", floyd_status_name(got),
                 floyd_last_message(), floyd_status_name(wanted));
}

void expect_refusal(call *c, enum where where, floyd_status status, const char *name, const char *got,
                    const char *needed)
{
    size_t bytes = 12345;
    const floyd_status answer = query(c, &bytes);
    expect_status(answer, where == RUN_ONLY ? FLOYD_OK : status, name,
                  c->backward ? "backward query" : "forward query");
    if (where != RUN_ONLY) {
        expect_message(name, got, needed);
        assert_int_equal(bytes, 12345);
    }
    expect_status(run(c), status, name, c->backward ? "backward" : "forward");
    expect_message(name, got, needed);
    for (enum role r = T_Q; r < ROLES; r++)
        if (call_writes(c, r) && !tensor_untouched(&c->p.t[r])) fail_msg("%s was written", role_names[r]);
    call_free(c);
}

const char *number(int64_t value)
{
    static char texts[4][24];
    static int next;
    next = (next + 1) % 4;
    snprintf(texts[next], sizeof texts[next], "%lld", (long long)value);
    return texts[next];
}
