/* SPDX-License-Identifier: Apache-2.0 */
/* The library, but for one element of dK2 that is a little off: the benchmark must notice. */
#include <dlfcn.h>
#include <string.h>

#include "floydattn.h"

typedef floyd_status (*backward_fn)(const floyd_backward_args *, const floyd_options *, void *, size_t);

floyd_status floyd_backward(const floyd_backward_args *args, const floyd_options *options, void *workspace,
                            size_t bytes)
{
    backward_fn real;
    void *symbol = dlsym(RTLD_NEXT, "floyd_backward");
    memcpy(&real, &symbol, sizeof real); /* ISO C has no cast from an object's pointer to a function's */
    const floyd_status status = real(args, options, workspace, bytes);
    if (status == FLOYD_OK && args->dk2->dtype == FLOYD_F32) *(float *)args->dk2->data += 0.01f;
    return status;
}
