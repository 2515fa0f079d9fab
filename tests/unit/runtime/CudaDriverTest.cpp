#include "ringc/comm/NcclLibrary.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/driver/CudaModule.h"
#include "tests/unit/runtime/CudaFake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <dlfcn.h>

using namespace ringc;

namespace {

CudaFake &cleanFake() {
  void *library = dlopen(RINGC_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  auto get = reinterpret_cast<CudaFake *(*)()>(dlsym(library, cudaFakeSymbol));
  REQUIRE(bool(get));
  *get() = {};
  return *get();
}

std::shared_ptr<const CudaDevice> openFake() {
  return std::make_shared<CudaDevice>(CudaDriver::open(RINGC_FAKE_CUDA), 0);
}

template <typename Error, typename Body> std::string messageOf(Body &&body) {
  try {
    body();
  } catch (const Error &error) {
    return error.what();
  }
  return "nothing thrown";
}

bool contains(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

using Calls = std::vector<std::string>;

} // namespace

TEST_CASE("without a driver the message says what, where and what to do") {
  std::string message = messageOf<CudaError>([] { CudaDriver::open("/nowhere/libcuda.so.1"); });
  CAPTURE(message);
  CHECK(contains(message, "no CUDA driver: /nowhere/libcuda.so.1: cannot open"));
  CHECK(contains(message, "RINGC_CUDA_LIBRARY"));
  CHECK(contains(message, "install NVIDIA's driver"));
}

TEST_CASE("without NCCL the message says what, where and what to do") {
  std::string message = messageOf<NcclError>([] { NcclLibrary::open("/nowhere/libnccl.so.2"); });
  CAPTURE(message);
  CHECK(contains(message, "no NCCL: /nowhere/libnccl.so.2: cannot open"));
  CHECK(contains(message, "RINGC_NCCL_LIBRARY"));
}

TEST_CASE("a library that is not the driver is an error that names the first missing symbol") {
  std::string message = messageOf<NcclError>([] { NcclLibrary::open(RINGC_FAKE_CUDA); });
  CAPTURE(message);
  CHECK(contains(message, "has no ncclGetVersion"));
}

TEST_CASE("without a device the message says so") {
  cleanFake().devices = 0;
  std::string message = messageOf<CudaError>([] { CudaDriver::open(RINGC_FAKE_CUDA); });
  CAPTURE(message);
  CHECK(contains(message, "no CUDA device: "));
}

TEST_CASE("links between devices") {
  cleanFake().devices = 3;
  auto driver = CudaDriver::open(RINGC_FAKE_CUDA);
  CHECK(driver->link(1, 0).peerAccess);
  CHECK(driver->link(1, 0).describe() == "peer access, native atomics (NVLink), rank 0");
  CHECK(driver->link(0, 2).describe() == "no peer access, copies go through the host");
  CHECK(CudaLink{.peerAccess = true, .performanceRank = 1}.describe() == "peer access, rank 1");
}

TEST_CASE("facts of a device") {
  cleanFake();
  auto driver = CudaDriver::open(RINGC_FAKE_CUDA);
  CHECK(driver->cudaVersion() == "13.0");
  CudaDeviceFacts facts = driver->facts(0);
  CHECK(facts.describe() == "device 0 (Imaginary GPU)");
  CHECK(facts.sm == 86);
  CHECK(facts.multiprocessors == 108);
  CHECK(facts.sharedBytesPerBlock == 99 * 1024);
  CHECK(messageOf<CudaError>([&] { driver->facts(1); }) == "CUDA device: got 1, allowed: 0 to 0");
}

TEST_CASE("the context outlives all that was made on it") {
  CudaFake &fake = cleanFake();
  {
    DeviceMemory memory;
    CudaStream stream(openFake());
    memory = DeviceMemory(stream.device(), 64);
    CudaEvent event(stream.device());
    DeviceMemory moved = std::move(memory);
    CHECK(memory.data() == nullptr);
    CHECK(moved.data() != nullptr);
  }
  CHECK(fake.liveObjects == 0);
  CHECK(fake.calls == Calls{"cuInit", "cuDevicePrimaryCtxRetain", "flags 1", "cuStreamCreate",
                            "cuMemAlloc 64", "flags 2", "cuEventCreate", "cuMemFree",
                            "cuEventDestroy", "cuStreamDestroy", "cuDevicePrimaryCtxRelease"});
}

TEST_CASE("the thread gets back the context that it had") {
  cleanFake();
  auto device = openFake();
  auto users = reinterpret_cast<CudaContext>(uintptr_t(0x77));
  CudaContext current = nullptr;
  device->functions().ctxSetCurrent(users);
  {
    CudaCurrent here(*device), again(*device);
    device->functions().ctxGetCurrent(&current);
    CHECK(current == device->context());
  }
  device->functions().ctxGetCurrent(&current);
  CHECK(current == users);
}

TEST_CASE("the user's stream is used and not destroyed") {
  CudaFake &fake = cleanFake();
  auto device = openFake();
  {
    CudaStream stream(device, nullptr);
    CHECK(stream.handle() == nullptr);
    stream.synchronize();
  }
  CHECK(fake.calls.back() == "cuStreamSynchronize");
}

TEST_CASE("out of memory says what was asked and what is free") {
  CudaFake &fake = cleanFake();
  auto device = openFake();
  fake.failing = "cuMemAlloc";
  fake.failure = CudaResult::OutOfMemory;
  CHECK(messageOf<CudaError>([&] { DeviceMemory memory(device, int64_t(5) << 30); }) ==
        "cuMemAlloc of 5.0 GiB (5368709120 bytes) (free: 3.0 MiB (3145728 bytes) of 80.0 GiB "
        "(85899345920 bytes)) on device 0 (Imaginary GPU): CUDA_ERROR_OUT_OF_MEMORY: out of "
        "memory");
}

TEST_CASE("copies and fills") {
  cleanFake();
  CudaStream stream(openFake());
  DeviceMemory first(stream.device(), 16), second(stream, 16);
  std::array<uint32_t, 4> in = {1, 2, 3, 4}, out{};
  stream.upload(first.data(), in.data(), 16);
  stream.copy(second.data(), first.data(), 16);
  stream.clear(second.data(), 4);
  stream.fill(static_cast<std::byte *>(second.data()) + 12, 0xff800000u, 1);
  stream.download(out.data(), second.data(), 16);
  stream.synchronize();
  CHECK(out == std::array<uint32_t, 4>{0, 2, 3, 0xff800000u});
}

TEST_CASE("a module that does not load shows the driver's log") {
  CudaFake &fake = cleanFake();
  auto device = openFake();
  fake.failing = "cuModuleLoadDataEx";
  fake.failure = CudaResult(218);
  std::string message = messageOf<CudaError>([&] { CudaModule module(device, "nonsense", "m"); });
  CAPTURE(message);
  CHECK(contains(message, "cuModuleLoadDataEx of m on device 0 (Imaginary GPU): CUDA_ERROR_OTHER"));
  CHECK(contains(message, "ptxas: cannot parse nonsense"));
}

TEST_CASE("a launch passes its slots as one parameter") {
  CudaFake &fake = cleanFake();
  fake.kernels = {{"kernel"}};
  fake.slotCount = 3;
  CudaStream stream(openFake());
  CudaModule module(stream.device(), "ptx", "m");
  CHECK(contains(messageOf<CudaError>([&] { (void)module.function("other"); }), "other in m"));
  CudaFunction kernel = module.function("kernel");
  kernel.allowSharedBytes(98304);
  CHECK(fake.calls.back() == "cuFuncSetAttribute 8 98304");
  std::array<uint64_t, 3> slots = {7, 8, 9};
  kernel.launch(stream, {.blocks = {5, 4, 3}, .threads = 128, .sharedBytes = 98304}, slots);
  CHECK(fake.calls.back() == "cuLaunchKernelEx 5 4 3 128 1 1 98304 0");
  CHECK(fake.slots == std::vector<uint64_t>{7, 8, 9});
  size_t before = fake.calls.size();
  kernel.launch(stream, {.blocks = {5, 0, 3}}, slots);
  CHECK(fake.calls.size() == before);
  CHECK(contains(
      messageOf<CudaError>([&] { kernel.launch(stream, {.blocks = {1, 65536, 1}}, slots); }),
      "kernel <<<1 x 65536 x 1"));
}

TEST_CASE("captured work is replayed; a failure inside ends the capture") {
  CudaFake &fake = cleanFake();
  {
    CudaStream stream(openFake());
    DeviceMemory memory(stream.device(), 8);
    CudaGraph graph = stream.capture([&] { stream.clear(memory.data(), 8); });
    graph.launch(stream);
    CHECK(Calls(fake.calls.end() - 6, fake.calls.end()) ==
          Calls{"cuStreamBeginCapture 1", "cuMemsetD8Async 0 8", "cuStreamEndCapture", "flags 0",
                "cuGraphInstantiate", "cuGraphLaunch"});
    CHECK(messageOf<CudaError>([&] { stream.capture([] { throw CudaError("stop"); }); }) == "stop");
    CHECK(Calls(fake.calls.end() - 2, fake.calls.end()) ==
          Calls{"cuStreamEndCapture", "cuGraphDestroy"});
  }
  CHECK(fake.liveObjects == 0);
}

TEST_CASE("events measure time") {
  cleanFake();
  CudaStream stream(openFake());
  CudaEvent start(stream.device(), CudaEvent::Timing::On),
      end(stream.device(), CudaEvent::Timing::On);
  start.record(stream);
  end.record(stream);
  end.synchronize();
  CHECK(end.isDone());
  CHECK(end.since(start) == doctest::Approx(2.5));
}

TEST_CASE("a stream may come before others") {
  CudaFake &fake = cleanFake();
  CudaStream stream(openFake(), CudaStream::Priority::Highest);
  CHECK(Calls(fake.calls.end() - 3, fake.calls.end()) ==
        Calls{"flags 1", "priority -5", "cuStreamCreateWithPriority"});
}
