/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, shapes and layouts. */
#include <stdio.h>

#include "acl/stream.h"
#include "aclnn/check.h"
#include "aclnn/floyd_status.h"

/* Enough for five sizes of 20 characters. */
#define SHAPE_TEXT 128

/* A size by its letter: where it is read, and what it may be. */
typedef struct size_rule {
    char letter;
    int argument, axis;
    int64_t low, high, step;
    bool power_of_two;
    const char *needed;
} size_rule;

static const size_rule SIZES[] = {
    {'B', ACLNN_QUERY, 0, 1, 2048, 1, false, "1 to 2048"},
    {'H', ACLNN_QUERY, 1, 1, 256, 1, false, "1 to 256"},
    {'N', ACLNN_QUERY, 2, 16, 1048576, 16, false, "16 to 1048576 and a multiple of 16"},
    {'M', ACLNN_QUERY, 3, 128, 1048576, 128, false, "128 to 1048576 and a multiple of 128"},
    {'D', ACLNN_QUERY, 4, 32, 128, 32, true, "32, 64 or 128"},
    {'K', ACLNN_KEY1, 3, 128, 1048576, 128, false, "128 to 1048576 and a multiple of 128"},
};
#define SIZE_RULES (sizeof SIZES / sizeof *SIZES)

static int64_t size_of(char letter, const aclTensor *const *tensors)
{
    for (size_t i = 0; i < SIZE_RULES; i++) {
        if (SIZES[i].letter == letter) return tensors[SIZES[i].argument]->size[SIZES[i].axis];
    }
    return letter - '0';
}

static aclnnStatus check_axes(const aclnn_operator *op, const aclTensor *const *tensors)
{
    for (int i = 0; i < op->count; i++) {
        if (tensors[i] == NULL || tensors[i]->axes == ACLNN_AXES) continue;
        return acl_report(ACLNN_ERR_INNER_TILING_ERROR, "%sGetWorkspaceSize: %s has %llu axes, needs %d (%s)",
                          op->name, op->arguments[i].name, (unsigned long long)tensors[i]->axes, ACLNN_AXES,
                          op->arguments[i].shape);
    }
    return ACLNN_SUCCESS;
}

static bool size_accepted(const size_rule *rule, int64_t size)
{
    return size >= rule->low && size <= rule->high && size % rule->step == 0 &&
           (!rule->power_of_two || (size & (size - 1)) == 0);
}

static aclnnStatus check_ranges(const aclnn_operator *op, const aclTensor *const *tensors)
{
    for (size_t i = 0; i < SIZE_RULES; i++) {
        const size_rule *rule = &SIZES[i];
        const int64_t size = tensors[rule->argument]->size[rule->axis];
        if (size_accepted(rule, size)) continue;
        return acl_report(
            ACLNN_ERR_INNER_TILING_ERROR, "%sGetWorkspaceSize: %s has size %lld on axis %d (%c), needs %s",
            op->name, op->arguments[rule->argument].name, (long long)size, rule->axis, rule->letter, rule->needed);
    }
    return ACLNN_SUCCESS;
}

static bool has_shape(const aclTensor *const *tensors, const aclTensor *tensor, const char *shape)
{
    if (shape == NULL) return false;
    for (int a = 0; a < ACLNN_AXES; a++) {
        if (tensor->size[a] != size_of(shape[a], tensors)) return false;
    }
    return true;
}

static void print_sizes(char text[SHAPE_TEXT], const int64_t *size)
{
    (void)snprintf(text, SHAPE_TEXT, "[%lld,%lld,%lld,%lld,%lld]", (long long)size[0], (long long)size[1],
                   (long long)size[2], (long long)size[3], (long long)size[4]);
}

static aclnnStatus report_shape(const aclnn_operator *op, const aclTensor *const *tensors, int i)
{
    const aclnn_argument *argument = &op->arguments[i];
    char got[SHAPE_TEXT], needed[SHAPE_TEXT];
    int64_t sizes[ACLNN_AXES];
    for (int a = 0; a < ACLNN_AXES; a++) sizes[a] = size_of(argument->shape[a], tensors);
    print_sizes(got, tensors[i]->size);
    print_sizes(needed, sizes);
    return acl_report(ACLNN_ERR_INNER_TILING_ERROR,
                      "%sGetWorkspaceSize: %s has shape %s, needs %s (%s)%s%s, with the sizes of query and key1",
                      op->name, argument->name, got, needed, argument->shape,
                      argument->alternative != NULL ? " or " : "",
                      argument->alternative != NULL ? argument->alternative : "");
}

static aclnnStatus check_equal(const aclnn_operator *op, const aclTensor *const *tensors)
{
    for (int i = 0; i < op->count; i++) {
        const aclnn_argument *argument = &op->arguments[i];
        if (tensors[i] == NULL || has_shape(tensors, tensors[i], argument->shape) ||
            has_shape(tensors, tensors[i], argument->alternative)) {
            continue;
        }
        return report_shape(op, tensors, i);
    }
    return ACLNN_SUCCESS;
}

static aclnnStatus check_layouts(const aclnn_operator *op, const aclTensor *const *tensors, aclnn_layout *layouts)
{
    char text[SHAPE_TEXT];
    for (int i = 0; i < op->count; i++) {
        if (tensors[i] == NULL) continue;
        const int64_t bytes = (int64_t)floyd_dtype_size(aclnn_native_type(tensors[i]->dtype));
        if (aclnn_layout_of(tensors[i], bytes, &layouts[i])) continue;
        print_sizes(text, tensors[i]->size);
        return acl_report(
            ACLNN_ERR_INNER_TILING_ERROR,
            "%sGetWorkspaceSize: %s has shape %s, and its bytes with strides and offset cannot be counted, "
            "needs products within 64 bits",
            op->name, op->arguments[i].name, text);
    }
    for (int i = op->inputs; i < op->count; i++) {
        if (aclnn_layout_injective(tensors[i])) continue;
        print_sizes(text, tensors[i]->stride);
        return acl_report(
            ACLNN_ERR_INNER_TILING_ERROR,
            "%sGetWorkspaceSize: %s has strides %s that make its elements overlap, needs each to exceed "
            "the extent of the smaller ones",
            op->name, op->arguments[i].name, text);
    }
    return ACLNN_SUCCESS;
}

aclnnStatus aclnn_check_shapes(const aclnn_operator *op, const aclTensor *const *tensors, aclnn_layout *layouts)
{
    aclnnStatus status = check_axes(op, tensors);
    if (status == ACLNN_SUCCESS) status = check_ranges(op, tensors);
    if (status == ACLNN_SUCCESS) status = check_equal(op, tensors);
    if (status == ACLNN_SUCCESS) status = check_layouts(op, tensors, layouts);
    return status;
}
