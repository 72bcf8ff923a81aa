/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CANN program in C++11: Floyd attention and its gradient by the documented sequence, with what it acquires
 * in objects that release it. The forward's results stay on the device, and its gradient is taken twice,
 * by an executor that is repeatable: the second time the bits must be the same.
 * The exit status is 0 when everything is right.
 */
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "acl/acl.h"
#include "aclnnop/aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"
#include "check.h"

namespace
{

void require(int status, const char *what)
{
    if (status == ACL_SUCCESS) return;
    const char *message = aclGetRecentErrMsg();
    throw std::runtime_error(std::string(what) + " returned " + std::to_string(status) + ": " +
                             (message != nullptr ? message : "no message"));
}

struct Device {
    aclrtStream stream = nullptr;
    Device()
    {
        require(aclInit(nullptr), "aclInit");
        require(aclrtSetDevice(0), "aclrtSetDevice");
        require(aclrtCreateStream(&stream), "aclrtCreateStream");
    }
    ~Device()
    {
        (void)aclrtDestroyStream(stream);
        (void)aclrtResetDevice(0);
        (void)aclFinalize();
    }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;
};

class Memory
{
  public:
    explicit Memory(uint64_t bytes)
    {
        if (bytes > 0) require(aclrtMalloc(&data_, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
    }
    ~Memory()
    {
        if (data_ != nullptr) (void)aclrtFree(data_);
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    void *get() const { return data_; }

  private:
    void *data_ = nullptr;
};

/* A contiguous tensor in device memory. */
template <typename T> class Tensor
{
  public:
    Tensor(const std::vector<int64_t> &shape, aclDataType type, const std::vector<T> &host)
        : memory_(host.size() * sizeof(T)), host_(host)
    {
        upload();
        tensor_ = aclCreateTensor(shape.data(), shape.size(), type, nullptr, 0, aclFormat::ACL_FORMAT_ND,
                                  shape.data(), shape.size(), memory_.get());
        if (tensor_ == nullptr) throw std::runtime_error("aclCreateTensor");
    }
    ~Tensor() { (void)aclDestroyTensor(tensor_); }
    Tensor(const Tensor &) = delete;
    Tensor &operator=(const Tensor &) = delete;
    operator aclTensor *() const { return tensor_; }

    void fill(T value)
    {
        host_.assign(host_.size(), value);
        upload();
    }
    const std::vector<T> &download()
    {
        const size_t bytes = host_.size() * sizeof(T);
        require(aclrtMemcpy(host_.data(), bytes, memory_.get(), bytes, ACL_MEMCPY_DEVICE_TO_HOST), "aclrtMemcpy");
        return host_;
    }

  private:
    void upload()
    {
        const size_t bytes = host_.size() * sizeof(T);
        require(aclrtMemcpy(memory_.get(), bytes, host_.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE), "aclrtMemcpy");
    }
    Memory memory_;
    std::vector<T> host_;
    aclTensor *tensor_ = nullptr;
};

typedef Tensor<uint16_t> Half;
typedef Tensor<float> Float;

int64_t product(const std::vector<int64_t> &shape)
{
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count;
}

std::vector<uint16_t> random_halves(const std::vector<int64_t> &shape, unsigned seed)
{
    std::vector<uint16_t> values(static_cast<size_t>(product(shape)));
    fill_random(values.data(), product(shape), seed);
    return values;
}

std::vector<uint8_t> random_mask(const std::vector<int64_t> &shape, unsigned seed)
{
    std::vector<uint8_t> values(static_cast<size_t>(product(shape)));
    fill_random_mask(values.data(), product(shape), seed);
    return values;
}

struct Shapes {
    int64_t B, H, N, M, K, D;
    std::vector<int64_t> nm() const { return {B, H, N, M, D}; }
    std::vector<int64_t> nk() const { return {B, H, N, K, D}; }
    std::vector<int64_t> km() const { return {B, H, K, M, D}; }
    std::vector<int64_t> mask() const { return {B, 1, N, 1, K}; }
    std::vector<int64_t> statistic() const { return {B, H, N, M, 8}; }
};

struct Inputs {
    std::vector<uint16_t> q, k1, v1, k2, v2, dy;
    std::vector<uint8_t> mask;
    explicit Inputs(const Shapes &s)
        : q(random_halves(s.nm(), 1)), k1(random_halves(s.nk(), 2)), v1(random_halves(s.nk(), 3)),
          k2(random_halves(s.km(), 4)), v2(random_halves(s.km(), 5)), dy(random_halves(s.nm(), 6)),
          mask(random_mask(s.mask(), 7))
    {
    }
};

/* The tensors of both operators. */
struct Problem {
    Shapes s;
    double scale;
    Half q, k1, v1, k2, v2, dy, y, dq, dk1, dv1, dk2, dv2;
    Tensor<uint8_t> mask;
    Float max, sum;

    Problem(const Shapes &shapes, const Inputs &in)
        : s(shapes), scale(1.0 / std::sqrt(128.0)), q(s.nm(), ACL_FLOAT16, in.q), k1(s.nk(), ACL_FLOAT16, in.k1),
          v1(s.nk(), ACL_FLOAT16, in.v1), k2(s.km(), ACL_FLOAT16, in.k2), v2(s.km(), ACL_FLOAT16, in.v2),
          dy(s.nm(), ACL_FLOAT16, in.dy), y(s.nm(), ACL_FLOAT16, in.q), dq(s.nm(), ACL_FLOAT16, in.q),
          dk1(s.nk(), ACL_FLOAT16, in.k1), dv1(s.nk(), ACL_FLOAT16, in.v1), dk2(s.km(), ACL_FLOAT16, in.k2),
          dv2(s.km(), ACL_FLOAT16, in.v2), mask(s.mask(), ACL_UINT8, in.mask),
          max(s.statistic(), ACL_FLOAT, std::vector<float>(static_cast<size_t>(product(s.statistic())), 3.0F)),
          sum(s.statistic(), ACL_FLOAT, std::vector<float>(static_cast<size_t>(product(s.statistic())), 3.0F))
    {
    }
    std::vector<Half *> gradients() { return {&dq, &dk1, &dv1, &dk2, &dv2}; }
};

void forward(Problem &p, aclrtStream stream)
{
    uint64_t bytes = 0;
    aclOpExecutor *executor = nullptr;
    require(aclnnFusedFloydAttentionGetWorkspaceSize(p.q, p.k1, p.v1, p.k2, p.v2, p.mask, p.scale, p.max, p.sum,
                                                     p.y, &bytes, &executor),
            "aclnnFusedFloydAttentionGetWorkspaceSize");
    const Memory workspace(bytes);
    require(aclnnFusedFloydAttention(workspace.get(), bytes, executor, stream), "aclnnFusedFloydAttention");
    require(aclrtSynchronizeStream(stream), "aclrtSynchronizeStream");
}

/* Runs the gradient twice by one executor. Returns whether both gave the same bits. */
bool gradient_twice(Problem &p, aclrtStream stream)
{
    uint64_t bytes = 0;
    aclOpExecutor *executor = nullptr;
    require(aclnnFusedFloydAttentionGradGetWorkspaceSize(p.q, p.k1, p.v1, p.k2, p.v2, p.dy, p.mask, p.max, p.sum,
                                                         p.y, p.scale, p.dq, p.dk1, p.dv1, p.dk2, p.dv2, &bytes,
                                                         &executor),
            "aclnnFusedFloydAttentionGradGetWorkspaceSize");
    require(aclSetAclOpExecutorRepeatable(executor), "aclSetAclOpExecutorRepeatable");
    const Memory workspace(bytes);
    std::vector<std::vector<uint16_t>> results[2];
    for (std::vector<std::vector<uint16_t>> &result : results) {
        for (Half *tensor : p.gradients()) tensor->fill(0xFFFF);
        require(aclnnFusedFloydAttentionGrad(workspace.get(), bytes, executor, stream),
                "aclnnFusedFloydAttentionGrad");
        require(aclrtSynchronizeStream(stream), "aclrtSynchronizeStream");
        for (Half *tensor : p.gradients()) result.push_back(tensor->download());
    }
    require(aclDestroyAclOpExecutor(executor), "aclDestroyAclOpExecutor");
    return results[0] == results[1];
}

/* All ones, max = sum = 3, nothing masked: every gradient exceeds fp16, and +inf is right. */
bool documented_sample(aclrtStream stream)
{
    const Shapes shapes = {1, 1, 256, 256, 256, 128};
    Problem p(shapes, Inputs(shapes));
    for (Half *tensor : {&p.q, &p.k1, &p.v1, &p.k2, &p.v2, &p.dy, &p.y}) tensor->fill(0x3C00);
    p.mask.fill(0);
    bool right = gradient_twice(p, stream);
    for (Half *tensor : p.gradients()) {
        for (uint16_t bits : tensor->download()) right = right && bits == 0x7C00;
    }
    std::printf("documented sample: gradients beyond fp16, as +inf: %s\n", right ? "all, twice" : "NOT ALL");
    return right;
}

bool random_case(aclrtStream stream)
{
    const Shapes shapes = {1, 3, 32, 256, 128, 32};
    const Inputs in(shapes);
    Problem p(shapes, in);
    forward(p, stream);
    const bool same = gradient_twice(p, stream);
    std::printf("random data: the gradient taken twice: %s\n", same ? "the same bits" : "DIFFERENT BITS");
    floyd_run run = floyd_run();
    run.B = shapes.B, run.H = shapes.H, run.N = shapes.N, run.M = shapes.M, run.K = shapes.K, run.D = shapes.D;
    run.scale = p.scale;
    run.q = in.q.data(), run.k1 = in.k1.data(), run.v1 = in.v1.data(), run.k2 = in.k2.data(), run.v2 = in.v2.data();
    run.dy = in.dy.data(), run.mask = in.mask.data();
    run.max = p.max.download().data(), run.sum = p.sum.download().data(), run.y = p.y.download().data();
    run.dq = p.dq.download().data(), run.dk1 = p.dk1.download().data(), run.dv1 = p.dv1.download().data();
    run.dk2 = p.dk2.download().data(), run.dv2 = p.dv2.download().data();
    const int wrong = check_forward(&run) + check_gradient(&run);
    return same && wrong == 0;
}

} // namespace

int main()
{
    try {
        const Device device;
        const bool documented = documented_sample(device.stream), random = random_case(device.stream);
        return documented && random ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
