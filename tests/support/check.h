/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results against the double reference, element by element, with a derived tolerance.
 *
 * An output element is a sum of terms; T sums their magnitudes. With u the unit roundoff of the
 * arithmetic (2^-24, fp64 2^-53), an implementation that computes everything in that arithmetic and
 * rounds once at the end stays within
 *     |out - golden| <= ulp(golden) / 2 + 16 u T
 * where in T the weight |P| counts 4 + A times and, in dS, |dP - delta| is replaced by
 * |dP - delta| (4 + A) + sum|dY V1| + sum|dY V2| + sum|dY Y|. A is the row's largest
 * |scale| sum(|Q K1| + |Q K2|) + |bias| over pivots whose weight is not 0: exp() turns the absolute error u A of a
 * score into that relative error of P. A cap adds nothing, since tanh does not stretch. A masked pivot that
 * weighs something counts |mask_fill - max|: its score is exact, their difference is not.
 *
 * dbias sums the same terms without the factors that lead from S to an edge. In dS its terms are multiplied by the
 * cap's slope g = 1 - tanh(S / cap)^2, which itself errs by u for its subtraction and by 2 g / cap times the
 * score's error: |dP - delta| |P| (1 + 2 g |scale| sum(|Q K1| + |Q K2|) / cap) more. Dropped weights count nothing
 * in Y, dV and dP; kept ones are divided by 1 - dropout.
 *
 * A factor of 16 leaves room for the growth of rounding errors with
 * the length of a sum (measured: 1.3 to 4.5); rounding P or dS to a half type exceeds it ten times. In
 * fp64 the reference rounds as the library does, so both errors count and 16 becomes 32. Weights below
 * the smallest normal number may lose their low bits: each counts for that much more. Each step of a sum
 * of denormal numbers may lose half the smallest one, scaled by what it is multiplied with (below 64).
 */
#ifndef FLOYD_TEST_CHECK_H
#define FLOYD_TEST_CHECK_H

#include "problem.h"

/* Reference forward of the problem, rounded into its Y, max and sum: the backward's inputs. */
void store_reference_forward(problem *p);

/* Fail the test at the first element outside the tolerance, printing the spec. */
void check_forward(const problem *p);
void check_backward(const problem *p);
/* check_forward() and store_reference_forward(), of one reference. */
void check_and_store_forward(problem *p);

/* A forward and a backward of this problem, or of this spec, both judged. */
void run_and_check_problem(problem *p);
void run_and_check(const spec *s);

/* Half the distance between neighbours of value in this type. */
double half_ulp(floyd_dtype dtype, double value);

/* Whether the packed bytes of these roles agree; fails the test and names the role when not. */
void expect_same_bits(const problem *a, const problem *b, unsigned roles, const char *what);
void expect_same_view(const floyd_tensor *a, const floyd_tensor *b, const char *what);

/* ---- bits of the same problem, run otherwise ------------------------------------------------------- */

enum { ALL_OUTPUTS = FORWARD_OUTPUTS | GRADIENTS };

/* The backward starts from this forward's results: a difference in either is seen. */
problem computed(const spec *s);
/* Computes this spec, too, and compares these roles. */
void expect_as(const problem *first, const spec *s, unsigned roles, const char *what);
/* The same problem with this mask (T_MASK) or bias (T_BIAS) in the place of its own. */
void expect_same_with(const problem *first, enum role role, const floyd_tensor *other, const char *what);

#endif
