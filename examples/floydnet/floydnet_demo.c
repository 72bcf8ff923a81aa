/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trains a small FloydNet on random graphs and asks it for all shortest paths of two real graphs it never saw.
 * It sees adjacency and nothing else. The reason to have it: floydattn used for what it is for, forward and
 * backward, in a program short enough to read.
 */
#include "floydattn.h"
#include "picture.h"
#include "train.h"
#include "util.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#ifndef FLOYDNET_DATA
#define FLOYDNET_DATA "data"
#endif

enum { TEST_GRAPHS = 2, CHECKS = 20 };

static const net_config CONFIG = {.layers = 3, .heads = 2, .head_size = 16, .hidden = 64, .classes = 10};

typedef struct settings {
    int steps, threads;
    uint64_t seed;
    const char *output, *data;
} settings;

/* ---- Options ------------------------------------------------------------------------------------- */

static const char HELP[] =
    "Usage: floydnet_demo [options]\n"
    "Trains a small FloydNet on random graphs to predict all shortest-path lengths, then tests it on\n"
    "Zachary's karate club and on Les Miserables, and draws the result to DIR/floydnet.svg.\n\n"
    "  --steps N      training steps (default 400)\n"
    "  --seed N       seed of everything random (default 1); the same seed gives the same result\n"
    "  --threads N    threads (default: as many as the library would use)\n"
    "  --output DIR   where the picture goes (default: the current directory)\n"
    "  --data DIR     where karate.txt and lesmis.txt are\n"
    "  --help         this text\n";

/* A whole number from low on; ends the program otherwise. */
static long number(const char *option, const char *words, long low)
{
    char *end = NULL;
    errno = 0;
    const long value = strtol(words, &end, 10);
    if (errno == 0 && *words != '\0' && *end == '\0' && value >= low && value <= 1000000000) return value;
    fprintf(stderr, "floydnet_demo: %s needs a whole number from %ld on, got \"%s\"\n", option, low, words);
    exit(2);
}

static settings parse(int argc, char **argv)
{
    static const struct option options[] = {{"steps", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    settings s = {400, floyd_default_threads(), 1, ".", FLOYDNET_DATA};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 's') s.steps = (int)number("--steps", optarg, 1);
        if (option == 'r') s.seed = (uint64_t)number("--seed", optarg, 0);
        if (option == 't') s.threads = (int)number("--threads", optarg, 1);
        if (option == 'o') s.output = optarg;
        if (option == 'd') s.data = optarg;
        if (option == 'h') {
            fputs(HELP, stdout);
            exit(0);
        }
        if (option == '?') exit(2);
    }
    if (optind < argc) {
        fprintf(stderr, "floydnet_demo: unexpected argument \"%s\"; see --help\n", argv[optind]);
        exit(2);
    }
    return s;
}

/* ---- Progress ------------------------------------------------------------------------------------ */

/* One line that is redrawn on a terminal; a line for every tenth of the way elsewhere. */
static void show_progress(int done, int steps, double loss, double spent)
{
    enum { BAR = 30 };
    const double left = spent / done * (steps - done);
    if (!isatty(STDOUT_FILENO)) {
        if (done * 10 / steps == (done - 1) * 10 / steps) return;
        printf("  step %4d of %d   loss %.4f   %.0f s left\n", done, steps, loss, left);
    } else {
        char bar[BAR + 1] = "";
        for (int i = 0; i < BAR; i++) bar[i] = i * steps < done * BAR ? '#' : '.';
        printf("\r  [%s] step %d of %d   loss %.4f   %.0f s left  ", bar, done, steps, loss, left);
        if (done == steps) printf("\n");
    }
    fflush(stdout);
}

/* ---- Test graphs --------------------------------------------------------------------------------- */

typedef struct test {
    const char *name;
    graph graph;
    batch input;
    net_state *state;
    uint8_t *predicted;
    int wrong;
    double share[CHECKS];
} test;

static void test_open(test *t, const char *name, const char *folder, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (graph_read(path, &t->graph) != 0) exit(1);
    t->name = name;
    t->input = batch_new(&CONFIG, &t->graph, 1);
    t->state = net_state_new(&CONFIG, 1, t->graph.nodes);
    t->predicted = allocate((size_t)(t->graph.nodes * t->graph.nodes), 1);
}

static void test_close(test *t)
{
    graph_free(&t->graph);
    batch_free(&t->input);
    net_state_free(t->state);
    free(t->predicted);
}

static int best_class(const real *score)
{
    int best = 0;
    for (int c = 1; c < CONFIG.classes; c++) best = score[c] > score[best] ? c : best;
    return best;
}

/* Predicts every pair; a pair of a node with itself is no test and does not count. */
static double test_run(test *t, const net_params *params, int threads)
{
    const real *score = net_forward(&CONFIG, params, &t->input, t->state, threads);
    const int N = t->graph.nodes;
    t->wrong = 0;
    for (int p = 0; p < N * N; p++) {
        t->predicted[p] = (uint8_t)best_class(score + p * CONFIG.classes);
        t->wrong += p % (N + 1) != 0 && t->predicted[p] != t->input.label[p];
    }
    return 1 - (double)t->wrong / (N * (N - 1));
}

/* ---- The whole ----------------------------------------------------------------------------------- */

typedef struct history {
    double *loss; /* [steps] */
    int checks, check_step[CHECKS];
    double seconds;
} history;

static history train(trainer *t, test *tests)
{
    history h = {.loss = allocate((size_t)t->steps, sizeof(double))};
    const double start = seconds();
    for (int step = 1; step <= t->steps; step++) {
        h.loss[step - 1] = trainer_step(t);
        show_progress(step, t->steps, h.loss[step - 1], seconds() - start);
        if (step * CHECKS / t->steps == (step - 1) * CHECKS / t->steps) continue;
        for (int i = 0; i < TEST_GRAPHS; i++) {
            tests[i].share[h.checks] = test_run(&tests[i], &t->params, t->threads);
        }
        h.check_step[h.checks++] = step;
    }
    h.seconds = seconds() - start;
    return h;
}

/* Share of the commonest distance: what always answering the same would get. */
static double commonest_share(const test *t)
{
    const int N = t->graph.nodes;
    int count[NET_NO_LABEL + 1] = {0}, most = 0;
    for (int p = 0; p < N * N; p++) {
        const int pairs = p % (N + 1) != 0 ? ++count[t->input.label[p]] : 0;
        most = pairs > most ? pairs : most;
    }
    return (double)most / (N * (N - 1));
}

static void report(const test *t)
{
    const int N = t->graph.nodes, pairs = N * (N - 1);
    printf("  %-22s %3d nodes %4d edges   %5d of %5d pairs right   %6.2f %%   (one constant answer: %.2f %%)\n",
           t->name, N, graph_edges(&t->graph), pairs - t->wrong, pairs, 100.0 * (pairs - t->wrong) / pairs,
           100 * commonest_share(t));
}

static void draw(const settings *s, const test *tests, const history *h, size_t params)
{
    char subtitle[256], path[4096];
    picture_graph graphs[TEST_GRAPHS];
    snprintf(subtitle, sizeof subtitle,
             "%d Floyd-attention layers, %zu parameters, %d steps on random graphs of %d to %d nodes, seed %llu",
             CONFIG.layers, params, s->steps, TRAIN_MIN_NODES, TRAIN_MAX_NODES, (unsigned long long)s->seed);
    for (int i = 0; i < TEST_GRAPHS; i++) {
        const test *t = &tests[i];
        graphs[i] = (picture_graph){t->name, &t->graph, t->input.label, t->predicted, t->wrong, t->share};
    }
    const picture p = {subtitle, CONFIG.classes, TEST_GRAPHS, graphs, s->steps, h->loss, h->checks, h->check_step};
    snprintf(path, sizeof path, "%s/floydnet.svg", s->output);
    if (picture_write(path, &p) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    printf("Picture: %s\n", path);
}

int main(int argc, char **argv)
{
    const settings s = parse(argc, argv);
    test tests[TEST_GRAPHS] = {0};
    if (access(s.output, W_OK) != 0) { /* now, and not after the training */
        fprintf(stderr, "%s: %s\n", s.output, strerror(errno));
        exit(1);
    }
    test_open(&tests[0], "Zachary's karate club", s.data, "karate.txt");
    test_open(&tests[1], "Les Miserables", s.data, "lesmis.txt");
    trainer *t = trainer_new(&CONFIG, s.seed, s.steps, s.threads);
    printf("FloydNet: %d layers, %d heads of %d, %zu parameters; %d random graphs of %d to %d nodes a step; "
           "%d threads\n",
           CONFIG.layers, CONFIG.heads, CONFIG.head_size, t->params.count, TRAIN_SHARDS * TRAIN_SHARD_GRAPHS,
           TRAIN_MIN_NODES, TRAIN_MAX_NODES, t->threads);
    history h = train(t, tests);
    printf("Trained in %.1f s. Shortest paths of graphs it never saw:\n", h.seconds);
    for (int i = 0; i < TEST_GRAPHS; i++) report(&tests[i]);
    draw(&s, tests, &h, t->params.count);
    for (int i = 0; i < TEST_GRAPHS; i++) test_close(&tests[i]);
    free(h.loss);
    trainer_free(t);
    return 0;
}
