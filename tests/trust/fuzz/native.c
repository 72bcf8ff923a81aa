/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native calls with any arguments. Whatever they are, a call returns a status that it explains; a refused one
 * has written nothing; one that succeeds was a call that floydattn.h allows, has written nothing but its outputs,
 * and gives the same bits again on other threads. Memory that a caller only claims to have cannot be told from
 * memory: a call over more than this program has is made only where the workspace is too small.
 */
#include "native_call.h"

#include <string.h>

static void must_be_explained(floyd_status status)
{
    MUST(strcmp(floyd_status_name(status), "unknown status") != 0);
    MUST(status == FLOYD_OK || floyd_last_message()[0] != '\0');
}

/* What the query has accepted is what the header says. */
static void must_be_allowed(const call *c)
{
    MUST(c->overflowing == 0);
    for (int r = Q; r < ROLES; r++)
        for (int a = 0; c->has[r] && a < 5; a++) {
            const int64_t got = c->tensor[r].size[a], wanted = expected_size(c, (role)r, a);
            MUST(got >= 0 && (wanted < 0 ? got >= 1 : got == wanted || (got == 1 && is_broadcast((role)r))));
        }
}

static bool small_enough(const call *c)
{
    __int128 work = c->B;
    const int64_t sizes[] = {c->H, c->N, c->M, c->K, c->D > 0 ? c->D : 1};
    for (int i = 0; i < 5; i++) {
        if (work > 1 << 17) return false;
        work *= sizes[i];
    }
    return work <= 1 << 17;
}

static bool unchanged(const call *c, bool but_outputs)
{
    for (int r = Q; r < ROLES; r++) {
        const block *b = &c->blocks[r];
        for (size_t i = 0; i < b->bytes; i++)
            if (b->data[i] != b->before[i] && !(but_outputs && b->owned[i])) return false;
    }
    return true;
}

static void put_back(call *c, unsigned char *results[ROLES])
{
    for (int r = Q; r < ROLES; r++) {
        results[r] = malloc(c->blocks[r].bytes + 1);
        memcpy(results[r], c->blocks[r].data ? c->blocks[r].data : results[r], c->blocks[r].bytes);
        if (c->blocks[r].bytes) memcpy(c->blocks[r].data, c->blocks[r].before, c->blocks[r].bytes);
    }
}

/* Once more, with other threads: the same bits. */
static void must_repeat(call *c, input *in)
{
    const floyd_options plain = FLOYD_OPTIONS_INIT;
    unsigned char *results[ROLES];
    size_t bytes;
    put_back(c, results);
    c->options = plain;
    c->options.threads = 1 + (int)in_below(in, 5);
    c->has_options = true;
    MUST(call_query(c, &bytes) == FLOYD_OK);
    void *workspace = malloc(bytes + 1);
    MUST(call_run(c, workspace, bytes) == FLOYD_OK);
    free(workspace);
    for (int r = Q; r < ROLES; r++) {
        MUST(c->blocks[r].bytes == 0 || memcmp(results[r], c->blocks[r].data, c->blocks[r].bytes) == 0);
        free(results[r]);
    }
}

static void run_in_memory(call *c, size_t bytes, input *in)
{
    enum { WHOLE, SHORT, NONE, SHARED };
    const uint8_t choice = in_byte(in), offset = in_byte(in) & 63;
    const int how = choice < 0xe0 ? WHOLE : 1 + choice % 3;
    const int shared = (int)in_below(in, ROLES);
    unsigned char *block = malloc(bytes + offset + 1), *workspace = block + offset;
    const size_t given = how != SHORT || bytes == 0 ? bytes : choice & 4 ? bytes - 1 : 0;
    /* Without a number of threads, a smaller workspace means fewer. */
    const bool enough = given == bytes || (c->options.threads == 0 && given > 0);
    const bool shares = how == SHARED && c->blocks[shared].bytes >= bytes && bytes > 0;
    const bool apart = outputs_apart(c);
    if (how == NONE) workspace = NULL;
    if (shares) workspace = c->blocks[shared].data;
    const floyd_status status = call_run(c, workspace, given);
    must_be_explained(status);
    if (status == FLOYD_OK) {
        MUST(apart && !shares && enough && (workspace || bytes == 0));
        MUST(unchanged(c, true));
        must_repeat(c, in);
    } else if (status == FLOYD_ERROR_CANCELLED) {
        MUST(c->options.progress && unchanged(c, true));
    } else {
        MUST(status == FLOYD_ERROR_NULL || status == FLOYD_ERROR_OVERLAP || status == FLOYD_ERROR_WORKSPACE);
        MUST(unchanged(c, false));
    }
    free(block);
}

static void ask_around(input *in)
{
    floyd_isa isa;
    const int index = (int)in_number(in);
    const floyd_status status = floyd_isa_describe(index, &isa);
    must_be_explained(status);
    MUST((status == FLOYD_OK) == (index >= 0 && index < 8 && status == FLOYD_OK));
    MUST(floyd_isa_describe(index, NULL) == FLOYD_ERROR_NULL);
    MUST(floyd_dtype_size((floyd_dtype)in_number(in)) <= 8);
    MUST(floyd_status_name((floyd_status)in_number(in)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size};
    call c;
    size_t bytes = 12345;
    call_make(&c, &in);
    const bool no_place = in_rarely(&in);
    const floyd_status status = call_query(&c, no_place ? NULL : &bytes);
    must_be_explained(status);
    if (status == FLOYD_OK) {
        must_be_allowed(&c);
        if (c.far == 0 && small_enough(&c) && bytes <= 1 << 26)
            run_in_memory(&c, bytes, &in);
        else if (bytes > 0)
            MUST(call_run(&c, NULL, 0) != FLOYD_OK && unchanged(&c, false));
    } else {
        MUST(bytes == 12345 && (!no_place || status != FLOYD_OK));
        MUST(no_place || (call_run(&c, NULL, 0) == status && unchanged(&c, false)));
    }
    if (in_rarely(&in)) ask_around(&in);
    call_free(&c);
    return 0;
}
