/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SVG of one row per graph (drawing, true distances, predicted distances) and one row of curves. A matrix is one
 * path for each distance, its cells merged along rows, so that a picture of some thousand cells stays small.
 */
#include "picture.h"

#include "util.h"

#include <string.h>

enum { PANEL = 340, GAP = 50, LEFT = 60, TOP = 120, ROW = PANEL + 80, CURVES = 220, COLOURS = 10 };
enum { WIDTH = 2 * LEFT + 3 * PANEL + 2 * GAP };

/* Near is light, far is dark. */
static const char *const COLOUR[COLOURS] = {"#fcfdbf", "#fec98d", "#fd9567", "#f1605d", "#cd4071",
                                            "#9f2f7f", "#721f81", "#451077", "#180f3e", "#000004"};
static const char WRONG[] = "#00c8ff";
static const char *const LINE[] = {"#cd4071", "#451077"};

static const char *colour_of(int class)
{
    return COLOUR[class < COLOURS ? class : COLOURS - 1];
}

static void text(FILE *f, double x, double y, int size, const char *anchor, const char *colour, const char *words)
{
    fprintf(f, "<text x='%.1f' y='%.1f' font-size='%d' text-anchor='%s' fill='%s'>%s</text>\n", x, y, size, anchor,
            colour, words);
}

/* ---- One graph ----------------------------------------------------------------------------------- */

static void draw_graph(FILE *f, const picture_graph *g, double left, double top)
{
    const int nodes = g->graph->nodes;
    const double margin = 10, size = PANEL - 2 * margin;
    double *x = allocate((size_t)nodes, sizeof *x), *y = allocate((size_t)nodes, sizeof *y);
    picture_layout(g->graph, x, y);
    fprintf(f, "<path fill='none' stroke='#b9b4c7' stroke-width='1' d='");
    for (int u = 0; u < nodes; u++) {
        for (int v = 0; v < u; v++) {
            if (!g->graph->adjacent[u * nodes + v]) continue;
            fprintf(f, "M%.1f %.1fL%.1f %.1f", left + margin + size * x[u], top + margin + size * y[u],
                    left + margin + size * x[v], top + margin + size * y[v]);
        }
    }
    fprintf(f, "'/>\n");
    for (int u = 0; u < nodes; u++) {
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='4.5' fill='%s' stroke='#333' stroke-width='0.8'/>\n",
                left + margin + size * x[u], top + margin + size * y[u], colour_of(g->truth[u]));
    }
    free(x);
    free(y);
}

static void draw_cells(FILE *f, int nodes, const uint8_t *cell, int class)
{
    fprintf(f, "<path fill='%s' d='", colour_of(class));
    for (int u = 0; u < nodes; u++) {
        for (int v = 0; v < nodes;) {
            int end = v;
            while (end < nodes && cell[u * nodes + end] == class) end++;
            if (end > v) fprintf(f, "M%d %dh%dv1h-%dz", v, u, end - v, end - v);
            v = end > v ? end : v + 1;
        }
    }
    fprintf(f, "'/>\n");
}

static void draw_matrix(FILE *f, const picture *p, const picture_graph *g, const uint8_t *cell, double left,
                        double top)
{
    const int nodes = g->graph->nodes;
    fprintf(f, "<g transform='translate(%.1f %.1f) scale(%.5f)' shape-rendering='crispEdges'>\n", left, top,
            (double)PANEL / nodes);
    for (int class = 0; class < p->classes; class ++) draw_cells(f, nodes, cell, class);
    for (int i = 0; i < nodes * nodes; i++) {
        if (cell[i] == g->truth[i]) continue;
        fprintf(f,
                "<rect x='%.2f' y='%.2f' width='0.8' height='0.8' fill='none' stroke='%s' stroke-width='0.2'/>\n",
                i % nodes + 0.1, i / nodes + 0.1, WRONG);
    }
    fprintf(f, "</g>\n<rect x='%.1f' y='%.1f' width='%d' height='%d' fill='none' stroke='#333'/>\n", left, top,
            PANEL, PANEL);
}

static void draw_row(FILE *f, const picture *p, const picture_graph *g, double top)
{
    const double second = LEFT + PANEL + GAP, third = second + PANEL + GAP;
    const int pairs = g->graph->nodes * (g->graph->nodes - 1);
    char words[160];
    snprintf(words, sizeof words, "%s: %d nodes, %d edges", g->name, g->graph->nodes, graph_edges(g->graph));
    text(f, LEFT, top - 10, 15, "start", "#222", words);
    text(f, second, top - 10, 15, "start", "#222", "true distances");
    snprintf(words, sizeof words, "predicted: %d of %d right (%.2f %%)", pairs - g->wrong, pairs,
             100.0 * (pairs - g->wrong) / pairs);
    text(f, third, top - 10, 15, "start", "#222", words);
    draw_graph(f, g, LEFT, top);
    draw_matrix(f, p, g, g->truth, second, top);
    draw_matrix(f, p, g, g->predicted, third, top);
}

/* ---- Legend -------------------------------------------------------------------------------------- */

static void draw_legend(FILE *f, const picture *p, double top)
{
    const double box = 26;
    double x = LEFT + PANEL + GAP;
    char words[32];
    text(f, LEFT, top + 17, 13, "start", "#555", "left: nodes by distance from node 0");
    for (int class = 0; class < p->classes; class ++, x += box + 24) {
        snprintf(words, sizeof words, class + 1 < p->classes ? "%d" : "&gt; %d",
                 class + 1 < p->classes ? class : class - 1);
        fprintf(f,
                "<rect x='%.1f' y='%.1f' width='%.0f' height='%.0f' fill='%s' stroke='#333' stroke-width='0.6'/>\n",
                x, top, box, box, colour_of(class));
        text(f, x + box + 4, top + 17, 13, "start", "#333", words);
    }
    fprintf(f, "<rect x='%.1f' y='%.1f' width='%.0f' height='%.0f' fill='none' stroke='%s' stroke-width='3'/>\n",
            x + 30, top + 2, box - 4, box - 4, WRONG);
    text(f, x + 62, top + 17, 13, "start", "#333", "wrong");
}

/* ---- Curves -------------------------------------------------------------------------------------- */

typedef struct axes {
    double left, top, width, height, low, high; /* low..high along y */
    int steps;
} axes;

static double at_x(const axes *a, double step)
{
    return a->left + a->width * step / a->steps;
}

static double at_y(const axes *a, double value)
{
    const double way = (value - a->low) / (a->high - a->low);
    return a->top + a->height * (1 - fmax(0, fmin(1, way)));
}

static void draw_frame(FILE *f, const axes *a, const char *title)
{
    char words[32];
    text(f, a->left, a->top - 10, 15, "start", "#222", title);
    fprintf(f, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='#fff' stroke='#333'/>\n", a->left, a->top,
            a->width, a->height);
    for (int i = 0; i <= 4; i++) {
        const double step = a->steps * i / 4.0;
        snprintf(words, sizeof words, "%.0f", step);
        text(f, at_x(a, step), a->top + a->height + 18, 12, "middle", "#555", words);
    }
    text(f, a->left + a->width / 2, a->top + a->height + 36, 12, "middle", "#555", "training step");
}

static void draw_grid_line(FILE *f, const axes *a, double value, const char *words)
{
    fprintf(f, "<path stroke='#ddd' d='M%.1f %.1fh%.1f'/>\n", a->left, at_y(a, value), a->width);
    text(f, a->left - 6, at_y(a, value) + 4, 12, "end", "#555", words);
}

/* Every step lightly, and a running mean that shows the way. On a log10 axis. */
static void draw_loss(FILE *f, const picture *p, double left, double top, double width)
{
    axes a = {left, top, width, CURVES, 0, 0, p->steps};
    char words[32];
    for (int i = 0; i < p->steps; i++) {
        a.low = fmin(a.low, floor(log10(p->loss[i])));
        a.high = fmax(a.high, ceil(log10(p->loss[i])));
    }
    draw_frame(f, &a, "training loss");
    for (int power = (int)a.low; power <= (int)a.high; power++) {
        snprintf(words, sizeof words, "%g", pow(10, power));
        draw_grid_line(f, &a, power, words);
    }
    double smooth = log10(p->loss[0]);
    fprintf(f, "<polyline fill='none' stroke='#f5b8a8' stroke-width='1' points='");
    for (int i = 0; i < p->steps; i++) fprintf(f, "%.1f,%.1f ", at_x(&a, i + 1), at_y(&a, log10(p->loss[i])));
    fprintf(f, "'/>\n<polyline fill='none' stroke='%s' stroke-width='2' points='", LINE[0]);
    for (int i = 0; i < p->steps; i++) {
        smooth += (log10(p->loss[i]) - smooth) * fmax(0.1, 1.0 / (i + 1));
        fprintf(f, "%.1f,%.1f ", at_x(&a, i + 1), at_y(&a, smooth));
    }
    fprintf(f, "'/>\n");
}

static void draw_shares(FILE *f, const picture *p, double left, double top, double width)
{
    const axes a = {left, top, width, CURVES, 0, 1.02, p->steps};
    char words[32];
    draw_frame(f, &a, "share of pairs right on graphs it never saw");
    for (int percent = 0; percent <= 100; percent += 20) {
        snprintf(words, sizeof words, "%d %%", percent);
        draw_grid_line(f, &a, percent / 100.0, words);
    }
    for (int g = 0; g < p->graph_count; g++) {
        const int width_of_line = g == 0 ? 5 : 2; /* so that equal curves both show */
        fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='%d' points='", LINE[g % 2], width_of_line);
        for (int i = 0; i < p->checks; i++) {
            fprintf(f, "%.1f,%.1f ", at_x(&a, p->check_step[i]), at_y(&a, p->graphs[g].share[i]));
        }
        fprintf(f, "'/>\n");
        const double y = top + CURVES - 40 + 20 * g;
        fprintf(f, "<path stroke='%s' stroke-width='%d' d='M%.1f %.1fh24'/>\n", LINE[g % 2], width_of_line,
                left + width - 190, y);
        text(f, left + width - 158, y + 4, 13, "start", "#333", p->graphs[g].name);
    }
}

/* ---- The whole ----------------------------------------------------------------------------------- */

int picture_write(const char *path, const picture *p)
{
    const int legend = TOP + p->graph_count * ROW - 50, curves = legend + 90, height = curves + CURVES + 70;
    const double half = (WIDTH - 2 * LEFT - GAP) / 2.0;
    FILE *f = fopen(path, "w");
    if (!f) return -1;
    fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' ", WIDTH, height,
            WIDTH, height);
    fprintf(f, "font-family='Helvetica, Arial, sans-serif'>\n<rect width='%d' height='%d' fill='#fafafa'/>\n",
            WIDTH, height);
    text(f, LEFT, 44, 26, "start", "#111", "A FloydNet in C learns shortest paths");
    text(f, LEFT, 70, 14, "start", "#555", p->subtitle);
    for (int g = 0; g < p->graph_count; g++) draw_row(f, p, &p->graphs[g], TOP + g * ROW);
    draw_legend(f, p, legend);
    draw_loss(f, p, LEFT, curves, half);
    draw_shares(f, p, LEFT + half + GAP + 10, curves, half - 10);
    fprintf(f, "</svg>\n");
    const int failed = ferror(f);
    return fclose(f) != 0 || failed ? -1 : 0;
}
