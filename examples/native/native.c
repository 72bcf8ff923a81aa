/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest whole program: the forward of one head at N = M = K = 64, D = 32, in fp32. */
#include <floydattn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    enum { B = 1, H = 1, N = 64, D = 32, COUNT = B * H * N * N * D }; /* N = M = K here */
    static float data[6][COUNT];                                      /* q, k1, v1, k2, v2 and y */
    floyd_tensor t[6];
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < COUNT; j++) data[i][j] = (float)rand() / (float)RAND_MAX;
        t[i] = floyd_contiguous(data[i], FLOYD_F32, B, H, N, N, D);
    }
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    args.scale = 0.125;
    args.q = &t[0], args.k1 = &t[1], args.v1 = &t[2], args.k2 = &t[3], args.v2 = &t[4], args.y = &t[5];
    size_t bytes = 0;
    floyd_status status = floyd_forward_workspace(&args, NULL, &bytes);
    void *workspace = malloc(bytes);
    if (status == FLOYD_OK) status = floyd_forward(&args, NULL, workspace, bytes);
    free(workspace);
    puts(status == FLOYD_OK ? "done" : floyd_last_message());
    return status != FLOYD_OK;
}
