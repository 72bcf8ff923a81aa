/* SPDX-License-Identifier: Apache-2.0 */
/* Embedding, linear layer, RMS normalisation, activation and loss; the formulas stand in ops.h. */
#include "ops.h"

#include "matmul.h"
#include "util.h"

#include <string.h>

void embed_forward(int P, int C, const uint8_t *feature, const real *table, real *x)
{
    for (int p = 0; p < P; p++) memcpy(x + p * C, table + feature[p] * C, (size_t)C * sizeof(real));
}

void embed_backward(int P, int C, const uint8_t *feature, const real *dx, real *dtable)
{
    for (int p = 0; p < P; p++) {
        for (int c = 0; c < C; c++) dtable[feature[p] * C + c] += dx[p * C + c];
    }
}

void linear_forward(int P, int from, int to, const real *in, const real *w, const real *bias, const real *residual,
                    real *out)
{
    for (int p = 0; p < P; p++) {
        for (int o = 0; o < to; o++) out[p * to + o] = bias[o] + (residual ? residual[p * to + o] : 0);
    }
    matmul_add(P, to, from, in, from, 1, w, to, out, to);
}

void linear_backward(int P, int from, int to, const real *dout, const real *in, const real *w, real *din, real *dw,
                     real *dbias)
{
    real *transposed =
        allocate((size_t)from * (size_t)to, sizeof(real)); /* [to,from]: matmul wants rows of b contiguous */
    for (int i = 0; i < from; i++) {
        for (int o = 0; o < to; o++) transposed[o * from + i] = w[i * to + o];
    }
    matmul_add(P, from, to, dout, to, 1, transposed, from, din, from);
    matmul_add(from, to, P, in, 1, from, dout, to, dw, to);
    for (int p = 0; p < P; p++) {
        for (int o = 0; o < to; o++) dbias[o] += dout[p * to + o];
    }
    free(transposed);
}

void norm_forward(int P, int C, const real *x, const real *gain, real *out, real *inverse)
{
    for (int p = 0; p < P; p++, x += C, out += C) {
        real squares = 0;
        for (int c = 0; c < C; c++) squares += x[c] * x[c];
        inverse[p] = 1 / sqrt(squares / (real)C + (real)1e-5);
        for (int c = 0; c < C; c++) out[c] = x[c] * inverse[p] * gain[c];
    }
}

/* With r = inverse and g = dout * gain: dx = r g - r^3 x mean(g x). */
void norm_backward(int P, int C, const real *dout, const real *x, const real *gain, const real *inverse, real *dx,
                   real *dgain)
{
    for (int p = 0; p < P; p++, x += C, dout += C, dx += C) {
        const real r = inverse[p];
        real along = 0;
        for (int c = 0; c < C; c++) along += dout[c] * gain[c] * x[c];
        along *= r * r / (real)C;
        for (int c = 0; c < C; c++) {
            dx[c] += r * (dout[c] * gain[c] - along * x[c]);
            dgain[c] += dout[c] * x[c] * r;
        }
    }
}

void square_relu_forward(int count, const real *x, real *out)
{
    for (int i = 0; i < count; i++) out[i] = x[i] > 0 ? x[i] * x[i] : 0;
}

void square_relu_backward(int count, const real *x, real *d)
{
    for (int i = 0; i < count; i++) d[i] = x[i] > 0 ? 2 * x[i] * d[i] : 0;
}

/* Turns a row of scores into probabilities; returns -log of the label's. */
static double softmax_row(int C, int label, real *score)
{
    real max = score[0], sum = 0;
    for (int c = 1; c < C; c++) max = score[c] > max ? score[c] : max;
    const double loss = (double)(max - score[label]);
    for (int c = 0; c < C; c++) sum += score[c] = exp(score[c] - max);
    for (int c = 0; c < C; c++) score[c] /= sum;
    return loss + (double)log(sum);
}

double cross_entropy(int P, int C, const uint8_t *label, real *score)
{
    double loss = 0;
    int counted = 0;
    for (int p = 0; p < P; p++) counted += label[p] < C;
    for (int p = 0; p < P; p++, score += C) {
        if (label[p] >= C) {
            memset(score, 0, (size_t)C * sizeof(real));
            continue;
        }
        loss += softmax_row(C, label[p], score);
        score[label[p]] -= 1;
        for (int c = 0; c < C; c++) score[c] /= (real)counted;
    }
    return counted ? loss / counted : 0;
}
