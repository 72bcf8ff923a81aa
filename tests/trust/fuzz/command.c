/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole command on any command line, in a process of its own, in a directory with a few files. Whatever the
 * words, it ends soon, with one of its statuses, with words of its own when that is not 0, and then the directory
 * is as it was. What a child has covered it leaves in memory that the fuzzer reads.
 */
#include "input.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command_files.h"
#include "floydattn.h"
#include "trial.h"

int floydattn_main(int argc, char **argv);
const char *__asan_default_options(void);
int __lsan_is_turned_off(void);
int __lsan_do_recoverable_leak_check(void);

/* Apart from the command's own statuses. */
enum { LEAKED = 98, FAULT = 99, TOO_MUCH_WORK = 77 };

const char *__asan_default_options(void)
{
    return "exitcode=99:allocator_may_return_null=1";
}

static bool child;
int __lsan_is_turned_off(void)
{
    return child; /* at exit: it asks itself, now and then */
}

/* ---- what a child covers --------------------------------------------------------------------------------- */

enum { COUNTERS = 1 << 18 };
__attribute__((section("__libfuzzer_extra_counters"), aligned(4096))) static uint8_t shared[COUNTERS];
extern const uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

static void share_counters(void)
{
    const int fixed = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
    MUST(mmap(shared, sizeof shared, PROT_READ | PROT_WRITE, fixed, -1, 0) == shared);
}

static void leave(int status, void *check_leaks)
{
    size_t count = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    fflush(NULL);
    memcpy(shared, __start___sancov_cntrs, count < sizeof shared ? count : sizeof shared);
    if (check_leaks && __lsan_do_recoverable_leak_check()) _exit(LEAKED);
    _exit(status);
}

/* ---- work that is right to do, but too long for here ----------------------------------------------------- */

static void limit(double work)
{
    static double done;
    done += work + 1e4;
    if (!(done < 2e6)) leave(TOO_MUCH_WORK, NULL);
}

trial __real_create_trial(const trial_problem *p, uint64_t seed);
trial __wrap_create_trial(const trial_problem *p, uint64_t seed);
trial __wrap_create_trial(const trial_problem *p, uint64_t seed)
{
    limit((double)p->B * (double)p->H * (double)p->N * (double)p->M * (double)p->K * (double)p->D);
    return __real_create_trial(p, seed);
}

double __wrap_floyd_fma_peak(const char *isa, int fp64, int repeats);
double __wrap_floyd_fma_peak(const char *isa, int fp64, int repeats)
{
    (void)isa, (void)fp64, (void)repeats;
    return 1e9;
}

static double work_of(const floyd_tensor *q, const floyd_tensor *k1)
{
    const int64_t *s = q->size;
    return (double)s[0] * (double)s[1] * (double)s[2] * (double)s[3] * (double)k1->size[3] * (double)(s[4] + 1);
}

floyd_status __real_floyd_forward(const floyd_forward_args *, const floyd_options *, void *, size_t);
floyd_status __real_floyd_backward(const floyd_backward_args *, const floyd_options *, void *, size_t);
floyd_status __wrap_floyd_forward(const floyd_forward_args *, const floyd_options *, void *, size_t);
floyd_status __wrap_floyd_backward(const floyd_backward_args *, const floyd_options *, void *, size_t);

floyd_status __wrap_floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                                  size_t bytes)
{
    limit(work_of(args->q, args->k1));
    return __real_floyd_forward(args, options, workspace, bytes);
}

floyd_status __wrap_floyd_backward(const floyd_backward_args *args, const floyd_options *options, void *workspace,
                                   size_t bytes)
{
    limit(work_of(args->q, args->k1));
    return __real_floyd_backward(args, options, workspace, bytes);
}

/* ---- a command line -------------------------------------------------------------------------------------- */

enum { MOST_WORDS = 12, LONGEST = 40 };

static const char *const words[] = {"forward",
                                    "grad",
                                    "info",
                                    "selftest",
                                    "bench",
                                    "--help",
                                    "--usage",
                                    "--version",
                                    "-o",
                                    "--output=out",
                                    "-s",
                                    "--scale",
                                    "-t",
                                    "-q",
                                    "-m",
                                    "replace",
                                    "zero-grad",
                                    "--json",
                                    "-j",
                                    "--shape",
                                    "1,1,2,3,4,5",
                                    "--dtype",
                                    "f16",
                                    "bf16",
                                    "f32",
                                    "f64",
                                    "-r",
                                    "--repeat",
                                    "2",
                                    "0",
                                    "-1",
                                    "0.25",
                                    "nan",
                                    "1e999",
                                    "in",
                                    "good",
                                    "good/",
                                    "bad",
                                    "empty",
                                    "old",
                                    "link",
                                    "out",
                                    "out/",
                                    "nowhere/out",
                                    ".",
                                    "..",
                                    "",
                                    "--",
                                    "-",
                                    "out.safetensors",
                                    "old.safetensors",
                                    "--threads=2",
                                    "--quiet",
                                    "1,1,1,1,1,1",
                                    "--mask-rule",
                                    "/dev/null",
                                    "more",
                                    "99999999999999999999",
                                    "-oout",
                                    "-s0.5"};
enum { WORDS = sizeof words / sizeof *words };

typedef struct line {
    char *argv[MOST_WORDS + 2];
    char text[MOST_WORDS][LONGEST + 1];
    int argc;
} line;

static void add_word(line *l, input *in)
{
    char *text = l->text[l->argc - 1];
    const uint8_t choice = in_byte(in);
    if (choice < 0xe0) {
        strcpy(text, words[choice % WORDS]);
    } else { /* a word of the input's own, or a known one that is bent */
        const size_t kept = choice & 8 ? strlen(strcpy(text, words[in_below(in, WORDS)])) / 2 : 0;
        const size_t length = choice & 7;
        for (size_t i = 0; i < length; i++) text[kept + i] = (char)in_byte(in);
        text[kept + length] = '\0';
    }
    /* No file is to lie outside the directory. */
    for (char *at = text; *at && strcmp(text, "/dev/null") != 0; at++)
        if (*at == '/' && (at == text || at[-1] == '.' || at[-1] == '=' || at[-1] == 'o')) *at = '_';
    l->argv[l->argc++] = text;
}

static void make_line(line *l, input *in)
{
    memset(l, 0, sizeof *l);
    l->argv[l->argc++] = strcpy(l->text[MOST_WORDS - 1], "floydattn");
    const int count = (int)in_below(in, MOST_WORDS - 1);
    for (int i = 0; i < count; i++) add_word(l, in);
}

/* ---- a run ----------------------------------------------------------------------------------------------- */

static int out = -1, err = -1; /* what a child prints */

static _Noreturn void run(line *l, bool check_leaks)
{
    child = true;
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL); /* the fuzzer has its own */
    alarm(40);
    const struct {
        int from, to;
    } moves[] = {{out, STDOUT_FILENO}, {err, STDERR_FILENO}};
    for (int i = 0; i < 2; i++)
        if (dup2(moves[i].from, moves[i].to) < 0) _exit(FAULT);
    on_exit(leave, check_leaks ? &child : NULL);
    exit(floydattn_main(l->argc, l->argv));
}

static void empty_file(int fd)
{
    MUST(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
}

static void must_explain(int status)
{
    char start[256] = "";
    MUST(pread(err, start, sizeof start - 1, 0) >= 0);
    MUST(status == 2 ? start[0] != '\0' : strncmp(start, "floydattn: ", 11) == 0);
}

static void show(const line *l, int status)
{
    char said[4096] = "";
    if (pread(err, said, sizeof said - 1, 0) < 0) return;
    fprintf(stderr, "status %#x of:", (unsigned)status);
    for (int i = 1; i < l->argc; i++) fprintf(stderr, " '%s'", l->argv[i]);
    fprintf(stderr, "\n%s\n", said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t runs;
    input in = {data, data + size};
    line l;
    int status;
    if (out < 0) {
        share_counters();
        enter_directory();
        out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    }
    empty_file(out), empty_file(err);
    make_line(&l, &in);
    const pid_t process = fork();
    MUST(process >= 0);
    if (process == 0) run(&l, runs % 16 == 0);
    runs++;
    pid_t ended;
    do ended = waitpid(process, &status, 0);
    while (ended < 0 && errno == EINTR); /* the fuzzer has a clock */
    MUST(ended == process);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const bool known = (code >= 0 && code <= 3) || code == TOO_MUCH_WORK,
               kept = tidy_directory(code == TOO_MUCH_WORK);
    if (!known || (code != 0 && !kept)) show(&l, status);
    MUST(known && (code == 0 || kept));
    if (code > 0 && code <= 3) must_explain(code);
    return 0;
}
