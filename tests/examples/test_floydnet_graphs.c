/* SPDX-License-Identifier: Apache-2.0 */
/* The graphs of the demo: the real ones are what their sources say, the random ones are graphs, distances are
 * right. */
#include "cmocka_all.h"

#include "graph.h"
#include "net.h"
#include "util.h"

#include <string.h>
#include <unistd.h>

static void assert_is_graph(const graph *g)
{
    for (int u = 0; u < g->nodes; u++) {
        assert_int_equal(g->adjacent[u * g->nodes + u], 0);
        for (int v = 0; v < u; v++) {
            assert_true(g->adjacent[u * g->nodes + v] <= 1);
            assert_int_equal(g->adjacent[u * g->nodes + v], g->adjacent[v * g->nodes + u]);
        }
    }
}

/* Nodes, edges, the largest degree, and the number of ordered pairs at distance 0, 1, 2, ... */
static void check_file(const char *path, int nodes, int edges, int hub, int hub_degree, const int *pairs, int count)
{
    graph g;
    int found[256] = {0}, degree = 0;
    assert_int_equal(graph_read(path, &g), 0);
    assert_is_graph(&g);
    assert_int_equal(g.nodes, nodes);
    assert_int_equal(graph_edges(&g), edges);
    for (int v = 0; v < nodes; v++) degree += g.adjacent[hub * nodes + v];
    assert_int_equal(degree, hub_degree);
    uint8_t *distance = allocate((size_t)(nodes * nodes), 1);
    graph_distances(&g, distance);
    for (int i = 0; i < nodes * nodes; i++) found[distance[i]]++;
    for (int d = 0; d < 256; d++) assert_int_equal(found[d], d < count ? pairs[d] : 0);
    free(distance);
    graph_free(&g);
}

static void test_real_graphs(void **state)
{
    static const int karate[] = {34, 156, 530, 274, 146, 16}, lesmis[] = {77, 508, 1990, 2502, 798, 54};
    (void)state;
    check_file(FLOYDNET_DATA "/karate.txt", 34, 78, 33, 17, karate, 6);
    check_file(FLOYDNET_DATA "/lesmis.txt", 77, 254, 10, 36, lesmis, 6); /* node 10 is Valjean */
}

static void floyd_warshall(const graph *g, uint8_t *distance)
{
    const int n = g->nodes;
    for (int i = 0; i < n * n; i++) distance[i] = g->adjacent[i] ? 1 : i % (n + 1) ? GRAPH_FAR : 0;
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < n * n; i++) {
            const int through = distance[i / n * n + k] + distance[k * n + i % n];
            if (through < distance[i]) distance[i] = (uint8_t)through;
        }
    }
}

static void test_random_graphs(void **state)
{
    enum { DRAWS = 300 };
    uint8_t by_search[40 * 40], by_pivots[40 * 40];
    uint64_t random = 3;
    int with_far = 0, with_long = 0;
    (void)state;
    for (int draw = 0; draw < DRAWS; draw++) {
        graph g = graph_random(&random, 5, 40);
        const size_t pairs = (size_t)(g.nodes * g.nodes);
        assert_true(g.nodes >= 5 && g.nodes <= 40);
        assert_is_graph(&g);
        graph_distances(&g, by_search);
        floyd_warshall(&g, by_pivots);
        assert_memory_equal(by_search, by_pivots, pairs);
        with_far += memchr(by_search, GRAPH_FAR, pairs) != NULL;
        with_long += memchr(by_search, 8, pairs) != NULL;
        graph_free(&g);
    }
    /* Both kinds that the last class stands for, and lengths near it, must be there to learn from. */
    print_message("of %d graphs %d are in pieces and %d have paths of length 8\n", DRAWS, with_far, with_long);
    assert_true(with_far > DRAWS / 20 && with_long > DRAWS / 20);
}

static void test_batch_pads(void **state)
{
    const net_config config = {.layers = 1, .heads = 1, .head_size = 1, .hidden = 1, .classes = 3};
    uint64_t random = 1;
    graph graphs[2] = {graph_random(&random, 4, 4), graph_random(&random, 6, 6)};
    (void)state;
    batch b = batch_new(&config, graphs, 2);
    assert_int_equal(b.nodes, 6);
    for (int i = 0; i < 2 * 6 * 6; i++) {
        const int padded = i < 36 && (i / 6 >= 4 || i % 6 >= 4);
        assert_true(padded ? b.label[i] == NET_NO_LABEL : b.label[i] < config.classes);
        assert_int_equal(b.padding[i / 36 * 6 + i % 6], i < 36 && i % 6 >= 4);
    }
    batch_free(&b);
    graph_free(&graphs[0]);
    graph_free(&graphs[1]);
}

static void write_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void test_bad_files(void **state)
{
    static const char *const bad[] = {"",       "# only words\n", "0 1\n2\n", "0 0\n",
                                      "0 -1\n", "0 1 2\n",        "0 254\n",  "a b\n"};
    char path[] = "graphXXXXXX";
    graph g;
    (void)state;
    const int handle = mkstemp(path);
    assert_true(handle >= 0);
    close(handle);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(path, bad[i]);
        assert_int_equal(graph_read(path, &g), -1);
    }
    write_file(path, "# words\n\n0 1 # and more\r\n2 1\n");
    assert_int_equal(graph_read(path, &g), 0);
    assert_int_equal(g.nodes, 3);
    assert_int_equal(graph_edges(&g), 2);
    graph_free(&g);
    unlink(path);
    assert_int_equal(graph_read(path, &g), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_graphs), cmocka_unit_test(test_random_graphs),
                                       cmocka_unit_test(test_batch_pads), cmocka_unit_test(test_bad_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
