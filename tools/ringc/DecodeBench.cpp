#include "tools/ringc/DecodeBench.h"

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/decode/Decode.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/tune/HostPeak.h"
#include "tools/ringc/BenchLines.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/Table.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

namespace ringc::cli {

namespace {

/// A block of normal numbers, again and again.
HostTensor filled(DType dtype, std::vector<int64_t> shape, unsigned seed) {
  constexpr int64_t block = 1 << 20;
  HostTensor made(dtype, shape), some(DType::F32, {block});
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::generate_n(some.dataAs<float>(), block, [&] { return normal(random); });
  for (int64_t at = 0; at < made.elementCount(); at += block) {
    int64_t count = std::min(block, made.elementCount() - at);
    convert(some.view().slice(0, 0, count),
            Tensor(made.dataAs<std::byte>() + at * int64_t(sizeOf(dtype)), dtype, {count}));
  }
  return made;
}

/// Pages in a random order.
HostTensor tableOf(int64_t batch, int64_t pages) {
  HostTensor table(DType::I32, {batch, pages});
  std::span all(table.dataAs<int32_t>(), size_t(table.elementCount()));
  std::iota(all.begin(), all.end(), 0);
  std::ranges::shuffle(all, std::mt19937(5));
  return table;
}

/// Medians; bytes each second of a plain read and a copy of memory are of the same turns, on a
/// host.
struct Timing {
  double milliseconds;
  double read = 0, copied = 0;
};

/// Where a decode is timed.
struct Place {
  std::function<Tensor(const HostTensor &)> put;
  std::function<Timing(const DecodeOptions &, const DecodeInputs &, const Tensor &out,
                       const Tensor &lse, int repeats)>
      time;
};

Place onHost(const AttentionContext &context) {
  auto kept = std::make_shared<std::vector<HostTensor>>();
  auto traffic = std::make_shared<HostTraffic>(*context.pool);
  return {.put = [kept](const HostTensor &tensor) -> Tensor {
            return kept->emplace_back(HostTensor::copyOf(tensor)).view();
          },
          .time =
              [context, traffic](const DecodeOptions &options, const DecodeInputs &inputs,
                                 const Tensor &out, const Tensor &lse, int repeats) {
                HostDecode decode(options, context);
                decode.run(inputs, out, lse);
                std::vector<double> took, read, copied;
                for (int run = 0; run < repeats; ++run) {
                  read.push_back(traffic->read());
                  copied.push_back(traffic->copied());
                  auto start = std::chrono::steady_clock::now();
                  decode.run(inputs, out, lse);
                  took.push_back(std::chrono::duration<double, std::milli>(
                                     std::chrono::steady_clock::now() - start)
                                     .count());
                }
                return Timing{medianOf(took), medianOf(read), medianOf(copied)};
              }};
}

Place onDevice(const DeviceContext &context, const CudaStream &stream) {
  auto kept = std::make_shared<std::vector<DeviceTensor>>();
  return {.put = [kept, &stream](const HostTensor &tensor) -> Tensor {
            return kept->emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
          },
          .time =
              [context, &stream](const DecodeOptions &options, const DecodeInputs &inputs,
                                 const Tensor &out, const Tensor &lse, int repeats) {
                DeviceDecode decode(options, context);
                decode.run(stream, inputs, out, lse);
                // The host must not be what is measured: many calls between two events.
                constexpr int together = 20;
                std::vector<double> took;
                CudaEvent start(stream.device(), CudaEvent::Timing::On),
                    end(stream.device(), CudaEvent::Timing::On);
                for (int run = 0; run < repeats; ++run) {
                  start.record(stream);
                  for (int each = 0; each < together; ++each)
                    decode.run(stream, inputs, out, lse);
                  end.record(stream);
                  end.synchronize();
                  took.push_back(end.since(start) / together);
                }
                return Timing{medianOf(took)};
              }};
}

} // namespace

int benchDecode(const Session &session, const AttentionFlags &flags,
                const std::vector<std::string> &shapes, const std::vector<int64_t> &pageSizes,
                int64_t split, int repeats) {
  AttentionContext host = hostContext(flags.threads, session.details());
  std::optional<DeviceContext> device;
  std::optional<CudaStream> stream;
  if (flags.device == "cuda") {
    device = deviceContext(0, session.details());
    stream.emplace(device->device);
  }
  Place place = device ? onDevice(*device, *stream) : onHost(host);
  std::cout << "shape b,n,h,hkv,d  dtype  page  ms  GB/s of K and V"
            << (device ? "\n" : "  of a read  of a copy  of_read\n");
  for (const std::string &text : shapes) {
    Shape shape = parseShape(text);
    DecodeOptions options;
    options.attention = optionsOf(flags);
    options.split = split;
    AttentionOptions &of = options.attention;
    of.dtype = flags.dtype.empty() ? DType::BF16 : parseFloatType(flags.dtype);
    of.heads = shape.heads;
    of.kvHeads = shape.kvHeads;
    of.headDim = shape.headDim;
    of.valueHeadDim = shape.valueHeadDim;
    int64_t b = shape.batch, n = shape.keys;
    Tensor q = place.put(filled(of.dtype, {b, 1, of.heads, of.headDim}, 1)),
           out = place.put(filled(of.dtype, {b, 1, of.heads, of.valueHeadDim}, 2)),
           lse = place.put(filled(DType::F32, {b, of.heads, 1}, 3)),
           k = place.put(filled(of.dtype, {b, n, of.kvHeads, of.headDim}, 4)),
           v = place.put(filled(of.dtype, {b, n, of.kvHeads, of.valueHeadDim}, 5));
    HostTensor whole(DType::I32, {b});
    std::fill_n(whole.dataAs<int32_t>(), b, int32_t(n));
    Tensor lengths = place.put(whole);
    double bytes = double(k.byteCount() + v.byteCount());
    auto line = [&](const std::string &page, const DecodeInputs &inputs) {
      Timing timing = place.time(options, inputs, out, lse, repeats);
      double read = bytes / timing.milliseconds * 1e3;
      std::cout << text << "  " << nameOf(of.dtype) << "  " << page << "  "
                << number(timing.milliseconds, 4) << "  " << number(read / 1e9, 4);
      if (!device)
        std::cout << "  " << number(timing.read / 1e9, 4) << "  " << number(timing.copied / 1e9, 4)
                  << "  " << number(read / timing.read, 3);
      std::cout << '\n' << std::flush;
    };
    line("-", {.q = q, .k = k, .v = v, .lengths = lengths});
    for (int64_t page : pageSizes) {
      if (n % page)
        throw InputError("page size", std::to_string(page),
                         "a divisor of the " + std::to_string(n) + " keys");
      Tensor table = place.put(tableOf(b, n / page));
      auto pages = [&](const Tensor &tensor) {
        return Tensor(tensor.data(), tensor.dtype(),
                      std::vector<int64_t>{b * n / page, page, tensor.dim(2), tensor.dim(3)});
      };
      line(std::to_string(page),
           {.q = q, .k = pages(k), .v = pages(v), .pageTable = table, .lengths = lengths});
    }
  }
  return Ok;
}

} // namespace ringc::cli
