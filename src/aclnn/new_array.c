/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C++ callers delete[] what aclGetViewShape and its kin hand out, so where the process has a C++ runtime the
 * array comes from operator new[], reached through weak references: this library itself is C. Without
 * one, only C callers are left, and they free().
 *
 * The form that takes std::nothrow is used: the other would throw through C. That object is also the
 * sign of a C++ runtime, since a sanitizer's runtime brings operators, but not it, into plain C programs.
 */
#include "aclnn/new_array.h"

#include <stdlib.h>

#if SIZE_MAX == UINT64_MAX
#define NEW_ARRAY_NOTHROW _ZnamRKSt9nothrow_t
#else
#define NEW_ARRAY_NOTHROW _ZnajRKSt9nothrow_t
#endif

extern void *NEW_ARRAY_NOTHROW(size_t size, const void *nothrow) __attribute__((weak, visibility("default")));
extern const char _ZSt7nothrow[] __attribute__((weak, visibility("default")));

int64_t *aclnn_new_array(uint64_t count)
{
    const size_t bytes = (size_t)(count > 0 ? count : 1) * sizeof(int64_t);
    if (NEW_ARRAY_NOTHROW != NULL && (const void *)_ZSt7nothrow != NULL) {
        return NEW_ARRAY_NOTHROW(bytes, _ZSt7nothrow);
    }
    return malloc(bytes);
}
