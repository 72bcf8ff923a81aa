/* SPDX-License-Identifier: Apache-2.0 */
#include "operate.h"

#include "bundle.h"
#include "progress.h"
#include "report.h"
#include "results.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BIT(name) (1u << (name))

enum {
    OPERANDS = BIT(QUERY) | BIT(KEY1) | BIT(VALUE1) | BIT(KEY2) | BIT(VALUE2),
    SAVED = BIT(SOFTMAX_MAX) | BIT(SOFTMAX_SUM) | BIT(ATTENTION_IN)
};

/* Of the problem's size, which is what a share of the bar and a GFLOP/s are counted from. */
static const double FORWARD_WORK = 8, BACKWARD_WORK = 20;

typedef struct run {
    const job *job;
    bundle in;
    floyd_tensor tensor[TENSOR_NAMES]; /* of what was found; of SAVED also what grad computes itself */
    floyd_options options;
    double scale;
    results out;
    double work; /* flops */
} run;

static bool is_directory(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) die(STATUS_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    return S_ISDIR(info.st_mode);
}

static void load(run *r, unsigned required)
{
    const job *j = r->job;
    for (int i = 0; i < j->input_count; i++) bundle_read(&r->in, j->inputs[i]);
    bundle_require(&r->in, required, "a safetensors file holds it under that name, a directory as NAME.npy");
    r->scale = j->has_scale ? j->scale : bundle_scale(&r->in);
    for (int i = 0; i < TENSOR_NAMES; i++)
        if (bundle_has(&r->in, (tensor_name)i)) r->tensor[i] = bundle_tensor(&r->in, (tensor_name)i);
}

static void prepare(run *r, const job *j, unsigned required)
{
    *r = (run){.job = j, .options = FLOYD_OPTIONS_INIT};
    r->options.threads = j->threads;
    r->options.progress = progress_step;
    load(r, required);
    r->out.path = j->output;
    r->out.scale = r->scale;
    r->out.directory = output_is_directory(j->output, is_directory(j->inputs[0]));
}

/* NULL for what the input does not hold. */
static const floyd_tensor *optional(const run *r, tensor_name name)
{
    return bundle_has(&r->in, name) ? &r->tensor[name] : NULL;
}

/* The two kinds of call have the operands in common, under the same names. */
#define SET_OPERANDS(args, r)                                                                                      \
    ((args).scale = (r)->scale, (args).q = &(r)->tensor[QUERY], (args).k1 = &(r)->tensor[KEY1],                    \
     (args).v1 = &(r)->tensor[VALUE1], (args).k2 = &(r)->tensor[KEY2], (args).v2 = &(r)->tensor[VALUE2],           \
     (args).mask = optional((r), ATTEN_MASK))

static floyd_dtype statistics_dtype(const run *r)
{
    return r->tensor[QUERY].dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
}

/* softmax_max, softmax_sum and attention_in of the forward, in memory that results will write or `keeper` holds. */
static void add_saved(run *r, results *keeper)
{
    const floyd_tensor *q = &r->tensor[QUERY];
    r->tensor[SOFTMAX_MAX] = add_result(keeper, name_of_tensor(SOFTMAX_MAX), statistics_dtype(r), 4, q->size);
    r->tensor[SOFTMAX_SUM] = add_result(keeper, name_of_tensor(SOFTMAX_SUM), statistics_dtype(r), 4, q->size);
    r->tensor[ATTENTION_IN] = add_result(keeper, name_of_tensor(ATTENTION_IN), q->dtype, 5, q->size);
}

static floyd_forward_args forward_args(const run *r)
{
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    SET_OPERANDS(args, r);
    args.max = &r->tensor[SOFTMAX_MAX];
    args.sum = &r->tensor[SOFTMAX_SUM];
    args.y = &r->tensor[ATTENTION_IN];
    return args;
}

static void demand_ok(const run *r, floyd_status status)
{
    if (status != FLOYD_OK) die_of_library(status, bundle_explain(&r->in, floyd_last_message()));
}

static double work_of(const run *r, double per_cell)
{
    const int64_t *q = r->tensor[QUERY].size;
    return per_cell * (double)q[0] * (double)q[1] * (double)q[2] * (double)q[3] * (double)q[4] *
           (double)r->tensor[KEY1].size[3];
}

static void call_forward(run *r, const floyd_forward_args *args)
{
    size_t bytes;
    demand_ok(r, floyd_forward_workspace(args, &r->options, &bytes));
    void *workspace = allocate(bytes, "the workspace");
    demand_ok(r, floyd_forward(args, &r->options, workspace, bytes));
    free(workspace);
    r->work += work_of(r, FORWARD_WORK);
}

static void call_backward(run *r, const floyd_backward_args *args)
{
    size_t bytes;
    demand_ok(r, floyd_backward_workspace(args, &r->options, &bytes));
    void *workspace = allocate(bytes, "the workspace");
    demand_ok(r, floyd_backward(args, &r->options, workspace, bytes));
    free(workspace);
    r->work += work_of(r, BACKWARD_WORK);
}

/* What the user learns on a terminal; scripts asked for nothing of it. */
static void summarize(const run *r, const char *what, double seconds)
{
    if (r->job->quiet || !progress_possible()) return;
    const floyd_tensor *q = &r->tensor[QUERY];
    const int64_t *s = q->size;
    const int threads = r->options.threads ? r->options.threads : floyd_default_threads();
    fprintf(stderr,
            "%s of B,H,N,M,K,D = %" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
            " in %s: %.3g s on %d thread%s, %.1f GFLOP/s\nwrote %s\n",
            what, s[0], s[1], s[2], s[3], r->tensor[KEY1].size[3], s[4], element_of_dtype(q->dtype)->name, seconds,
            threads, threads == 1 ? "" : "s", seconds > 0 ? r->work / seconds / 1e9 : 0, r->job->output);
}

static void finish(run *r, const char *what, double started)
{
    const double seconds = monotonic_seconds() - started;
    stop_if_interrupted();
    check_mappings();
    free_bundle(&r->in);
    progress_note("writing to the disk");
    write_results(&r->out);
    progress_erase();
    summarize(r, what, seconds);
}

/* The arguments are known to be right. From here on an interrupt waits for a good place to stop at. */
static double start(run *r)
{
    defer_interrupts();
    open_results(&r->out);
    progress_start(r->job->quiet);
    return monotonic_seconds();
}

void run_forward(const job *j)
{
    run r;
    size_t ignored;
    prepare(&r, j, OPERANDS);
    add_saved(&r, &r.out);
    const floyd_forward_args args = forward_args(&r);
    demand_ok(&r, floyd_forward_workspace(&args, &r.options, &ignored)); /* refuses before a file is made */
    const double started = start(&r);
    progress_phase("forward", 0, 1);
    call_forward(&r, &args);
    finish(&r, "forward", started);
}

/* Whether the forward's results are there to start from: all of them, or none. */
static bool has_saved(const run *r)
{
    const tensor_name names[] = {SOFTMAX_MAX, SOFTMAX_SUM, ATTENTION_IN};
    int found = 0;
    for (int i = 0; i < 3; i++) found += bundle_has(&r->in, names[i]);
    if (found > 0)
        bundle_require(&r->in, SAVED, "give all three of the forward's results, or none to have them computed");
    return found > 0;
}

static const struct {
    const char *name;
    tensor_name operand;
} gradients[] = {{"dq", QUERY}, {"dk1", KEY1}, {"dv1", VALUE1}, {"dk2", KEY2}, {"dv2", VALUE2}};
enum { GRADIENTS = sizeof gradients / sizeof *gradients };

static void add_gradients(run *r, floyd_tensor out[GRADIENTS])
{
    for (int i = 0; i < GRADIENTS; i++) {
        const floyd_tensor *operand = &r->tensor[gradients[i].operand];
        out[i] = add_result(&r->out, gradients[i].name, operand->dtype, 5, operand->size);
    }
}

static floyd_backward_args backward_args(const run *r, const floyd_tensor out[GRADIENTS])
{
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    SET_OPERANDS(args, r);
    args.mask_rule = r->job->mask_rule;
    args.max = &r->tensor[SOFTMAX_MAX];
    args.sum = &r->tensor[SOFTMAX_SUM];
    args.y = &r->tensor[ATTENTION_IN];
    args.dy = &r->tensor[DY];
    args.dq = &out[0], args.dk1 = &out[1], args.dv1 = &out[2], args.dk2 = &out[3], args.dv2 = &out[4];
    return args;
}

/* Returns the share of the work that this was. */
static double forward_first(run *r, results *saved)
{
    const double share = FORWARD_WORK / (FORWARD_WORK + BACKWARD_WORK);
    const floyd_forward_args args = forward_args(r);
    if (saved->count == 0) return 0;
    progress_phase("forward", 0, share);
    call_forward(r, &args);
    return share;
}

void run_grad(const job *j)
{
    run r;
    results saved = {0}; /* stays empty when the input has it */
    floyd_tensor out[GRADIENTS];
    size_t ignored;
    prepare(&r, j, OPERANDS | BIT(DY));
    if (!has_saved(&r)) add_saved(&r, &saved);
    add_gradients(&r, out);
    const floyd_backward_args args = backward_args(&r, out);
    demand_ok(&r, floyd_backward_workspace(&args, &r.options, &ignored)); /* refuses before a file is made */
    const double started = start(&r);
    progress_phase("gradient", forward_first(&r, &saved), 1);
    call_backward(&r, &args);
    for (int i = 0; i < saved.count; i++) free(saved.item[i].array.data);
    finish(&r, saved.count ? "forward and gradient" : "gradient", started);
}
