// Kernels of a user's on a device, without one: what is given to the driver, and what is refused.

#include "ringc/kernel/DeviceKernel.h"
#include "ringc/support/Error.h"
#include "tests/gpu/FakeWorld.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr const char *text = R"(
kernel shifted<BM = 8, BN = 16>(x: view<f32>[M, N], y: view<f32>[M, N], by: f32)
  over r in M step BM, c in N step BN
{
  y[r : BM, c : BN] = x[r : BM, c : BN] + by
}
kernel heads<D, BQ = 8>(q: view<f32>[Nq, D], out: view<f32>[Nq, D]) over r in Nq step BQ { out[r : BQ, :] = q[r : BQ, :] * 2 }
kernel total<BM = 8>(x: view<f32>[M, 16], state: carry, y: view<f32>[M, 16]) over r in M step BM {
  var (acc) = resume state else (zeros<f32>[BM, 16])
  acc += x[r : BM, :]
  finish state(acc) { y[r : BM, :] = acc }
}
)";

DeviceKernel kernelOf(const DeviceContext &device, Spec spec) {
  spec.source = "user.tile";
  return {device, spec, {{"user.tile", text}}, ""};
}

std::string messageOf(const std::function<void()> &body) {
  try {
    body();
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

HostTensor counting(std::initializer_list<int64_t> shape) {
  HostTensor made(DType::F32, shape);
  for (int64_t i = 0; i < made.elementCount(); ++i)
    made.dataAs<float>()[i] = float(i);
  return made;
}

/// How often the driver was called so.
int64_t calls(const std::string &begin, const std::string &end = "") {
  return std::ranges::count_if(fake().calls, [&](const std::string &call) {
    return call.starts_with(begin) && call.ends_with(end);
  });
}

/// Whether y is x * factor + by.
bool isOf(const HostTensor &y, const HostTensor &x, float factor, float by) {
  return std::ranges::equal(std::span(y.dataAs<float>(), size_t(y.elementCount())),
                            std::span(x.dataAs<float>(), size_t(x.elementCount())), {}, {},
                            [&](float of) { return of * factor + by; });
}

} // namespace

TEST_CASE("a grid of two axes in the order of a stream") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  HostTensor x = counting({20, 40}), y(DType::F32, {20, 40});
  DeviceKernel kernel = kernelOf(device, {.kernel = "shifted"});
  launch(kernel, {{"x", x}, {"y", y}}, {{"by", 3}}, stream);
  CHECK(isOf(y, x, 0, 0)); // it runs later
  stream.synchronize();
  CHECK(isOf(y, x, 1, 3));
  CHECK(calls("cuLaunchKernelEx 3 3 1 1 1 1 0 0") == 1);
}

TEST_CASE("a bound kernel allocates nothing and can be captured") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  HostTensor x = counting({9, 9}), other = counting({9, 9}), y(DType::F32, {9, 9});
  DeviceKernelLaunch bound =
      kernelOf(device, {.kernel = "shifted"}).bind({{"x", x}, {"y", y}}, {{"by", 1}});
  int64_t launches = calls("cuLaunchKernelEx"), memory = calls("cuMem");
  bound.run(stream);
  CHECK(calls("cuLaunchKernelEx") == launches + 1);
  CHECK(calls("cuMem") == memory);
  CudaGraph graph = stream.capture([&] { bound.run(stream); });
  bound.set("by", 5); // the graph has its own
  bound.set("x", other);
  for (int64_t i = 0; i < x.elementCount(); ++i)
    x.dataAs<float>()[i] = 100;
  graph.launch(stream);
  stream.synchronize();
  CHECK(y.dataAs<float>()[80] == 101);
  bound.run(stream);
  stream.synchronize();
  CHECK(isOf(y, other, 1, 5));
}

TEST_CASE("heads and batch entries are axes of the grid") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  HostTensor q = counting({2, 17, 6, 16}), out(DType::F32, q.shape());
  launch(kernelOf(device, {.kernel = "heads", .headDim = 16, .groupSize = 2}),
         {{"q", q}, {"out", out}}, {}, stream);
  stream.synchronize();
  CHECK(isOf(out, q, 2, 0));
  CHECK(calls("cuLaunchKernelEx", " 3 2 1 1 1 0 0") == 1);
}

TEST_CASE("a running state has memory of its launch") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  HostTensor x = counting({20, 16}), y(DType::F32, {20, 16});
  DeviceKernel kernel = kernelOf(device, {.kernel = "total"});
  auto before = calls("cuMemAlloc");
  launch(kernel, {{"x", x}, {"y", y}}, {}, stream);
  stream.synchronize();
  CHECK(calls("cuMemAlloc") == before);
  CHECK(isOf(y, x, 1, 0));
  DeviceKernelLaunch bound =
      kernel.bind({{"x", x}, {"y", y}}, {{"state", CarryStep{.begins = true, .ends = false}}});
  CHECK(calls("cuMemAlloc") == before + 1);
  bound.run(stream);
  bound.set("state", CarryStep{.begins = false, .ends = true});
  bound.run(stream);
  stream.synchronize();
  CHECK(calls("cuMemAlloc") == before + 1);
  CHECK(isOf(y, x, 2, 0));
  CHECK(messageOf([&] {
          launch(kernel, {{"x", x}, {"y", y}},
                 {{"state", CarryStep{.begins = false, .ends = true}}}, stream);
        }).starts_with("argument state: got a running state that goes on and ends, allowed: "));
}

TEST_CASE("what a device cannot have") {
  std::vector<DeviceContext> devices = fakeWorld(2);
  const DeviceContext &device = devices.front();
  CudaStream stream(device.device), other(devices.back().device);
  HostTensor x = counting({1, 16});
  auto tall = [&](int64_t rows, int64_t columns) {
    return Tensor(x.data(), DType::F32, std::vector{rows, columns}, std::vector<int64_t>{1, 1});
  };
  DeviceKernel shifted = kernelOf(device, {.kernel = "shifted"});
  int64_t columns = 16 * 65536;
  CHECK(messageOf([&] {
          launch(shifted, {{"x", tall(1, columns)}, {"y", tall(1, columns)}}, {{"by", 1}}, stream);
        }) == "kernel shifted: programs along N: got 65536, allowed: at most 65535 on a GPU");
  CHECK(messageOf([&] {
          launch(kernelOf(device, {.kernel = "heads", .headDim = 16}),
                 {{"q", Tensor(x.data(), DType::F32, {65536, 1, 1, 16})},
                  {"out", Tensor(x.data(), DType::F32, {65536, 1, 1, 16})}},
                 {}, stream);
        }) == "kernel heads: batch entries: got 65536, allowed: at most 65535 on a GPU");
  CHECK(messageOf([&] {
          launch(shifted, {{"x", tall(1, 8)}, {"y", tall(1, 8)}}, {{"by", 1}}, other);
        }).starts_with("kernel shifted: a stream: got one of device 1"));
}

TEST_CASE("sums on a device are whole blocks") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  Spec spec{.kernel = "attention_backward_round", .headDim = 24};
  DeviceKernel kernel(device, spec, std::vector<SourceText>(), "");
  HostTensor dq(DType::F32, {1, 9, 1, 24}), exact(DType::F32, {1, 1, 9, 24}),
      apart(DType::F32, {1, 1, 16, 40}), odd(DType::F32, {1, 1, 17, 32});
  auto message = [&](const Tensor &sum) {
    return messageOf([&] { (void)kernel.bind({{"sum", sum}, {"dq", dq}}, {{"scale", 1}}); });
  };
  CHECK(message(odd.view().slice(2, 0, 16)) == "");
  CHECK(message(exact) == "argument sum: got f32[1, 1, 9, 24], allowed: 16 rows and 32 columns, "
                          "whole blocks of 8 x 16 for 9 x 24");
  CHECK(message(apart.view().slice(3, 0, 32))
            .starts_with("argument sum: got rows with gaps between them"));
  CHECK(message(Tensor(odd.dataAs<float>() + 1, DType::F32, {1, 1, 16, 32}))
            .starts_with("argument sum: got memory that is not aligned"));
}
