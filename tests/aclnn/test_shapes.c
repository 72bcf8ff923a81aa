/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes and layouts that phase one takes and refuses, argument by argument, for both operators. */
#include <string.h>

#include "support.h"

static void test_axes(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            for (int axes = 0; axes <= MAX_AXES; axes++) {
                c.operands[i].axes = axes;
                if (axes == 5) continue;
                c.operands[i].size[5] = c.operands[i].size[6] = c.operands[i].size[7] = 1;
                call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[i], "axes");
            }
            c.operands[i].axes = 5;
        }
        call_close_untouched(&c);
    }
}

/* Every axis of every argument, off by a little, by a lot, and empty; query's and key1's K are the sizes
 * themselves. */
static void test_sizes_that_disagree(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = varied();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 1; i < op->count; i++) {
            for (int a = 0; a < 5; a++) {
                const int64_t right = c.operands[i].size[a];
                const int64_t wrong[] = {0, -1, right - 1, right + 1, 2 * right, right + 128, INT64_MAX, INT64_MIN};
                for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
                    c.operands[i].size[a] = wrong[j];
                    const bool sets_k =
                        i == 1 && a == 3 && wrong[j] > 0 && wrong[j] <= 1048576 && wrong[j] % 128 == 0;
                    call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, sets_k ? "value1" : op->names[i],
                                 i == 1 && a == 3 && !sets_k ? "(K)" : "shape");
                }
                c.operands[i].size[a] = right;
            }
        }
        call_accepted(&c);
        call_close_untouched(&c);
    }
}

/* In the order of SIZE_LETTERS. */
enum { SIZE_B, SIZE_H, SIZE_N, SIZE_M, SIZE_K, SIZE_D, SIZES };
static const char SIZE_LETTERS[] = "BHNMKD";
static const int64_t SMALLEST[SIZES] = {1, 1, 16, 128, 128, 32};

typedef struct size_case {
    int size;
    const char *letter;
    int64_t value;
    bool taken;
} size_case;

static const size_case SIZE_CASES[] = {
    {SIZE_B, "(B)", 0, false},    {SIZE_B, "(B)", -1, false},      {SIZE_B, "(B)", 1, true},
    {SIZE_B, "(B)", 2048, true},  {SIZE_B, "(B)", 2049, false},    {SIZE_H, "(H)", 0, false},
    {SIZE_H, "(H)", 1, true},     {SIZE_H, "(H)", 256, true},      {SIZE_H, "(H)", 257, false},
    {SIZE_N, "(N)", 0, false},    {SIZE_N, "(N)", -16, false},     {SIZE_N, "(N)", 15, false},
    {SIZE_N, "(N)", 16, true},    {SIZE_N, "(N)", 17, false},      {SIZE_N, "(N)", 24, false},
    {SIZE_N, "(N)", 48, true},    {SIZE_N, "(N)", 1048576, true},  {SIZE_N, "(N)", 1048592, false},
    {SIZE_M, "(M)", 0, false},    {SIZE_M, "(M)", 64, false},      {SIZE_M, "(M)", 127, false},
    {SIZE_M, "(M)", 129, false},  {SIZE_M, "(M)", 144, false},     {SIZE_M, "(M)", 384, true},
    {SIZE_M, "(M)", 65536, true}, {SIZE_M, "(M)", 1048704, false}, {SIZE_K, "(K)", 0, false},
    {SIZE_K, "(K)", 64, false},   {SIZE_K, "(K)", 127, false},     {SIZE_K, "(K)", 129, false},
    {SIZE_K, "(K)", 384, true},   {SIZE_K, "(K)", 1048576, true},  {SIZE_K, "(K)", 1048704, false},
    {SIZE_D, "(D)", 0, false},    {SIZE_D, "(D)", 16, false},      {SIZE_D, "(D)", 31, false},
    {SIZE_D, "(D)", 32, true},    {SIZE_D, "(D)", 48, false},      {SIZE_D, "(D)", 64, true},
    {SIZE_D, "(D)", 96, false},   {SIZE_D, "(D)", 128, true},      {SIZE_D, "(D)", 160, false},
    {SIZE_D, "(D)", 256, false},
};

/* Describes an argument by letters. No data need be as large: phase one does not look at any. */
static void describe(operand *o, const char *shape, const int64_t sizes[SIZES])
{
    int64_t step = 1;
    for (int a = 4; a >= 0; a--) {
        const char *letter = strchr(SIZE_LETTERS, shape[a]);
        o->size[a] = letter != NULL ? sizes[letter - SIZE_LETTERS] : shape[a] - '0';
        o->stride[a] = step;
        step = (int64_t)((uint64_t)step * (uint64_t)o->size[a]);
    }
}

static void describe_all(call *c, const int64_t sizes[SIZES])
{
    for (int i = 0; i < c->op->count; i++) describe(&c->operands[i], c->op->shapes[i], sizes);
}

static void test_ranges(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (size_t i = 0; i < sizeof SIZE_CASES / sizeof *SIZE_CASES; i++) {
            const size_case *one = &SIZE_CASES[i];
            int64_t sizes[SIZES];
            memcpy(sizes, SMALLEST, sizeof sizes);
            sizes[one->size] = one->value;
            describe_all(&c, sizes);
            if (one->taken) {
                call_accepted(&c);
            } else {
                call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, one->size == SIZE_K ? "key1" : "query", one->letter);
            }
        }
        call_close_untouched(&c);
    }
}

/* Every size in its range, and more than 2^63 bytes. */
static void test_products_beyond_64_bits(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        describe_all(&c, (const int64_t[SIZES]){2048, 256, 1048576, 1048576, 128, 32});
        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "query", "64 bits");
        call_close_untouched(&c);
    }
}

static void test_strides_beyond_64_bits(void **state)
{
    (void)state;
    static const int64_t STRIDES[] = {INT64_MAX, INT64_MIN, INT64_MAX / 15, INT64_MAX / 30 + 1,
                                      -(INT64_MAX / 30 + 1)};
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            const int axis = op->shapes[i][2] == 'K' ? 3 : 2; /* an axis of size 16, or 128 */
            const int64_t right = c.operands[i].stride[axis];
            for (size_t j = 0; j < sizeof STRIDES / sizeof *STRIDES; j++) {
                c.operands[i].stride[axis] = STRIDES[j];
                if (i == op->mask && j > 1) continue; /* one byte an element: these fit */
                call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[i], "64 bits");
            }
            c.operands[i].stride[axis] = right;
            const int64_t offsets[] = {INT64_MAX, INT64_MIN};
            for (int j = 0; j < (i == op->mask ? 1 : 2); j++) { /* so does the lowest offset */
                c.operands[i].offset = offsets[j];
                call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[i], "64 bits");
            }
            c.operands[i].offset = 0;
        }
        call_close_untouched(&c);
    }
}

/* Axes of size 1 are never stepped along: their strides may be anything. */
static void test_strides_of_single_axes(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            for (int a = 0; a < 5; a++) {
                if (c.operands[i].size[a] == 1) c.operands[i].stride[a] = a == 0 ? INT64_MIN : INT64_MAX;
            }
        }
        call_accepted(&c);
        call_close_untouched(&c);
    }
}

/* Inputs may repeat themselves; outputs may not, in any of the ways there are. */
static void test_self_overlap(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = varied();
        call c;
        call_open_unfilled(&c, op, &s);
        for (int i = 0; i < op->count; i++) {
            for (int a = 0; a < 5; a++) {
                const int64_t right = c.operands[i].stride[a];
                const int64_t wrong[] = {0, a == 4 ? 0 : right - 1, a == 4 ? 0 : 1 - right};
                if (c.operands[i].size[a] == 1) continue;
                for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
                    c.operands[i].stride[a] = wrong[j];
                    if (i < op->inputs) {
                        call_accepted(&c);
                    } else {
                        call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, op->names[i], "overlap");
                    }
                }
                c.operands[i].stride[a] = right;
            }
        }
        call_close_untouched(&c);
    }
}

/* Outermost first, backwards, with gaps and offsets: nothing overlaps. */
static void test_unusual_outputs(void **state)
{
    (void)state;
    static const layout *const LAYOUTS[] = {&layout_permuted, &layout_scattered, &layout_gapped};
    for (int o = 0; o < 2; o++) {
        for (int l = 0; l < 3; l++) {
            spec s = smallest();
            call c;
            s.B = s.H = 2;
            s.outputs = LAYOUTS[l];
            call_open_unfilled(&c, OPERATORS[o], &s);
            call_accepted(&c);
            call_close_untouched(&c);
        }
    }
}

static void test_masks(void **state)
{
    (void)state;
    static const char *const SHAPES[] = {"BHNMK", "B1NMK", "BHN1K", "11N1K", "B111K",
                                         "B1N11", "1111K", "1BN1K", "B1K1N"};
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = varied();
        call c;
        call_open_unfilled(&c, op, &s);
        operand *mask = &c.operands[op->mask];
        for (int t = 0; t < 2; t++) {
            mask->type = t == 0 ? ACL_UINT8 : ACL_BOOL;
            for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
                describe(mask, SHAPES[i], (const int64_t[SIZES]){s.B, s.H, s.N, s.M, s.K, s.D});
                if (op == &FORWARD && i == 0) {
                    call_accepted(&c);
                } else {
                    call_refused(&c, ACLNN_ERR_INNER_TILING_ERROR, "attenMaskOptional", "shape");
                }
            }
        }
        call_close_untouched(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_sizes_that_disagree),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_products_beyond_64_bits),
        cmocka_unit_test(test_strides_beyond_64_bits),
        cmocka_unit_test(test_strides_of_single_axes),
        cmocka_unit_test(test_self_overlap),
        cmocka_unit_test(test_unusual_outputs),
        cmocka_unit_test(test_masks),
    };
    return cmocka_run_group_tests_name("aclnn shapes", tests, NULL, NULL);
}
