#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/decode/DecodeCall.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/support/Error.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
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
    const AttentionOptions &of = options.attention;
    DecodeCall call(options, inputs, {}, lengthsOf(stream, inputs),
                    {.compiled =
                         [&](const Spec &spec) {
                           return context.kernels->get(spec, *sources, {.table = of.tune}).kernel;
                         },
                     .place = [&](const std::string &name, const Tensor &onHost) -> Tensor {
                       auto known = placed.find(name);
                       if (known == placed.end())
                         known = placed.emplace(name, DeviceTensor::copyOf(stream, onHost)).first;
                       return known->second;
                     }});
    // Programs of one warp: some for each of a multiprocessor's schedulers.
    constexpr int64_t programsOfMultiprocessor = 8;
    DecodeCall::Parts cut =
        call.parts(context.device->facts().multiprocessors * programsOfMultiprocessor);
    Tensor parts = partMemory.tensor(
               context.device, DType::F32,
               {cut.count, call.batch(), call.queries(), of.heads, of.valueHeadDim}),
           logs = logMemory.tensor(context.device, DType::F32,
                                   {cut.count, call.batch(), of.heads, call.queries()});
    launch(DeviceKernel(context, *sources, call.spec(), of.tune), call.views(parts, logs),
           call.values(cut), stream);
    launch(DeviceKernel(context, *sources, mergeSpecOf(of, of.dtype), of.tune),
           {{"parts", parts}, {"logs", logs}, {"out", out}, {"lse", lse}}, {}, stream);
  }

private:
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
