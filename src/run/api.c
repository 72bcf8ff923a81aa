/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls: check, plan, acquire, run. */
#include <stdio.h>
#include <string.h>

#include "fpenv.h"
#include "plan/plan.h"
#include "problem/message.h"
#include "problem/problem.h"
#include "run.h"
#include "team.h"

floyd_status floyd_isa_describe(int index, floyd_isa *isa)
{
    if (!isa) return floyd_fail(FLOYD_ERROR_NULL, "isa is NULL; it needs a place for the description");
    const int count = floyd_isa_get(index, isa);
    if (index < 0 || index >= count)
        return floyd_fail(FLOYD_ERROR_OPTION, "index is %d; it needs 0 to %d", index, count - 1);
    return FLOYD_OK;
}

/* The instruction sets that run here, "avx2, portable". */
static const char *list_isas(char *names, size_t room)
{
    floyd_isa isa;
    const int count = floyd_isa_get(-1, &isa);
    size_t length = 0;
    names[0] = '\0';
    for (int i = 0; i < count && length < room; i++) {
        floyd_isa_get(i, &isa);
        if (!isa.supported) continue;
        length += (size_t)snprintf(names + length, room - length, "%s%s", length ? ", " : "", isa.name);
    }
    return names;
}

static floyd_status refuse_isa(void)
{
    char names[128];
    return floyd_fail(FLOYD_ERROR_UNSUPPORTED, "FLOYDATTN_ISA is \"%s\"; it needs to be unset or one of: %s",
                      floyd_isa_asked(), list_isas(names, sizeof names));
}

static int threads_of(const floyd_problem *problem)
{
    return problem->threads > 0 ? problem->threads : floyd_default_threads();
}

/* From a checked problem to what will run it, on at most so many threads. */
static floyd_status prepare(const floyd_problem *problem, int threads, floyd_plan *plan,
                            const floyd_kernels **kernels)
{
    *kernels = floyd_kernels_get(problem->fp64);
    if (!*kernels) return refuse_isa();
    if (!floyd_plan_make(problem, threads, plan))
        return floyd_fail(FLOYD_ERROR_OVERFLOW,
                          "the workspace takes more bytes than 64 bits count; D is %lld and N*M "
                          "%lld*%lld",
                          (long long)problem->D, (long long)problem->N, (long long)problem->M);
    return FLOYD_OK;
}

static floyd_status query(const floyd_problem *problem, size_t *bytes)
{
    floyd_plan plan;
    const floyd_kernels *kernels;
    if (!bytes) return floyd_fail(FLOYD_ERROR_NULL, "bytes is NULL; it needs a place for the workspace size");
    const floyd_status status = prepare(problem, threads_of(problem), &plan, &kernels);
    if (status == FLOYD_OK) *bytes = plan.bytes;
    return status;
}

static char *aligned(void *workspace)
{
    const uintptr_t address = (uintptr_t)workspace, rest = address % FLOYD_ALIGN;
    return (char *)workspace + (rest ? FLOYD_ALIGN - rest : 0);
}

static floyd_status carry_out(floyd_run *run, void *workspace)
{
    const floyd_plan *plan = run->plan;
    const bool backward = run->problem->backward;
    floyd_team team;
    const int error = floyd_team_gather(&team, plan->threads, run->problem->parallel);
    if (error != 0)
        return floyd_fail(
            FLOYD_ERROR_SYSTEM, "%d threads are asked for and could not be started: %s", plan->threads,
            strerror(error)); /* NOLINT(concurrency-mt-unsafe): constants, for what threads fail with */
    run->scratch = aligned(workspace);
    run->slots = backward ? run->scratch + (size_t)plan->threads * plan->scratch_bytes : NULL;
    floyd_schedule_start(&run->schedule, run->problem, plan, run->slots);
    if (run->problem->has[FLOYD_ROLE_DBIAS]) floyd_run_begin_dbias(run);
    floyd_team_run(&team, backward ? floyd_run_backward : floyd_run_forward, run);
    const bool cancelled = floyd_schedule_end(&run->schedule);
    if (run->schedule.orphaned)
        return floyd_fail(FLOYD_ERROR_CANCELLED,
                          "the progress callback forked, and the call's other threads are not in "
                          "the child; its outputs are unspecified");
    if (cancelled)
        return floyd_fail(FLOYD_ERROR_CANCELLED, "the progress callback cancelled the call; its outputs are "
                                                 "unspecified");
    return FLOYD_OK;
}

/* Plans a call for the workspace that it got, and checks that. */
static floyd_status fit(const floyd_problem *problem, void *workspace, size_t bytes, floyd_plan *plan,
                        const floyd_kernels **kernels)
{
    floyd_status status = prepare(problem, threads_of(problem), plan, kernels);
    /* The default may have grown since the query: the workspace then says how many threads there are. */
    while (status == FLOYD_OK && problem->threads == 0 && plan->bytes > bytes && plan->threads > 1)
        status = prepare(problem, plan->threads - 1, plan, kernels);
    return status == FLOYD_OK ? floyd_problem_memory(problem, workspace, bytes, plan->bytes) : status;
}

/* What the public calls are given. */
typedef struct request {
    const floyd_forward_args *forward; /* one of the two */
    const floyd_backward_args *backward;
    const floyd_options *options;
    bool is_backward;
} request;

static floyd_status check(const request *r, floyd_problem *problem)
{
    return r->is_backward ? floyd_problem_backward(r->backward, r->options, problem)
                          : floyd_problem_forward(r->forward, r->options, problem);
}

/*
 * Arguments are read in the environment in which they are computed with: where the caller's flushes denormal
 * numbers, one that is not 0 would seem to be, and no plan would be made for it. Callbacks find the caller's.
 */
static floyd_status ask(const request *r, size_t *bytes)
{
    floyd_problem problem;
    floyd_fpenv found;
    floyd_fpenv_enter(&found);
    floyd_status status = check(r, &problem);
    if (status == FLOYD_OK) status = query(&problem, bytes);
    floyd_fpenv_leave(&found);
    return status;
}

static floyd_status run(const request *r, void *workspace, size_t bytes)
{
    floyd_problem problem;
    floyd_plan plan;
    floyd_run call = {.problem = &problem, .plan = &plan};
    floyd_fpenv found;
    floyd_fpenv_enter(&found);
    floyd_status status = check(r, &problem);
    if (status == FLOYD_OK) status = fit(&problem, workspace, bytes, &plan, &call.kernels);
    floyd_fpenv_leave(&found);
    if (status != FLOYD_OK) return status;
    if (plan.tasks > 0) return carry_out(&call, workspace);
    floyd_run_fill(&problem);
    return FLOYD_OK;
}

floyd_status floyd_forward_workspace(const floyd_forward_args *args, const floyd_options *options, size_t *bytes)
{
    return ask(&(request){.forward = args, .options = options}, bytes);
}

floyd_status floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                           size_t bytes)
{
    return run(&(request){.forward = args, .options = options}, workspace, bytes);
}

floyd_status floyd_backward_workspace(const floyd_backward_args *args, const floyd_options *options, size_t *bytes)
{
    return ask(&(request){.backward = args, .options = options, .is_backward = true}, bytes);
}

floyd_status floyd_backward(const floyd_backward_args *args, const floyd_options *options, void *workspace,
                            size_t bytes)
{
    return run(&(request){.backward = args, .options = options, .is_backward = true}, workspace, bytes);
}
