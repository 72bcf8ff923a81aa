/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest problem, B = H = N = M = K = D = 1: one pivot has weight 1, so Y = V1 + V2. */
#include <floydattn.h>
#include <stdio.h>
#include <stdlib.h>

static int complain(floyd_status status)
{
    fprintf(stderr, "%s: %s\n", floyd_status_name(status), floyd_last_message());
    return 1;
}

int main(void)
{
    float data[6] = {0.5f, 1.0f, 2.0f, 3.0f, 4.0f, 0.0f}; /* q, k1, v1, k2, v2, y */
    floyd_tensor tensor[6];
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    floyd_status status;
    void *workspace;
    size_t bytes;
    int i;

    for (i = 0; i < 6; i++) tensor[i] = floyd_contiguous(&data[i], FLOYD_F32, 1, 1, 1, 1, 1);
    args.q = &tensor[0];
    args.k1 = &tensor[1];
    args.v1 = &tensor[2];
    args.k2 = &tensor[3];
    args.v2 = &tensor[4];
    args.y = &tensor[5];
    status = floyd_forward_workspace(&args, NULL, &bytes);
    if (status != FLOYD_OK) return complain(status);
    workspace = malloc(bytes + 1);
    status = floyd_forward(&args, NULL, workspace, bytes);
    free(workspace);
    if (status != FLOYD_OK) return complain(status);
    printf("floydattn %s: %g\n", floyd_version(), data[5]);
    return data[5] == 6.0f ? 0 : 1;
}
