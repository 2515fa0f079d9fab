// A cache in memory of a device, on the tests' own driver.

#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/support/Error.h"
#include "tests/gpu/CachedSequences.h"
#include "tests/gpu/FakeWorld.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace ringc;
using namespace ringc::test;

namespace {

/// How often the driver was called so since `first`.
int64_t callsSince(size_t first, const std::string &begin) {
  return std::count_if(fake().calls.begin() + int64_t(first), fake().calls.end(),
                       [&](const std::string &call) { return call.starts_with(begin); });
}

} // namespace

TEST_CASE("sequences grow, share and end under a captured decode, alone and over ranks") {
  for (int ranks : {1, 3})
    for (DType dtype : {DType::F32, DType::BF16}) {
      CAPTURE(ranks);
      AttentionOptions options{
          .heads = 4, .kvHeads = 2, .headDim = 16, .dtype = dtype, .causal = true};
      DeviceDecodeRing ring({options}, ranks, fakeWorld());
      CudaStream stream(ring.deviceOf(0).device);
      CachedSequences sequences(options, {.pages = 24, .pageSize = 8, .entries = 3}, ranks, stream,
                                unsigned(ranks));
      ring.run(stream, sequences.calls()); // of empty ones
      CHECK(sequences.areRight());
      CudaGraph graph = stream.capture([&] { ring.run(stream, sequences.calls()); });
      auto step = [&] {
        graph.launch(stream);
        return sequences.areRight();
      };
      sequences.append(0, 33);
      CHECK(step());
      sequences.share(0, 1, 24);
      sequences.append(1, 3);
      sequences.append(0, 1);
      CHECK(step());
      sequences.append(2, 50);
      sequences.free(0); // of its pages entry 1 has three
      CHECK(step());
      sequences.append(0, 40); // in pages that were another's
      for (int token = 0; token < 10; ++token)
        for (int64_t entry : {0, 1, 2})
          sequences.append(entry, 1);
      CHECK(step());
      for (int64_t entry : {0, 1, 2})
        sequences.free(entry);
      CHECK(step());
    }
}

TEST_CASE("what is appended goes in the stream's order, and nobody waits") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  KvCache cache({.pages = 4, .pageSize = 8, .kvHeads = 2, .headDim = 16, .entries = 2}, stream);
  HostTensor k(DType::F32, {1, 2, 16}), q(DType::F32, {2, 1, 4, 16}); // the fake's memory is ours
  stream.synchronize();
  k.dataAs<float>()[0] = 5;
  DecodeInputs inputs = cache.inputs(q);
  const auto *length = inputs.lengths->dataAs<int32_t>(),
             *page = inputs.pageTable->dataAs<int32_t>();
  size_t first = fake().calls.size();
  cache.append(0, k, k);
  CHECK(callsSince(first, "cuMemcpyHtoD") + callsSince(first, "cuMemAlloc") +
            callsSince(first, "cuStreamSynchronize") ==
        0);
  CHECK(callsSince(first, "cuMemcpy") == 2);
  CHECK(callsSince(first, "cuMemset") == 2); // a page, a length
  CHECK(cache.length(0) == 1);
  CHECK(*length == 0); // it runs later
  CHECK(*page == -1);
  stream.synchronize();
  CHECK(*length == 1);
  CHECK(*page == 0);
  CHECK(*inputs.k.dataAs<float>() == 5);
}

TEST_CASE("tokens of pages that follow each other are one copy") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  KvCache cache({.pages = 40, .pageSize = 8, .kvHeads = 2, .headDim = 16, .pagesOfEntry = 40},
                stream);
  HostTensor k(DType::F32, {300, 2, 16});
  size_t first = fake().calls.size();
  cache.append(0, k, k);
  CHECK(callsSince(first, "cuMemcpy") == 2);
  cache.free(0);
  first = fake().calls.size();
  cache.append(0, k, k);
  CHECK(callsSince(first, "cuMemcpy") == 2);
  stream.synchronize();
}

TEST_CASE("what a cache on a device refuses, and that it changes nothing") {
  DeviceContext device = fakeWorld().front();
  CudaStream stream(device.device);
  KvCache cache({.pages = 2, .pageSize = 8, .kvHeads = 2, .headDim = 16, .entries = 2}, stream);
  HostTensor rows(DType::F32, {17, 2, 16}), wide(DType::F32, {4, 2, 32});
  auto message = [&](const Tensor &k) -> std::string {
    try {
      cache.append(0, k, k);
    } catch (const InputError &error) {
      return error.what();
    }
    return "";
  };
  size_t first = fake().calls.size();
  CHECK(message(rows) == "pages for entry 0: got 3, allowed: 2, the free ones");
  Tensor apart(wide.data(), DType::F32, std::vector<int64_t>{4, 2, 16},
               std::vector<int64_t>{64, 32, 2});
  CHECK(message(apart).starts_with("k"));
  CHECK(fake().calls.size() == first);
  CHECK(cache.freePages() == 2);
  CHECK(cache.length(0) == 0);
  CHECK(message(rows.view().slice(0, 0, 16)) == "");
}
