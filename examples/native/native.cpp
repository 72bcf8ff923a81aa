/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward and gradient from C++: one head at N = M = K = 48, D = 32, in fp32, pivots from 40 on masked as padding.
 * The check at the end needs no reference: dV1 and dV2 each sum P dY over one of their axes, and P sums to 1 over
 * k, so both sum up to dY. dY is 1 here.
 */
#include <floydattn.h>

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace
{

const int B = 1, H = 1, N = 48, D = 32, REAL_NODES = 40; // N = M = K

void must(floyd_status status)
{
    if (status != FLOYD_OK) throw std::runtime_error(floyd_last_message());
}

struct Tensor {
    explicit Tensor(int last = D, float value = 0) : data(B * H * N * N * last, value)
    {
        view = floyd_contiguous(data.data(), FLOYD_F32, B, H, N, N, last);
    }
    Tensor(const Tensor &) = delete; // view points into data
    Tensor &operator=(const Tensor &) = delete;

    void fill(unsigned seed)
    {
        for (float &x : data) x = float((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
    }
    double sum() const
    {
        double total = 0;
        for (float x : data) total += x;
        return total;
    }

    std::vector<float> data;
    floyd_tensor view;
};

} // namespace

int main()
try {
    Tensor q, k1, v1, k2, v2, y, max(1), sum(1), dy(D, 1), dq, dk1, dv1, dk2, dv2;
    unsigned seed = 1;
    for (Tensor *t : {&q, &k1, &v1, &k2, &v2}) t->fill(seed++);
    std::vector<unsigned char> padding(N, 0);
    for (int k = REAL_NODES; k < N; k++) padding[k] = 1;
    const floyd_tensor mask = floyd_contiguous(padding.data(), FLOYD_U8, 1, 1, 1, 1, N);

    floyd_forward_args f = FLOYD_FORWARD_ARGS_INIT;
    f.scale = 1 / std::sqrt(2.0 * D);
    f.q = &q.view, f.k1 = &k1.view, f.v1 = &v1.view, f.k2 = &k2.view, f.v2 = &v2.view, f.mask = &mask;
    f.y = &y.view, f.max = &max.view, f.sum = &sum.view;
    std::size_t bytes = 0;
    must(floyd_forward_workspace(&f, nullptr, &bytes));
    std::vector<char> workspace(bytes);
    must(floyd_forward(&f, nullptr, workspace.data(), bytes));

    floyd_backward_args b = FLOYD_BACKWARD_ARGS_INIT;
    b.scale = f.scale;
    b.q = f.q, b.k1 = f.k1, b.v1 = f.v1, b.k2 = f.k2, b.v2 = f.v2, b.mask = f.mask;
    b.y = f.y, b.max = f.max, b.sum = f.sum, b.dy = &dy.view;
    b.dq = &dq.view, b.dk1 = &dk1.view, b.dv1 = &dv1.view, b.dk2 = &dk2.view, b.dv2 = &dv2.view;
    must(floyd_backward_workspace(&b, nullptr, &bytes));
    workspace.resize(bytes);
    must(floyd_backward(&b, nullptr, workspace.data(), bytes));

    std::printf("sum of dY %.3f, of dV1 %.3f, of dV2 %.3f\n", dy.sum(), dv1.sum(), dv2.sum());
    const double allowed = 1e-4 * dy.sum(); // some hundred fp32 roundings, all sums of positive terms
    return std::fabs(dv1.sum() - dy.sum()) <= allowed && std::fabs(dv2.sum() - dy.sum()) <= allowed ? 0 : 1;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
