#include "ringc/decode/KvMemory.h"

#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/attention/device/DeviceTensor.h"

#include <algorithm>
#include <deque>

namespace ringc {

namespace {

class HostKvMemory final : public KvMemory {
public:
  Tensor allocate(DType dtype, std::span<const int64_t> shape) override {
    return held.emplace_back(dtype, shape);
  }
  void copy(const Tensor &from, const Tensor &to) override { ringc::copy(from, to); }
  void fill(const Tensor &tensor, int32_t number) override {
    std::fill_n(tensor.dataAs<int32_t>(), tensor.elementCount(), number);
  }

private:
  std::deque<HostTensor> held;
};

class DeviceKvMemory final : public KvMemory {
public:
  explicit DeviceKvMemory(const CudaStream &order) : stream(order) {}

  Tensor allocate(DType dtype, std::span<const int64_t> shape) override {
    return held.emplace_back(stream.device(), dtype, shape);
  }
  void copy(const Tensor &from, const Tensor &to) override { copyOnDevice(stream, from, to); }
  void fill(const Tensor &tensor, int32_t number) override {
    fillOnDevice(stream, tensor, uint32_t(number));
  }

private:
  const CudaStream &stream;
  std::deque<DeviceTensor> held;
};

} // namespace

std::unique_ptr<KvMemory> hostKvMemory() { return std::make_unique<HostKvMemory>(); }
std::unique_ptr<KvMemory> deviceKvMemory(const CudaStream &stream) {
  return std::make_unique<DeviceKvMemory>(stream);
}

} // namespace ringc
