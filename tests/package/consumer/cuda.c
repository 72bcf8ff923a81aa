/* SPDX-License-Identifier: Apache-2.0 */
/* Links both libraries, and needs no GPU: a refused call has its message in the library that was called. */
#include <floydattn_cuda.h>
#include <stdio.h>

int main(void)
{
    const floyd_status status = floyd_cuda_forward(NULL, NULL, NULL, 0);
    printf("%s: %s\n", floyd_status_name(status), floyd_cuda_last_message());
    return status != FLOYD_ERROR_NULL || !floyd_cuda_last_message()[0] || floyd_last_message()[0];
}
