/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where to draw the nodes of a graph: springs along the edges, repulsion between all nodes, and a pull to the
 * middle, cooled down over some hundred rounds (Fruchterman and Reingold 1991).
 */
#include "picture.h"

#include "util.h"

enum { ROUNDS = 600 };

static void start_on_spiral(int nodes, double *x, double *y)
{
    for (int u = 0; u < nodes; u++) {
        const double angle = 2.399963 * u, radius = sqrt((u + 0.5) / nodes); /* the golden angle: evenly spread */
        x[u] = radius * cos(angle);
        y[u] = radius * sin(angle);
    }
}

/* Moves u by its forces, no further than step. */
static void move(const graph *g, int u, double spacing, double step, double *x, double *y)
{
    double fx = -0.6 * x[u], fy = -0.6 * y[u];
    for (int v = 0; v < g->nodes; v++) {
        if (v == u) continue;
        const double dx = x[u] - x[v], dy = y[u] - y[v], distance = sqrt(dx * dx + dy * dy) + 1e-9;
        double force = spacing * spacing / (distance * distance);
        if (g->adjacent[u * g->nodes + v]) force -= distance / spacing;
        fx += dx * force;
        fy += dy * force;
    }
    const double length = sqrt(fx * fx + fy * fy) + 1e-9, moved = length < step ? 1 : step / length;
    x[u] += fx * moved;
    y[u] += fy * moved;
}

static void fit_to_unit_square(int nodes, double *x)
{
    double low = x[0], high = x[0];
    for (int u = 1; u < nodes; u++) {
        low = fmin(low, x[u]);
        high = fmax(high, x[u]);
    }
    for (int u = 0; u < nodes; u++) x[u] = (x[u] - low) / (high - low + 1e-9);
}

void picture_layout(const graph *g, double *x, double *y)
{
    const double spacing = 1.2 / sqrt(g->nodes);
    start_on_spiral(g->nodes, x, y);
    for (int round = 0; round < ROUNDS; round++) {
        const double step = 0.1 * (1 - (double)round / ROUNDS);
        for (int u = 0; u < g->nodes; u++) move(g, u, spacing, step, x, y);
    }
    fit_to_unit_square(g->nodes, x);
    fit_to_unit_square(g->nodes, y);
}
