/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not one byte outside: every tensor and the workspace lie against pages that cannot be touched, first with their
 * beginning and then with their end, inputs read-only, while forward and backward run at sizes below, at and above
 * the edges of tiles and vectors. Many problems have such pages between the rows of a tensor, too. Results must be
 * correct, and have the same bits as those in ordinary memory, which the reference judges.
 */
#include "cmocka_all.h"

#include "check.h"
#include "draw.h"
#include "guarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *isa_name = "none";
static int runs;            /* guarded calls */
static const spec *current; /* of the problem that is being checked */

/* ---- one call in guarded memory -------------------------------------------------------------------- */

enum pass { FORWARD, BACKWARD };

typedef struct call {
    const drawn *d;
    enum pass pass;
    enum guard_end end;
    int level;     /* of guard_copy() */
    int continued; /* carry or add */
    int odd;       /* the workspace is not aligned */
} call;

/* Bits of the outputs that it asks for; a call that continues needs them all. */
static unsigned outputs_of(const call *c)
{
    const unsigned all = c->pass == FORWARD ? (unsigned)FORWARD_OUTPUTS : (unsigned)GRADIENTS;
    return c->continued ? all : all & c->d->wanted;
}

static void describe_call(const call *c, char *text, size_t size)
{
    char words[SPEC_TEXT];
    snprintf(text, size, "%s%s, %s of the memory at the page, level %d, workspace %s, kernels %s\n%s",
             c->pass == FORWARD ? "forward" : "backward",
             !c->continued        ? ""
             : c->pass == FORWARD ? " carried on"
                                  : " adding",
             c->end == GUARD_LOW ? "beginning" : "end", c->level, c->odd ? "odd" : "aligned", isa_name,
             spec_text(&c->d->s, words));
}

/* How many islands a tensor has at this level. */
static int64_t islands(const floyd_tensor *t, int level)
{
    int64_t count = 1;
    for (int a = 0; a <= level; a++) count *= t->size[a];
    return count;
}

/* As many as that many pages allow. */
static int level_of(const floyd_tensor *t, int level)
{
    enum { MOST = 100 };
    while (level >= 0 && islands(t, level) > MOST) level--;
    return level;
}

static problem guarded_problem(const problem *from, const call *c)
{
    const unsigned outputs = outputs_of(c);
    problem p = *from;
    for (int r = 0; r < ROLES; r++) {
        const int output = outputs >> r & 1;
        const int read = c->pass == BACKWARD ? !(GRADIENTS >> r & 1) : r < T_Y || r == T_BIAS;
        memset(&p.t[r], 0, sizeof p.t[r]);
        if (!from->t[r].block || !(output || read)) continue;
        const int level = level_of(&from->t[r].view, c->level);
        p.t[r] = guard_copy(&from->t[r], role_names[r], c->end, level, output && !c->continued);
        if (!output && level < 0) guard_read_only(p.t[r].block);
    }
    return p;
}

static floyd_status run_call(const problem *p, const call *c)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    floyd_forward_args forward = forward_args(p, outputs_of(c));
    floyd_backward_args backward = backward_args(p, outputs_of(c));
    size_t bytes = 0;
    forward.carry = backward.add = c->continued;
    options.threads = p->s.threads;
    floyd_status status = c->pass == FORWARD ? floyd_forward_workspace(&forward, &options, &bytes)
                                             : floyd_backward_workspace(&backward, &options, &bytes);
    if (status != FLOYD_OK) return status;
    unsigned char *workspace = guard_new("the workspace", bytes, 1, c->end, c->odd ? 63 : 0);
    status = c->pass == FORWARD ? floyd_forward(&forward, &options, workspace, bytes)
                                : floyd_backward(&backward, &options, workspace, bytes);
    if (!guard_margins_untouched(workspace)) fail_msg("bytes beside the workspace were written");
    guard_free(workspace);
    return status;
}

static void check_outputs(const problem *p, const problem *expected, const call *c)
{
    for (int r = 0; r < ROLES; r++) {
        const tensor *t = &p->t[r];
        if (!t->block) continue;
        if (!guard_margins_untouched(t->block)) fail_msg("bytes beside %s were written", role_names[r]);
        if (!(outputs_of(c) >> r & 1)) continue;
        if (level_of(&t->view, c->level) < 0 && !c->continued && !tensor_gaps_untouched(t))
            fail_msg("bytes between the elements of %s were written", role_names[r]);
        expect_same_view(&expected->t[r].view, &t->view, role_names[r]);
    }
}

/* Both ends. expected: the same call's results in ordinary memory; from: what it started from. */
static void run_guarded(const problem *from, const problem *expected, call *c)
{
    static char text[SPEC_TEXT + 300];
    for (int end = GUARD_HIGH; end >= GUARD_LOW; end--) { /* first the end that most errors run over */
        c->end = (enum guard_end)end;
        describe_call(c, text, sizeof text);
        guard_watch(text);
        problem p = guarded_problem(from, c);
        const floyd_status status = run_call(&p, c);
        if (status != FLOYD_OK) fail_msg("%s: %s", floyd_status_name(status), floyd_last_message());
        check_outputs(&p, expected, c);
        for (int r = 0; r < ROLES; r++) guard_copy_free(&p.t[r]);
        runs++;
    }
}

/* ---- one problem ----------------------------------------------------------------------------------- */

static void copy_values(problem *to, const problem *from, unsigned roles)
{
    for (int r = 0; r < ROLES; r++) {
        if (!(roles >> r & 1) || !from->t[r].block) continue;
        double *values = tensor_values(&from->t[r].view);
        tensor_assign(&to->t[r].view, values);
        free(values);
    }
}

/* The same call, continuing what p's outputs hold, in ordinary and in guarded memory. */
static void run_continued(problem *p, call *c)
{
    problem after = problem_new(&p->s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    copy_values(&after, p, FORWARD_OUTPUTS | GRADIENTS);
    floyd_forward_args forward = forward_args(&after, FORWARD_OUTPUTS);
    floyd_backward_args backward = backward_args(&after, GRADIENTS);
    options.threads = p->s.threads;
    forward.carry = backward.add = c->continued = 1;
    assert_int_equal(c->pass == FORWARD ? run_forward_args(&forward, &options)
                                        : run_backward_args(&backward, &options),
                     FLOYD_OK);
    run_guarded(p, &after, c);
    c->continued = 0;
    problem_free(&after);
}

static void check_drawn(drawn *d, int level, int odd)
{
    call c = {.d = d, .pass = FORWARD, .level = level, .odd = odd};
    current = &d->s;
    problem p = problem_new(&d->s);
    run_forward(&p);
    check_forward(&p);
    run_guarded(&p, &p, &c);
    if (d->carry) run_continued(&p, &c);
    store_reference_forward(&p);
    run_backward(&p);
    check_backward(&p);
    c.pass = BACKWARD;
    run_guarded(&p, &p, &c);
    if (d->add) run_continued(&p, &c);
    problem_free(&p);
    current = NULL;
}

/* Which problem it was, where a check has failed. */
static int print_failed(void **state)
{
    char text[SPEC_TEXT];
    (void)state;
    if (current) print_error("in the problem\n%s\n", spec_text(current, text));
    current = NULL;
    return 0;
}

/* ---- which ----------------------------------------------------------------------------------------- */

static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 33, 47, 48, 49, 65, 97};
static const int64_t heads[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 127, 128, 129};
enum { LENGTHS = sizeof lengths / sizeof *lengths, HEADS = sizeof heads / sizeof *heads };

/* Contiguous or with pages between rows: what lies last in a vector or a tile meets a page. */
static void check_size(const int64_t size[4], int dtype, int turn)
{
    drawn d;
    memset(&d, 0, sizeof d);
    d.s.B = 1, d.s.H = 1 + turn % 2, d.s.N = size[0], d.s.M = size[1], d.s.K = size[2], d.s.D = size[3];
    draw_rest(&d, (uint64_t)turn + 1000);
    d.s.dtype = (floyd_dtype)dtype;
    if (turn % 3) d.s.inputs = d.s.outputs = &layout_contiguous;
    check_drawn(&d, turn % 3 == 1 ? 3 : turn % 7 - 2, turn / 3 % 2);
}

/* Each length on each axis, with every dtype. */
static void test_lengths(void **state)
{
    int turn = 0;
    (void)state;
    for (int axis = 0; axis < 3; axis++)
        for (int i = 0; i < LENGTHS; i++)
            for (int dtype = 0; dtype < 4; dtype++, turn++) {
                int64_t size[] = {3, 4, 5, heads[turn % HEADS]};
                size[axis] = lengths[i];
                check_size(size, dtype, turn);
            }
}

static void test_heads(void **state)
{
    int turn = 0;
    (void)state;
    for (int i = 0; i < HEADS; i++)
        for (int dtype = 0; dtype < 4; dtype++, turn++) {
            const int64_t size[] = {2 + turn % 5, 3 + turn % 7, 8 + turn % 11, heads[i]};
            check_size(size, dtype, turn);
        }
}

/* FLOYDATTN_GUARD_SEED says where the draws begin. */
static void test_drawn(void **state)
{
    const char *asked = getenv("FLOYDATTN_GUARD_SEED");
    const uint64_t first = asked ? strtoull(asked, NULL, 0) : 1;
    (void)state;
    for (uint64_t i = 0; i < 400; i++) {
        drawn d;
        draw_problem(&d, first * 1000 + i, i % 50 ? 3e4 : 4e5);
        check_drawn(&d, (int)(i % 6) - 2, (int)(i / 2 % 2));
    }
}

/* The kernels that run here, for the script to ask for in turn. */
static int list_isas(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.supported) printf("%s\n", isa.name);
    return 0;
}

static void find_isa(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) isa_name = isa.name;
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_lengths, print_failed),
                                       cmocka_unit_test_teardown(test_heads, print_failed),
                                       cmocka_unit_test_teardown(test_drawn, print_failed)};
    if (count > 1 && strcmp(arguments[1], "--isas") == 0) return list_isas();
    find_isa();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!failed) printf("%s: %d calls in guarded memory, no byte beyond it\n", isa_name, runs);
    return failed;
}
