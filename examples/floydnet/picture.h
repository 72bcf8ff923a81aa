/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's picture: what the network saw, what is true, what it says, and how it learnt. */
#ifndef FLOYDNET_PICTURE_H
#define FLOYDNET_PICTURE_H

#include "graph.h"

typedef struct picture_graph {
    const char *name;
    const graph *graph;
    const uint8_t *truth, *predicted; /* [nodes,nodes] classes */
    int wrong;                        /* of the nodes * (nodes - 1) pairs */
    const double *share;              /* [checks] share of pairs right after each check */
} picture_graph;

typedef struct picture {
    const char *subtitle;
    int classes; /* the last means "further than any other" */
    int graph_count;
    const picture_graph *graphs;
    int steps;
    const double *loss; /* [steps] */
    int checks;
    const int *check_step; /* [checks] */
} picture;

/* Writes an SVG. Returns 0, or -1 with errno set. */
int picture_write(const char *path, const picture *p);

/* Positions in the unit square, x[nodes] and y[nodes]. */
void picture_layout(const graph *g, double *x, double *y);

#endif
