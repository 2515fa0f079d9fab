// Decoding on a device beside the host's, which is tested against double precision.

#include "ringc/decode/Decode.h"

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/DecodeCase.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

using namespace ringc;

namespace {

HostTensor normal(DType dtype, std::vector<int64_t> shape, std::mt19937 &random) {
  HostTensor values(DType::F32, shape), made(dtype, shape);
  std::normal_distribution<float> draw;
  std::generate_n(values.dataAs<float>(), values.elementCount(), [&] { return draw(random); });
  convert(values, made);
  return made;
}

} // namespace

TEST_CASE("a decode on a device is the host's, with pages of any size and any group of heads") {
  DeviceContext device = deviceContext(0);
  AttentionContext host = hostContext();
  CudaStream stream(device.device);
  std::mt19937 random(1);
  for (DType dtype : {DType::BF16, DType::F32})
    for (int64_t dim : {64, 80, 128})
      for (int64_t page : {0, 7, 16, 64})
        for (int64_t kvHeads : {1, 4, 8}) {
          CAPTURE(nameOf(dtype));
          CAPTURE(dim);
          CAPTURE(page);
          CAPTURE(kvHeads);
          constexpr int64_t rows = 700, batch = 3, queries = 2;
          AttentionOptions options{.heads = 8,
                                   .kvHeads = kvHeads,
                                   .headDim = dim,
                                   .dtype = dtype,
                                   .causal = true,
                                   .alibi = page == 16};
          int64_t pages = page ? (rows + page - 1) / page : 1, pool = batch * pages;
          std::vector<int64_t> shape = page ? std::vector<int64_t>{pool, page, kvHeads, dim}
                                            : std::vector<int64_t>{batch, rows, kvHeads, dim};
          HostTensor q = normal(dtype, {batch, queries, 8, dim}, random),
                     k = normal(dtype, shape, random), v = normal(dtype, shape, random),
                     table(DType::I32, {batch, pages}), lengths(DType::I32, {batch});
          std::span all(table.dataAs<int32_t>(), size_t(pool));
          std::iota(all.begin(), all.end(), 0);
          std::ranges::shuffle(all, random);
          std::ranges::copy(std::vector<int32_t>{700, 333, 0}, lengths.dataAs<int32_t>());
          for (HostTensor *each : {&k, &v}) // what is not to be seen may hold anything
            for (int64_t entry = 0; page && entry < batch; ++entry)
              for (int64_t row = lengths.dataAs<int32_t>()[entry]; row < pages * page; ++row) {
                Tensor hidden = each->view()
                                    .select(0, all[size_t(entry * pages + row / page)])
                                    .select(0, row % page);
                HostTensor nan(DType::F32, hidden.shape());
                std::fill_n(nan.dataAs<float>(), nan.elementCount(),
                            std::numeric_limits<float>::quiet_NaN());
                convert(nan, hidden);
              }
          HostTensor out(dtype, q.shape()), lse(DType::F32, {batch, 8, queries});
          DecodeInputs inputs{.q = q, .k = k, .v = v, .lengths = lengths.view()};
          if (page)
            inputs.pageTable = table.view();
          HostDecode({options}, host).run(inputs, out, lse);

          std::vector<DeviceTensor> memory;
          memory.reserve(5);
          auto put = [&](const Tensor &tensor) -> Tensor {
            return memory.emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
          };
          DecodeInputs placed{.q = put(q), .k = put(k), .v = put(v), .lengths = put(lengths)};
          if (page)
            placed.pageTable = put(table);
          DeviceTensor ownOut(device.device, dtype, out.shape()),
              ownLse(device.device, DType::F32, lse.shape());
          DeviceDecode({options}, device).run(stream, placed, ownOut, ownLse);
          CHECK(reference::relativeError(reference::arrayOf(ownOut.download(stream)),
                                         reference::arrayOf(out)) <
                (dtype == DType::F32 ? 3e-5 : 1e-2));
          CHECK(reference::relativeError(reference::arrayOf(ownLse.download(stream)),
                                         reference::arrayOf(lse)) <
                (dtype == DType::F32 ? 3e-6 : 1e-3));
        }
}

TEST_CASE("pages that are nowhere hide their keys on a device") {
  DeviceContext device = deviceContext(0);
  uint64_t seed = 1;
  for (DType dtype : {DType::F32, DType::BF16})
    for (int64_t page : {1, 7, 16, 64, 200})
      for (bool causal : {false, true}) {
        cli::DecodeCase given;
        given.options.attention = {
            .heads = 4, .kvHeads = 2, .headDim = 64, .dtype = dtype, .causal = causal};
        given.queries = 3;
        given.rows = 700;
        given.lengths = {700, 0, 1, 650};
        given.page = page;
        given.missingPages = true;
        given.seed = seed++;
        CAPTURE(given.name());
        for (const cli::DecodeError &each : cli::DecodeCheck(given).onDevice(device))
          CHECK(each.ours <= each.bar);
      }
}
