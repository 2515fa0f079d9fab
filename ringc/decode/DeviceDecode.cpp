#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/decode/DecodeCall.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ringc {

namespace {

/// Memory of a device that grows.
class KeptDeviceMemory {
public:
  Tensor tensor(const std::shared_ptr<const CudaDevice> &device, DType dtype,
                const std::vector<int64_t> &shape) {
    int64_t bytes = Tensor(nullptr, dtype, shape).byteCount();
    if (bytes > memory.bytes())
      memory = DeviceMemory(device, bytes);
    return {memory.data(), dtype, shape};
  }

private:
  DeviceMemory memory;
};

} // namespace

class DeviceDecode::Impl {
public:
  Impl(DecodeOptions given, DeviceContext shared)
      : options(std::move(given)), context(std::move(shared)) {
    validate(options.attention);
    options.attention = completed(options.attention);
    sources.emplace(context.kernels->sources(userSources(options.attention)));
  }

  void run(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &out,
           const Tensor &lse) {
    Tensor lengths = lengthsOf(stream, inputs);
    if (!prepared || !prepared->isOf(inputs, lengths, out, lse))
      prepare(stream, inputs, lengths, out, lse);
    prepared->attend.run(stream);
    prepared->merge.run(stream);
  }

private:
  /// The launches of a call, for the next one with the same tensors, as each step of a model has
  /// them.
  struct Prepared {
    DecodeInputs inputs;
    Tensor lengths, out, lse;
    DeviceKernelLaunch attend, merge;

    bool isOf(const DecodeInputs &others, const Tensor &itsLengths, const Tensor &itsOut,
              const Tensor &itsLse) const {
      return isSame(inputs.q, others.q) && isSame(inputs.k, others.k) &&
             isSame(inputs.v, others.v) &&
             inputs.pageTable.has_value() == others.pageTable.has_value() &&
             (!inputs.pageTable || isSame(*inputs.pageTable, *others.pageTable)) &&
             isSame(lengths, itsLengths) && isSame(out, itsOut) && isSame(lse, itsLse) &&
             std::ranges::equal(inputs.arguments, others.arguments, isSameArgument);
    }
  };

  static bool isSame(const Tensor &a, const Tensor &b) {
    return a.data() == b.data() && a.dtype() == b.dtype() &&
           std::ranges::equal(a.shape(), b.shape()) && std::ranges::equal(a.strides(), b.strides());
  }
  static bool isSameArgument(const std::pair<const std::string, ArgumentValue> &a,
                             const std::pair<const std::string, ArgumentValue> &b) {
    if (a.first != b.first || a.second.index() != b.second.index())
      return false;
    if (auto *tensor = std::get_if<Tensor>(&a.second))
      return isSame(*tensor, std::get<Tensor>(b.second));
    if (auto *integer = std::get_if<int64_t>(&a.second))
      return *integer == std::get<int64_t>(b.second);
    if (auto *real = std::get_if<double>(&a.second))
      return *real == std::get<double>(b.second);
    return std::get<bool>(a.second) == std::get<bool>(b.second);
  }

  /// Two tiles of K and V each that are on their way let six programs share a multiprocessor, whose
  /// loads hide each other's latency (docs/performance.md).
  int64_t keysOfTile() const {
    constexpr int64_t elements = 4 << 10; // 8 KiB of 16-bit ones
    int64_t row = std::max(options.attention.headDim, options.attention.valueHeadDim);
    return std::clamp<int64_t>(int64_t(std::bit_floor(uint64_t(elements / row))), 16, 64);
  }

  void prepare(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &lengths,
               const Tensor &out, const Tensor &lse) {
    const AttentionOptions &of = options.attention;
    DecodeCall call(options, inputs, {}, lengths,
                    {.compiled =
                         [&](const Spec &spec) {
                           return context.kernels->get(spec, *sources, {.table = of.tune}).kernel;
                         },
                     .place = [&](const std::string &name, const Tensor &onHost) -> Tensor {
                       auto known = placed.find(name);
                       if (known == placed.end())
                         known = placed.emplace(name, DeviceTensor::copyOf(stream, onHost)).first;
                       return known->second;
                     },
                     .keysOfTile = keysOfTile()});
    constexpr int64_t programsOfMultiprocessor = 6;
    DecodeCall::Parts cut =
        call.parts(context.device->facts().multiprocessors * programsOfMultiprocessor);
    prepared.reset(); // before the memory that it uses
    Tensor parts = partMemory.tensor(
               context.device, DType::F32,
               {cut.count, call.batch(), call.queries(), of.heads, of.valueHeadDim}),
           logs = logMemory.tensor(context.device, DType::F32,
                                   {cut.count, call.batch(), of.heads, call.queries()});
    DeviceKernelLaunch attend = DeviceKernel(context, *sources, call.spec(), of.tune)
                                    .bind(call.views(parts, logs), call.values(cut)),
                       merge =
                           DeviceKernel(context, *sources, mergeSpecOf(of, of.dtype), of.tune)
                               .bind(
                                   {{"parts", parts}, {"logs", logs}, {"out", out}, {"lse", lse}});
    prepared.emplace(Prepared{inputs, lengths, out, lse, std::move(attend), std::move(merge)});
  }

  Tensor lengthsOf(const CudaStream &stream, const DecodeInputs &inputs) {
    if (inputs.lengths)
      return *inputs.lengths;
    if (inputs.pageTable)
      throw InputError("lengths", "none", "i32 [b], with a page table");
    if (inputs.q.rank() != 4 || inputs.k.rank() != 4)
      return Tensor();
    Tensor whole = lengthMemory.tensor(context.device, DType::I32, {inputs.q.dim(0)});
    stream.fill(whole.data(), uint32_t(inputs.k.dim(1)), inputs.q.dim(0));
    return whole;
  }

  DecodeOptions options;
  DeviceContext context;
  std::optional<SourceSet> sources;
  KeptDeviceMemory partMemory, logMemory, lengthMemory;
  std::map<std::string, DeviceTensor> placed;
  std::optional<Prepared> prepared;
};

DeviceDecode::DeviceDecode(DecodeOptions options, DeviceContext context)
    : self(std::make_unique<Impl>(std::move(options), std::move(context))) {}
DeviceDecode::~DeviceDecode() = default;
DeviceDecode::DeviceDecode(DeviceDecode &&) noexcept = default;
DeviceDecode &DeviceDecode::operator=(DeviceDecode &&) noexcept = default;

void DeviceDecode::run(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &out,
                       const Tensor &lse) {
  self->run(stream, inputs, out, lse);
}

} // namespace ringc
