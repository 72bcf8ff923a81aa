/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undirected graphs: random ones to train on, real ones to test on, and their true distances.
 */
#ifndef FLOYDNET_GRAPH_H
#define FLOYDNET_GRAPH_H

#include <stdint.h>

enum { GRAPH_FAR = 255 }; /* the distance of nodes that no path joins */

typedef struct graph {
    int nodes;
    uint8_t *adjacent; /* [nodes,nodes] 1 = edge; symmetric, diagonal 0 */
} graph;

graph graph_new(int nodes);
void graph_free(graph *g);
int graph_edges(const graph *g);

/* A graph of a random family and of low..high nodes; which one follows from *state alone. */
graph graph_random(uint64_t *state, int low, int high);

/*
 * Reads lines "u v", nodes counted from 0; '#' starts a comment. Returns 0, or -1 after a message on stderr
 * when the file cannot be read, is malformed, or joins a node to itself.
 */
int graph_read(const char *path, graph *g);

/* Lengths of all shortest paths, distance[nodes,nodes], by breadth-first search from every node. */
void graph_distances(const graph *g, uint8_t *distance);

#endif
