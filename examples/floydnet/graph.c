/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the graphs come from. The network should learn shortest paths and not the look of one kind of graph, so
 * training draws from six families that differ in degrees, clustering and diameter:
 *
 *   Erdos-Renyi       every pair with one probability: few triangles, some nodes apart
 *   Barabasi-Albert   newcomers join popular nodes: hubs, short paths
 *   Watts-Strogatz    a ring with a few shortcuts: triangles, long paths
 *   tree              newcomers join one recent or any node: the longest paths
 *   geometric         points in a square joined when near: triangles, long paths
 *   scenes            overlapping cliques, some sharing a leading node: what casts of characters look like
 */
#include "graph.h"

#include "util.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GRAPH_MAX_NODES = 254 }; /* distances fit in a byte, below GRAPH_FAR */

graph graph_new(int nodes)
{
    graph g = {nodes, allocate((size_t)nodes * (size_t)nodes, 1)};
    return g;
}

void graph_free(graph *g)
{
    free(g->adjacent);
    g->adjacent = NULL;
}

static void join(graph *g, int u, int v)
{
    if (u != v) g->adjacent[u * g->nodes + v] = g->adjacent[v * g->nodes + u] = 1;
}

int graph_edges(const graph *g)
{
    int twice = 0;
    for (int i = 0; i < g->nodes * g->nodes; i++) twice += g->adjacent[i];
    return twice / 2;
}

/* ---- Families ------------------------------------------------------------------------------------ */

static void erdos_renyi(graph *g, uint64_t *state)
{
    const double mean_degree = 1 + 5 * random_unit(state), probability = mean_degree / g->nodes;
    for (int u = 1; u < g->nodes; u++) {
        for (int v = 0; v < u; v++) {
            if (random_unit(state) < probability) join(g, u, v);
        }
    }
}

static int degree(const graph *g, int u)
{
    int sum = 0;
    for (int v = 0; v < g->nodes; v++) sum += g->adjacent[u * g->nodes + v];
    return sum;
}

/* One of the nodes 0..count-1, with probability proportional to its degree plus one. */
static int popular(const graph *g, int count, uint64_t *state)
{
    int total = 0, u = 0;
    for (int v = 0; v < count; v++) total += degree(g, v) + 1;
    int left = random_between(state, 0, total - 1);
    while ((left -= degree(g, u) + 1) >= 0) u++;
    return u;
}

static void barabasi_albert(graph *g, uint64_t *state)
{
    const int links = random_between(state, 1, 4);
    for (int u = 1; u < g->nodes; u++) {
        for (int i = 0; i < links; i++) join(g, u, popular(g, u, state));
    }
}

static void watts_strogatz(graph *g, uint64_t *state)
{
    const int reach = random_between(state, 1, 3);
    const double rewired = 0.4 * random_unit(state);
    for (int u = 0; u < g->nodes; u++) {
        for (int step = 1; step <= reach; step++) {
            const int v = random_unit(state) < rewired ? random_between(state, 0, g->nodes - 1) : u + step;
            join(g, u, v % g->nodes);
        }
    }
}

static void tree(graph *g, uint64_t *state)
{
    const int windows[] = {2, 4, GRAPH_MAX_NODES}; /* the smaller, the deeper */
    const int window = windows[random_between(state, 0, 2)];
    for (int u = 1; u < g->nodes; u++) join(g, u, random_between(state, u > window ? u - window : 0, u - 1));
}

static void geometric(graph *g, uint64_t *state)
{
    double x[GRAPH_MAX_NODES], y[GRAPH_MAX_NODES];
    const double radius = (0.9 + 0.9 * random_unit(state)) / sqrt(g->nodes);
    for (int u = 0; u < g->nodes; u++) {
        x[u] = random_unit(state);
        y[u] = random_unit(state);
        for (int v = 0; v < u; v++) {
            if (hypot(x[u] - x[v], y[u] - y[v]) < radius) join(g, u, v);
        }
    }
}

/* Groups of newcomers, all of whom meet each other, somebody known, and often node 0. */
static void scenes(graph *g, uint64_t *state)
{
    for (int first = 1; first < g->nodes;) {
        const int wanted = first + random_between(state, 1, 5), end = wanted < g->nodes ? wanted : g->nodes;
        const int known = random_between(state, 0, first - 1), with_lead = random_unit(state) < 0.4;
        for (int u = first; u < end; u++) {
            join(g, u, known);
            if (with_lead) join(g, u, 0);
            for (int v = first; v < u; v++) join(g, u, v);
        }
        first = end;
    }
}

graph graph_random(uint64_t *state, int low, int high)
{
    void (*const families[])(graph *, uint64_t *) = {erdos_renyi, barabasi_albert, watts_strogatz,
                                                     tree,        geometric,       scenes};
    graph g = graph_new(random_between(state, low, high));
    families[random_between(state, 0, 5)](&g, state);
    return g;
}

/* ---- Files --------------------------------------------------------------------------------------- */

/* Reads "u v" or nothing from a line; returns 1, 0, or -1 for anything else. */
static int parse_edge(char *line, int *u, int *v)
{
    char rest;
    line[strcspn(line, "#\r\n")] = '\0';
    if (line[strspn(line, " \t")] == '\0') return 0;
    const int valid = sscanf(line, "%d %d %c", u, v, &rest) == 2 && *u != *v && *u >= 0 && *v >= 0;
    return valid && *u < GRAPH_MAX_NODES && *v < GRAPH_MAX_NODES ? 1 : -1;
}

static void shrink(graph *g, int nodes)
{
    graph smaller = graph_new(nodes);
    for (int u = 0; u < nodes; u++) {
        memcpy(smaller.adjacent + u * nodes, g->adjacent + u * g->nodes, (size_t)nodes);
    }
    graph_free(g);
    *g = smaller;
}

int graph_read(const char *path, graph *g)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    char line[256];
    int nodes = 0, number = 0, u = 0, v = 0, found = 0;
    *g = graph_new(GRAPH_MAX_NODES);
    while (found >= 0 && fgets(line, sizeof line, file)) {
        number++;
        found = parse_edge(line, &u, &v);
        if (found < 1) continue;
        join(g, u, v);
        if (u >= nodes) nodes = u + 1;
        if (v >= nodes) nodes = v + 1;
    }
    fclose(file);
    if (found < 0 || nodes == 0) {
        fprintf(stderr, "%s:%d: expected two different nodes from 0 to %d\n", path, number, GRAPH_MAX_NODES - 1);
        graph_free(g);
        return -1;
    }
    shrink(g, nodes);
    return 0;
}

/* ---- Truth --------------------------------------------------------------------------------------- */

static void distances_from(const graph *g, int source, uint8_t *distance)
{
    int queue[GRAPH_MAX_NODES], head = 0, tail = 0;
    memset(distance, GRAPH_FAR, (size_t)g->nodes);
    distance[source] = 0;
    queue[tail++] = source;
    while (head < tail) {
        const int u = queue[head++];
        for (int v = 0; v < g->nodes; v++) {
            if (!g->adjacent[u * g->nodes + v] || distance[v] != GRAPH_FAR) continue;
            distance[v] = (uint8_t)(distance[u] + 1);
            queue[tail++] = v;
        }
    }
}

void graph_distances(const graph *g, uint8_t *distance)
{
    for (int u = 0; u < g->nodes; u++) distances_from(g, u, distance + u * g->nodes);
}
