/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of the network besides attention, each forward and backward. P is the number of pairs (rows), C the
 * channels; every array is contiguous. Gradients are added to what is there, except where d goes in and comes out.
 */
#ifndef FLOYDNET_OPS_H
#define FLOYDNET_OPS_H

#include "real.h"

#include <stdint.h>

/* x[p] = table[feature[p]]; dtable[feature[p]] += dx[p]. */
void embed_forward(int P, int C, const uint8_t *feature, const real *table, real *x);
void embed_backward(int P, int C, const uint8_t *feature, const real *dx, real *dtable);

/* out[P,to] = in[P,from] w[from,to] + bias[to] (+ residual[P,to] unless NULL). */
void linear_forward(int P, int from, int to, const real *in, const real *w, const real *bias, const real *residual,
                    real *out);
/* din += dout w^T, dw += in^T dout, dbias += sum over p of dout. */
void linear_backward(int P, int from, int to, const real *dout, const real *in, const real *w, real *din, real *dw,
                     real *dbias);

/* out = x * inverse * gain with inverse[p] = 1 / sqrt(mean over c of x^2 + 1e-5). */
void norm_forward(int P, int C, const real *x, const real *gain, real *out, real *inverse);
void norm_backward(int P, int C, const real *dout, const real *x, const real *gain, const real *inverse, real *dx,
                   real *dgain);

/* out = max(x, 0)^2: as cheap as a ReLU, and its derivative is continuous. d: dout in, dx out. */
void square_relu_forward(int count, const real *x, real *out);
void square_relu_backward(int count, const real *x, real *d);

/*
 * Mean over the pairs whose label is below C of -log softmax(score)[label]. Turns score[P,C] into that mean's
 * gradient; pairs with other labels are left out, and their gradient is 0.
 */
double cross_entropy(int P, int C, const uint8_t *label, real *score);

#endif
