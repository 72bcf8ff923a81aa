// SPDX-License-Identifier: Apache-2.0
// The emulator against plain code, and its detection of misuse in children that must abort.
#include "cuda/device.cuh"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace
{

int failures;

#define CHECK(condition)                                                                                           \
    do {                                                                                                           \
        if (!(condition)) std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), ++failures;          \
    } while (0)

using floyd::shared_memory;

struct operands {
    uint16_t a[16][16], b[16][8]; // b[k][column]
    float c[16][8];
};

template <class T> __global__ void multiply(const operands *in, float (*out)[8])
{
    const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    auto pair = [](uint16_t low, uint16_t high) { return static_cast<uint32_t>(low | high << 16); };
    uint32_t a[4];
    float c[4];
    for (unsigned i = 0; i < 4; ++i) {
        const uint16_t *at = &in->a[g + i % 2 * 8][2 * t + i / 2 * 8];
        a[i] = pair(at[0], at[1]);
        c[i] = in->c[g + i / 2 * 8][2 * t + i % 2];
    }
    const uint32_t b0 = pair(in->b[2 * t][g], in->b[2 * t + 1][g]);
    const uint32_t b1 = pair(in->b[2 * t + 8][g], in->b[2 * t + 9][g]);
    floyd::mma(c, a, b0, b1, T());
    for (unsigned i = 0; i < 4; ++i) out[g + i / 2 * 8][2 * t + i % 2] = c[i];
}

template <class T> void test_mma(uint16_t (*round)(float), float (*widen)(uint16_t))
{
    operands in;
    float out[16][8];
    uint32_t seed = 1;
    auto draw = [&] { return static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 16) / 65536.0f - 0.5f; };
    for (auto &row : in.a)
        for (uint16_t &x : row) x = round(draw());
    for (auto &row : in.b)
        for (uint16_t &x : row) x = round(draw());
    for (auto &row : in.c)
        for (float &x : row) x = draw();
    floyd_emulate(multiply<T>, 1, 32, 0, &in, out);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
            double sum = in.c[i][j];
            for (int k = 0; k < 16; ++k) sum += double{widen(in.a[i][k])} * double{widen(in.b[k][j])};
            CHECK(std::fabs(sum - out[i][j]) < 1e-5);
        }
}

struct operands_tf32 {
    float a[16][8], b[8][8], c[16][8];
};

__global__ void multiply_tf32(const operands_tf32 *in, float (*out)[8])
{
    const unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    uint32_t a[4];
    float c[4];
    for (unsigned i = 0; i < 4; ++i) {
        a[i] = __float_as_uint(in->a[g + i % 2 * 8][t + i / 2 * 4]);
        c[i] = in->c[g + i / 2 * 8][2 * t + i % 2];
    }
    floyd::mma_tf32(c, a, __float_as_uint(in->b[t][g]), __float_as_uint(in->b[t + 4][g]));
    for (unsigned i = 0; i < 4; ++i) out[g + i / 2 * 8][2 * t + i % 2] = c[i];
}

// Small integers: every product and sum is exact.
void test_mma_tf32()
{
    operands_tf32 in;
    float out[16][8];
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
            in.a[i][j] = static_cast<float>(i * 8 + j), in.c[i][j] = static_cast<float>(i - j);
            in.b[i % 8][j] = static_cast<float>(i % 8 * 3 - j * 5);
        }
    floyd_emulate(multiply_tf32, 1, 32, 0, &in, out);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
            float sum = in.c[i][j];
            for (int k = 0; k < 8; ++k) sum += in.a[i][k] * in.b[k][j];
            CHECK(sum == out[i][j]);
        }
}

__global__ void load_four(uint32_t (*plain)[4], uint32_t (*turned)[4])
{
    uint16_t *element = reinterpret_cast<uint16_t *>(shared_memory());
    for (unsigned i = threadIdx.x; i < 256; i += 32) element[i] = static_cast<uint16_t>(i); // matrix, row, column
    __syncwarp();
    floyd::ldmatrix(plain[threadIdx.x], element + 8 * threadIdx.x);
    floyd::ldmatrix_trans(turned[threadIdx.x], element + 8 * threadIdx.x);
}

void test_ldmatrix()
{
    uint32_t plain[32][4], turned[32][4];
    floyd_emulate(load_four, 1, 32, 512, plain, turned);
    for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned i = 0; i < 4; ++i) {
            const unsigned g = lane / 4, t = lane % 4, base = 64 * i;
            const unsigned first = base + 8 * g + 2 * t, first_turned = base + 8 * (2 * t) + g;
            CHECK(plain[lane][i] == (first | (first + 1) << 16));
            CHECK(turned[lane][i] == (first_turned | (first_turned + 8) << 16));
        }
}

__global__ void shuffle_about(float *out)
{
    const int lane = static_cast<int>(threadIdx.x);
    float sum = static_cast<float>(lane);
    for (int flip = 16; flip; flip /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, flip);
    bool good = sum == 496 && __shfl_sync(0xFFFFFFFFu, lane, 3) == 3;
    good = good && __shfl_sync(0xFFFFFFFFu, double(lane), 31 - lane) == 31 - lane;
    good = good && __any_sync(0xFFFFFFFFu, lane == 5) && !__any_sync(0xFFFFFFFFu, lane == 32);
    if (lane < 16)
        good = good && !__any_sync(0xFFFFu, lane == 20) && __shfl_xor_sync(0xFFFFu, lane, 8) == (lane ^ 8);
    else
        good = good && __any_sync(0xFFFF0000u, lane == 20);
    out[threadIdx.x] = good;
}

void test_shuffles()
{
    float out[32] = {};
    floyd_emulate(shuffle_about, 1, 32, 0, out);
    for (float good : out) CHECK(good == 1);
}

__global__ void copy_late(const float *in, float *out, int waits)
{
    float *shared = reinterpret_cast<float *>(shared_memory()) + 4 * threadIdx.x;
    for (int i = 0; i < 3; ++i) { // three groups, the last of which is zeros
        floyd::copy_async(shared + 128 * i, in + 4 * threadIdx.x, i < 2);
        floyd::copy_async_commit();
    }
    if (waits > 0) floyd::copy_async_wait<2>();
    if (waits > 1) floyd::copy_async_wait<1>();
    if (waits > 2) floyd::copy_async_wait<0>();
    for (int i = 0; i < 3; ++i) out[3 * threadIdx.x + i] = shared[128 * i + 3];
}

void test_copies()
{
    alignas(16) float in[128];
    float out[96];
    for (int i = 0; i < 128; ++i) in[i] = static_cast<float>(i + 1);
    for (int waits = 0; waits < 4; ++waits) {
        floyd_emulate(copy_late, 1, 32, 3 * 512, in, out, waits);
        for (int i = 0; i < 96; ++i) {
            const float expected = i % 3 == 2 ? 0 : in[i / 3 * 4 + 3];
            CHECK(i % 3 < waits ? out[i] == expected : std::isnan(out[i]));
        }
    }
}

__global__ void pass_around(int *out, int rounds)
{
    int *shared = reinterpret_cast<int *>(shared_memory());
    const unsigned me = threadIdx.x + 32 * threadIdx.y, count = 128;
    int value = static_cast<int>(me);
    for (int i = 0; i < rounds; ++i) {
        shared[me] = value;
        __syncthreads();
        value = shared[(me + 1) % count];
        __syncthreads();
    }
    out[(blockIdx.x + gridDim.x * blockIdx.y) * count + me] = value;
}

void test_barriers()
{
    std::vector<int> out(6 * 128, -1);
    floyd_emulate(pass_around, dim3(3, 2), dim3(32, 4), 512, out.data(), 200);
    for (size_t i = 0; i < out.size(); ++i) CHECK(out[i] == static_cast<int>((i + 200) % 128));
}

__global__ void touch(size_t byte)
{
    shared_memory()[byte] = 1;
}
__global__ void wait_for_the_left()
{
    if (threadIdx.x < 32) __syncthreads();
}
__global__ void mixed_collectives()
{
    if (threadIdx.x < 16)
        __syncwarp();
    else
        __shfl_xor_sync(0xFFFFFFFFu, 1, 1);
}
__global__ void lone_warp_wait()
{
    if (threadIdx.x == 3)
        __syncthreads();
    else
        __syncwarp();
}
__global__ void left_lanes()
{
    if (threadIdx.x < 16) return;
    __syncwarp();
}
__global__ void misaligned_matrix()
{
    uint32_t r[4];
    floyd::ldmatrix(r, shared_memory() + 8);
}
__global__ void outside_matrix()
{
    uint32_t r[4];
    floyd::ldmatrix(r, shared_memory() + 512);
}
__global__ void misaligned_copy(const char *from)
{
    floyd::copy_async(shared_memory(), from + 4, true);
}

// The launch must end the process with a message that contains text.
template <class F> void expect_abort(const char *text, F launch)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        launch();
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char part[512];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) said.append(part, static_cast<size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    if (said.find(text) == std::string::npos) std::printf("no \"%s\" in: %s\n", text, said.c_str()), ++failures;
}

void test_misuse()
{
    alignas(16) static char bytes[64];
    floyd_emulate(touch, 1, 32, 100, size_t{99});
    expect_abort("wrote byte 100 of 100", [] { floyd_emulate(touch, 1, 32, 100, size_t{100}); });
    expect_abort("waits at the barrier, where 32 of 64", [] { floyd_emulate(wait_for_the_left, 1, 64, 0); });
    expect_abort("different collectives", [] { floyd_emulate(mixed_collectives, 1, 32, 0); });
    expect_abort("waits for __syncwarp", [] { floyd_emulate(lone_warp_wait, 1, 32, 0); });
    expect_abort("have left", [] { floyd_emulate(left_lanes, 1, 32, 0); });
    expect_abort("not aligned", [] { floyd_emulate(misaligned_matrix, 1, 32, 1024); });
    expect_abort("outside 512 bytes", [] { floyd_emulate(outside_matrix, 1, 32, 512); });
    expect_abort("source", [] { floyd_emulate(misaligned_copy, 1, 32, 512, static_cast<const char *>(bytes)); });
    expect_abort("more shared memory", [] { floyd_emulate(touch, 1, 32, 232449, size_t{0}); });
    floyd_emulate(touch, 1, 32, 232448, size_t{0});
    expect_abort("more shared memory", [] {
        setenv("FLOYD_EMULATED_SHARED", "1000", 1);
        floyd_emulate(touch, 1, 32, 1000, size_t{0});
        floyd_emulate(touch, 1, 32, 1001, size_t{0});
    });
}

void test_rounding()
{
    using namespace floyd::emulated;
    for (unsigned i = 0; i < 65536; ++i) {
        const uint16_t h = static_cast<uint16_t>(i);
        const float f = half_to_float(h), b = bfloat16_to_float(h);
        if (!std::isnan(f)) CHECK(float_to_half(f) == h);
        if (!std::isnan(b)) CHECK(float_to_bfloat16(b) == h);
        if (i < 0x7BFF) { // halfway to the next one goes to the even one, a little more goes up
            const float middle = (f + half_to_float(static_cast<uint16_t>(i + 1))) / 2;
            CHECK(float_to_half(middle) == i + i % 2);
            CHECK(float_to_half(std::nextafter(middle, 1e9f)) == i + 1);
        }
    }
    CHECK(half_to_float(0x3C00) == 1 && half_to_float(1) == 0x1p-24f && half_to_float(0x7BFF) == 65504);
    CHECK(float_to_half(65519.9f) == 0x7BFF && float_to_half(65520) == 0x7C00 && float_to_half(1e-10f) == 0);
    CHECK(float_to_bfloat16(0x1.01p0f) == 0x3F80 && float_to_bfloat16(0x1.03p0f) == 0x3F82);
    CHECK(floyd::exp2_approx(-200) == 0 && floyd::exp2_approx(3) == 8 && std::isnan(floyd::max_nan(NAN, 1)));
}

} // namespace

int main()
{
    test_rounding();
    test_mma<__nv_bfloat16>(floyd::emulated::float_to_bfloat16, floyd::emulated::bfloat16_to_float);
    test_mma<__half>(floyd::emulated::float_to_half, floyd::emulated::half_to_float);
    test_mma_tf32();
    test_ldmatrix();
    test_shuffles();
    test_copies();
    test_barriers();
    test_misuse();
    std::printf("%d passed, %d failed\n", failures ? 0 : 9, failures);
    return failures != 0;
}
