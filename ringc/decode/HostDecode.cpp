#include "ringc/attention/shared/Options.h"
#include "ringc/comm/Gather.h"
#include "ringc/comm/Transport.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/decode/DecodeCall.h"
#include "ringc/driver/HostMemory.h"
#include "ringc/driver/HostPool.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace ringc {

namespace {

/// What the host can look at before a kernel does.
void checkEntries(const DecodeInputs &inputs, const Tensor &lengths, bool isWhole) {
  int64_t rows = inputs.pageTable ? inputs.pageTable->dim(1) * inputs.k.dim(1) : inputs.k.dim(1);
  for (int64_t entry = 0; entry < lengths.dim(0); ++entry) {
    int64_t length = *lengths.select(0, entry).dataAs<int32_t>();
    if (length < 0 || (isWhole && length > rows))
      throw InputError("length of entry " + std::to_string(entry), std::to_string(length),
                       isWhole ? "0 to " + std::to_string(rows) +
                                     (inputs.pageTable ? ", the rows of its pages" : ", its keys")
                               : "0 or more");
  }
  if (!inputs.pageTable)
    return;
  for (int64_t entry = 0; entry < inputs.pageTable->dim(0); ++entry)
    for (int64_t at = 0; at < inputs.pageTable->dim(1); ++at) {
      int64_t page = *inputs.pageTable->select(0, entry).select(0, at).dataAs<int32_t>();
      if (page < -1 || page >= inputs.k.dim(0))
        throw InputError("page " + std::to_string(at) + " of entry " + std::to_string(entry),
                         std::to_string(page),
                         "-1, none, to " + std::to_string(inputs.k.dim(0) - 1));
    }
}

} // namespace

class HostDecode::Impl {
public:
  Impl(DecodeOptions given, AttentionContext shared)
      : options(std::move(given)), context(std::move(shared)) {
    validate(options.attention);
    options.attention = completed(options.attention);
    sources.emplace(context.kernels->sources(userSources(options.attention)));
  }

  void run(const DecodeInputs &inputs, const Tensor &out, const Tensor &lse) {
    const AttentionOptions &of = options.attention;
    Local local = attend(inputs, {}, /*isWhole=*/true);
    merge(of.dtype, local.parts, local.logs, out, lse);
  }

  void run(const DecodeInputs &inputs, const DecodeKeys &keys, Transport &transport,
           const Tensor &out, const Tensor &lse) {
    const AttentionOptions &of = options.attention;
    Local local = attend(inputs, keys, transport.world() == 1);
    if (transport.world() == 1)
      return merge(of.dtype, local.parts, local.logs, out, lse);
    int64_t batch = inputs.q.dim(0), queries = inputs.q.dim(1);
    int64_t numbers = batch * queries * of.heads, bytesOfOut = numbers * of.valueHeadDim * 4;
    // out, then lse: one message.
    std::vector<std::byte> packed(size_t(bytesOfOut + numbers * 4));
    Tensor ownOut(packed.data(), DType::F32, {batch, queries, of.heads, of.valueHeadDim}),
        ownLse(packed.data() + bytesOfOut, DType::F32, {batch, of.heads, queries});
    merge(DType::F32, local.parts, local.logs, ownOut, ownLse);
    std::vector<int> ranks(size_t(transport.world()));
    std::iota(ranks.begin(), ranks.end(), 0);
    std::vector<std::vector<std::byte>> all = gather(transport, ranks, packed);
    int64_t world = transport.world();
    Tensor parts = gathered.tensor(
               DType::F32, std::vector<int64_t>{world, batch, queries, of.heads, of.valueHeadDim}),
           logs = gatheredLogs.tensor(DType::F32,
                                      std::vector<int64_t>{world, batch, of.heads, queries});
    for (int64_t rank = 0; rank < world; ++rank) {
      const std::vector<std::byte> &theirs = all[size_t(rank)];
      std::memcpy(parts.select(0, rank).data(), theirs.data(), size_t(bytesOfOut));
      std::memcpy(logs.select(0, rank).data(), theirs.data() + bytesOfOut, size_t(numbers * 4));
    }
    merge(of.dtype, parts, logs, out, lse);
  }

private:
  struct Local {
    Tensor parts, logs;
  };

  Local attend(const DecodeInputs &inputs, const DecodeKeys &keys, bool isWhole) {
    const AttentionOptions &of = options.attention;
    Tensor lengths = lengthsOf(inputs);
    DecodeCall call(options, inputs, keys, lengths,
                    {.compiled =
                         [&](const Spec &spec) {
                           return context.kernels->get(spec, *sources, {.table = of.tune}).kernel;
                         },
                     .place = [&](const std::string &name, const Tensor &onHost) -> Tensor {
                       return placed[name] = HostTensor::copyOf(onHost);
                     }});
    checkEntries(inputs, lengths, isWhole);
    // Some programs for each thread, so that none waits long.
    constexpr int64_t programsOfThread = 4;
    DecodeCall::Parts cut = call.parts(int64_t(context.pool->threads()) * programsOfThread);
    Local made{
        partMemory.tensor(DType::F32, std::vector<int64_t>{cut.count, call.batch(), call.queries(),
                                                           of.heads, of.valueHeadDim}),
        logMemory.tensor(DType::F32,
                         std::vector<int64_t>{cut.count, call.batch(), of.heads, call.queries()})};
    launch(Kernel(context, *sources, call.spec(), of.tune), call.views(made.parts, made.logs),
           call.values(cut), *context.pool);
    return made;
  }

  void merge(DType dtype, const Tensor &parts, const Tensor &logs, const Tensor &out,
             const Tensor &lse) {
    launch(Kernel(context, *sources, mergeSpecOf(options.attention, dtype), options.attention.tune),
           {{"parts", parts}, {"logs", logs}, {"out", out}, {"lse", lse}}, {}, *context.pool);
  }

  /// All rows of each entry, where it is not said.
  Tensor lengthsOf(const DecodeInputs &inputs) {
    if (inputs.lengths)
      return *inputs.lengths;
    if (inputs.pageTable)
      throw InputError("lengths", "none", "i32 [b], with a page table");
    if (inputs.k.rank() != 4 || inputs.q.rank() != 4)
      return Tensor();
    wholeLengths = HostTensor(DType::I32, {inputs.q.dim(0)});
    std::fill_n(wholeLengths.dataAs<int32_t>(), wholeLengths.elementCount(),
                int32_t(inputs.k.dim(1)));
    return wholeLengths;
  }

  DecodeOptions options;
  AttentionContext context;
  std::optional<SourceSet> sources;
  KeptMemory partMemory, logMemory, gathered, gatheredLogs;
  HostTensor wholeLengths;
  std::map<std::string, HostTensor> placed;
};

HostDecode::HostDecode(DecodeOptions options, AttentionContext context)
    : self(std::make_unique<Impl>(std::move(options), std::move(context))) {}
HostDecode::~HostDecode() = default;
HostDecode::HostDecode(HostDecode &&) noexcept = default;
HostDecode &HostDecode::operator=(HostDecode &&) noexcept = default;

void HostDecode::run(const DecodeInputs &inputs, const Tensor &out, const Tensor &lse) {
  self->run(inputs, out, lse);
}
void HostDecode::run(const DecodeInputs &inputs, const DecodeKeys &keys, Transport &transport,
                     const Tensor &out, const Tensor &lse) {
  self->run(inputs, keys, transport, out, lse);
}

void merge(const AttentionContext &context, const Tensor &outA, const Tensor &lseA,
           const Tensor &outB, const Tensor &lseB, const Tensor &out, const Tensor &lse) {
  if (outA.rank() != 4)
    throw InputError("out", describe(outA), "four axes: batch, queries, heads, value head dim");
  Spec spec;
  spec.kernel = "attention_merge";
  spec.headDim = spec.valueHeadDim = outA.dim(3);
  spec.dtype = elementTypeOf(outA.dtype());
  launch(Kernel(context, spec),
         {{"out_a", outA},
          {"lse_a", lseA},
          {"out_b", outB},
          {"lse_b", lseB},
          {"out", out},
          {"lse", lse}},
         {}, *context.pool);
}

} // namespace ringc
