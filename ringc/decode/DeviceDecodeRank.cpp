#include "ringc/decode/DeviceDecodeRank.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/decode/DecodeCall.h"
#include "ringc/decode/RankParts.h"
#include "ringc/driver/CudaStream.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <variant>

namespace ringc {

namespace {

/// Calls that are kept.
constexpr size_t most = 64;

bool isSame(const Tensor &a, const Tensor &b) {
  return a.data() == b.data() && a.dtype() == b.dtype() &&
         std::ranges::equal(a.shape(), b.shape()) && std::ranges::equal(a.strides(), b.strides());
}
bool isSame(const std::optional<Tensor> &a, const std::optional<Tensor> &b) {
  return a.has_value() == b.has_value() && (!a || isSame(*a, *b));
}
bool isSameArgument(const std::pair<const std::string, ArgumentValue> &a,
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

/// How many a device runs at once: programs of one warp, which its shared memory limits. All that
/// it holds are needed: their loads hide each other's latency (docs/performance.md).
int64_t programsAtOnce(const CudaDeviceFacts &device, const CompiledKernel &kernel) {
  constexpr int64_t reserved = 1 << 10; // bytes of each block
  constexpr int64_t byRegisters = 16;
  int64_t ofOne = std::clamp<int64_t>(
      (device.sharedBytesPerBlock + reserved) / (kernel.sharedBytes + reserved), 1, byRegisters);
  return device.multiprocessors * ofOne;
}

/// Two tiles of K and V each are on their way: so small that six programs share a multiprocessor.
int64_t keysOfTile(const AttentionOptions &of) {
  constexpr int64_t elements = 4 << 10; // 8 KiB of 16-bit ones
  int64_t row = std::max(of.headDim, of.valueHeadDim);
  return std::clamp<int64_t>(int64_t(std::bit_floor(uint64_t(elements / row))), 16, 64);
}

} // namespace

bool DeviceDecodeCall::isSameAs(const DeviceDecodeCall &other) const {
  const DecodeInputs &a = inputs, &b = other.inputs;
  return isSame(a.q, b.q) && isSame(a.k, b.k) && isSame(a.v, b.v) &&
         isSame(a.pageTable, b.pageTable) && isSame(a.lengths, b.lengths) &&
         std::ranges::equal(a.arguments, b.arguments, isSameArgument) && keys == other.keys &&
         isSame(out, other.out) && isSame(lse, other.lse) && rank == other.rank &&
         ranks == other.ranks;
}

DeviceDecodeRank::DeviceDecodeRank(DecodeOptions given, DeviceContext context)
    : options((validate(given.attention), std::move(given))), on(std::move(context)),
      sources(on.kernels->sources(userSources(options.attention))) {
  options.attention = completed(options.attention);
}

const PreparedDecode &DeviceDecodeRank::prepared(const CudaStream &stream,
                                                 const DeviceDecodeCall &call) {
  auto found = std::ranges::find_if(
      known, [&](const PreparedDecode &each) { return each.call.isSameAs(call); });
  if (found == known.end())
    return prepare(stream, call);
  known.splice(known.begin(), known, found);
  return known.front();
}

/// Calls share it, in the order of the stream.
void *DeviceDecodeRank::memory(DeviceMemory &kept, int64_t bytes) {
  if (bytes > kept.bytes()) {
    known.clear(); // which use it
    kept = DeviceMemory(on.device, bytes);
  }
  return kept.data();
}

Tensor DeviceDecodeRank::tensor(DeviceMemory &kept, DType dtype,
                                const std::vector<int64_t> &shape) {
  return {memory(kept, Tensor(nullptr, dtype, shape).byteCount()), dtype, shape};
}

DeviceKernelLaunch DeviceDecodeRank::mergeOf(DType dtype, const Tensor &parts, const Tensor &logs,
                                             const Tensor &out, const Tensor &lse) const {
  const AttentionOptions &of = options.attention;
  return DeviceKernel(on, sources, mergeSpecOf(of, dtype), of.tune)
      .bind({{"parts", parts}, {"logs", logs}, {"out", out}, {"lse", lse}});
}

const PreparedDecode &DeviceDecodeRank::prepare(const CudaStream &stream,
                                                const DeviceDecodeCall &given) {
  const AttentionOptions &of = options.attention;
  const DecodeInputs &inputs = given.inputs;
  DecodePlace place = DecodePlace::of(options, inputs, given.keys, given.ranks);
  Tensor lengths = place.length ? tensor(lengthMemory, DType::I32, {inputs.q.dim(0)})
                                : inputs.lengths.value_or(Tensor());
  DecodeCall call(options, inputs, place.keys, lengths,
                  {.compiled =
                       [&](const Spec &spec) {
                         return on.kernels->get(spec, sources, {.table = of.tune}).kernel;
                       },
                   .place = [&](const std::string &name, const Tensor &onHost) -> Tensor {
                     auto there = placed.find(name);
                     if (there == placed.end())
                       there = placed.emplace(name, DeviceTensor::copyOf(stream, onHost)).first;
                     return there->second;
                   },
                   .keysOfTile = keysOfTile(of),
                   .memory = Memory::Device});
  call.checkResults(given.out, given.lse);
  DecodeCall::Parts cut = call.parts(programsAtOnce(
      on.device->facts(), *on.kernels->get(call.spec(), sources, {.table = of.tune}).kernel));
  RankParts exchanged(given.ranks, {call.batch(), call.queries(), of.heads, of.valueHeadDim});
  void *ofRanks = given.ranks > 1 ? memory(rankMemory, exchanged.bytes()) : nullptr;
  Tensor parts = tensor(partMemory, DType::F32,
                        {cut.count, call.batch(), call.queries(), of.heads, of.valueHeadDim}),
         logs = tensor(logMemory, DType::F32, {cut.count, call.batch(), of.heads, call.queries()});
  DeviceKernelLaunch attend = DeviceKernel(on, sources, call.spec(), of.tune)
                                  .bind(call.views(parts, logs), call.values(cut));
  if (given.ranks == 1) {
    DeviceKernelLaunch merge = mergeOf(of.dtype, parts, logs, given.out, given.lse);
    known.push_front({given, place.length, std::move(attend), std::move(merge), {}, {}, {}});
  } else {
    Tensor outs = exchanged.parts(ofRanks), lses = exchanged.logs(ofRanks);
    DeviceKernelLaunch merge = mergeOf(DType::F32, parts, logs, outs.select(0, given.rank),
                                       lses.select(0, given.rank)),
                       mergeRanks = mergeOf(of.dtype, outs, lses, given.out, given.lse);
    known.push_front({given, place.length, std::move(attend), std::move(merge),
                      std::move(mergeRanks), exchanged.exchange(ofRanks, given.rank),
                      call.agreement(given.ranks, sources, on.kernels->build())});
  }
  if (known.size() > most)
    known.pop_back();
  return known.front();
}

void DeviceDecodeRank::attend(const CudaStream &stream, const PreparedDecode &ready) const {
  if (ready.length)
    stream.fill(lengthMemory.data(), uint32_t(*ready.length), ready.call.inputs.q.dim(0));
  ready.attend.run(stream);
  ready.merge.run(stream);
}

void DeviceDecodeRank::finish(const CudaStream &stream, const PreparedDecode &ready) const {
  if (ready.mergeRanks)
    ready.mergeRanks->run(stream);
}

} // namespace ringc
