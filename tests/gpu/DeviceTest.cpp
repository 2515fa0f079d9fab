// The driver's owners on a real device.

#include "ringc/Env.h"
#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/driver/CudaMemory.h"

#include <doctest/doctest.h>

#include <limits>

using namespace ringc;

namespace {

std::shared_ptr<const CudaDevice> device() {
  static auto shared =
      std::make_shared<const CudaDevice>(CudaDriver::open(Env::read().cudaLibrary), 0);
  return shared;
}

HostTensor counting(int64_t count, float step) {
  HostTensor made(DType::F32, {count});
  for (int64_t i = 0; i < count; ++i)
    made.dataAs<float>()[i] = step * float(i);
  return made;
}

} // namespace

TEST_CASE("copies, fills and sums arrive") {
  CudaStream stream(device());
  constexpr int64_t count = 1000003;
  HostTensor ones = counting(count, 1), twos = counting(count, 2);
  DeviceTensor sum = DeviceTensor::copyOf(stream, ones), part = DeviceTensor::copyOf(stream, twos);
  DeviceElementwise(device()).add(stream, part, sum);
  HostTensor out = sum.download(stream);
  int64_t wrong = 0;
  for (int64_t i = 0; i < count; ++i)
    wrong += out.dataAs<float>()[i] != ones.dataAs<float>()[i] + twos.dataAs<float>()[i];
  CHECK(wrong == 0);
  stream.fill(sum.view().data(), 0xff800000, 3);
  stream.clear(static_cast<float *>(sum.view().data()) + 3, 8);
  stream.copy(static_cast<float *>(sum.view().data()) + 5, part.view().data(), 4 * (count - 5));
  out = sum.download(stream);
  constexpr float minusInfinity = -std::numeric_limits<float>::infinity();
  CHECK(out.dataAs<float>()[2] == minusInfinity);
  CHECK(out.dataAs<float>()[3] == 0);
  CHECK(out.dataAs<float>()[4] == 0);
  CHECK(out.dataAs<float>()[count - 1] == float(2 * (count - 6)));
}

TEST_CASE("memory in the order of a stream") {
  CudaStream stream(device());
  DeviceMemory first(stream, 1 << 20), second = std::move(first);
  stream.clear(second.data(), second.bytes());
  second = {};
  stream.synchronize();
  CHECK(stream.isIdle());
}

TEST_CASE("captured work runs as often as it is launched") {
  CudaStream stream(device());
  constexpr int64_t count = 1000;
  DeviceTensor sum = DeviceTensor::copyOf(stream, counting(count, 0)),
               part = DeviceTensor::copyOf(stream, counting(count, 1));
  DeviceElementwise elementwise(device());
  CudaGraph graph = stream.capture([&] { elementwise.add(stream, part, sum); });
  for (int i = 0; i < 3; ++i)
    graph.launch(stream);
  CHECK(sum.download(stream).dataAs<float>()[999] == 3 * 999);
}

TEST_CASE("events measure what lies between them") {
  CudaStream stream(device());
  CudaEvent start(device(), CudaEvent::Timing::On), end(device(), CudaEvent::Timing::On);
  DeviceMemory memory(device(), 64 << 20);
  start.record(stream);
  stream.clear(memory.data(), memory.bytes());
  end.record(stream);
  end.synchronize();
  CHECK(end.isDone());
  CHECK(end.since(start) > 0);
}

TEST_CASE("a thread keeps the context that it has") {
  CudaContext before = nullptr, after = nullptr;
  device()->functions().ctxGetCurrent(&before);
  CudaStream(device()).synchronize();
  device()->functions().ctxGetCurrent(&after);
  CHECK(before == after);
}

TEST_CASE("errors say what the driver says") {
  auto messageOf = [](auto &&body) {
    try {
      body();
    } catch (const CudaError &error) {
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  std::string memory = messageOf([] { DeviceMemory(device(), int64_t(1) << 46); });
  CHECK(memory.find("CUDA_ERROR_OUT_OF_MEMORY") != memory.npos);
  CHECK(memory.find("free: ") != memory.npos);
  std::string module = messageOf([] {
    CudaModule(device(), ".version 8.0\n.target sm_80\n.address_size 64\nnonsense", "text");
  });
  CAPTURE(module);
  CHECK(module.find("cuModuleLoadDataEx of text") != module.npos);
  CHECK(module.find("nonsense") != module.npos);
}

TEST_CASE("a kernel's parameter is as large as its slots") {
  CudaModule module(device(),
                    ".version 8.0\n.target sm_80\n.address_size 64\n"
                    ".visible .entry three(.param .align 8 .b8 slots[24]) { ret; }\n",
                    "text");
  CudaFunction three = module.function("three");
  three.checkSlots(3);
  if (device()->functions().funcGetParamInfo)
    CHECK_THROWS_AS(three.checkSlots(4), CudaError);
  CHECK(three.localBytes() == 0);
  three.allowSharedBytes(100 << 10 <= device()->facts().sharedBytesPerBlock ? 100 << 10 : 64 << 10);
}
