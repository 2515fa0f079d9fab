// Kernels of any grid on a real device, launched by name, against those of the host.

#include "ringc/kernel/Kernel.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/kernel/DeviceKernel.h"
#include "tests/gpu/RingInputs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// The same launch on the host and on the device.
class Twice {
public:
  /// Random numbers; what is written too, so that what a kernel leaves out shows.
  void add(const std::string &name, DType dtype, std::initializer_list<int64_t> shape) {
    HostTensor wide(DType::F32, shape);
    std::normal_distribution<float> normal;
    std::generate_n(wide.dataAs<float>(), wide.elementCount(), [&] { return normal(random); });
    HostTensor &made = memory.emplace_back(dtype, shape);
    convert(wide, made);
    onHost[name] = made;
    onDevice[name] = copies.emplace_back(DeviceTensor::copyOf(stream, made)).view();
    places.emplace(name, &copies.back());
  }

  /// The distance of one of the results.
  double run(const Spec &spec, const KernelValues &values, const std::string &result) {
    launch(Kernel(host, spec, std::vector<SourceText>(), ""), onHost, values, *host.pool);
    DeviceKernelLaunch bound =
        DeviceKernel(device, spec, std::vector<SourceText>(), "").bind(onDevice, values);
    CudaGraph graph = stream.capture([&] { bound.run(stream); });
    graph.launch(stream);
    return errorOf(places.at(result)->download(stream), onHost.at(result));
  }

private:
  AttentionContext host = hostContext();
  DeviceContext device = deviceContext();
  CudaStream stream{device.device};
  std::mt19937 random{3};
  std::list<HostTensor> memory;
  std::list<DeviceTensor> copies;
  std::map<std::string, const DeviceTensor *> places;
  KernelViews onHost, onDevice;
};

} // namespace

TEST_CASE("products and rows by name, captured") {
  for (auto [type, dtype] :
       {std::pair{ElementType::F32, DType::F32}, {ElementType::BF16, DType::BF16}}) {
    Twice product;
    product.add("a", dtype, {300, 200});
    product.add("b", dtype, {200, 170});
    product.add("c", DType::F32, {300, 170});
    CHECK(product.run({.kernel = "matmul", .dtype = type}, {}, "c") < 2e-5);
  }
  Twice rows;
  rows.add("x", DType::F32, {77, 1000});
  rows.add("y", DType::F32, {77, 1000});
  CHECK(rows.run({.kernel = "row_softmax"}, {}, "y") < 2e-5);
}

TEST_CASE("a kernel of heads by name, captured") {
  Twice forward;
  forward.add("q", DType::BF16, {2, 90, 8, 64});
  forward.add("k", DType::BF16, {2, 130, 2, 64});
  forward.add("v", DType::BF16, {2, 130, 2, 64});
  forward.add("out", DType::BF16, {2, 90, 8, 64});
  for (const char *numbers : {"lse", "row_max", "row_sum"})
    forward.add(numbers, DType::F32, {2, 8, 90});
  CHECK(forward.run({.headDim = 64, .dtype = ElementType::BF16, .mask = {"causal"}},
                    {{"scale", 0.125}, {"qpos", Positions{.first = 40}}, {"kpos", Positions()}},
                    "out") < 1e-2);
}
