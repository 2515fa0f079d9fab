#include "ringc/attention/shared/Options.h"
#include "ringc/comm/Gather.h"
#include "ringc/comm/Transport.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/decode/DecodeCall.h"
#include "ringc/decode/RankParts.h"
#include "ringc/driver/HostMemory.h"
#include "ringc/driver/HostPool.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
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
    Local local = attend(inputs, {}, nullptr, out, lse);
    merge(options.attention.dtype, local.parts, local.logs, out, lse);
  }

  void run(const DecodeInputs &inputs, const DecodeKeys &keys, Transport &transport,
           const Tensor &out, const Tensor &lse) {
    const AttentionOptions &of = options.attention;
    Local local = attend(inputs, keys, &transport, out, lse);
    if (transport.world() == 1)
      return merge(of.dtype, local.parts, local.logs, out, lse);
    RankParts ranks(transport.world(),
                    {inputs.q.dim(0), inputs.q.dim(1), of.heads, of.valueHeadDim});
    void *memory = rankMemory.reserve(ranks.bytes());
    Tensor parts = ranks.parts(memory), logs = ranks.logs(memory);
    int own = transport.rank();
    merge(DType::F32, local.parts, local.logs, parts.select(0, own), logs.select(0, own));
    if (Exchange exchange = ranks.exchange(memory, own); !exchange.empty())
      transport.post(exchange)->wait();
    merge(of.dtype, parts, logs, out, lse);
  }

private:
  struct Local {
    Tensor parts, logs;
  };

  /// Two tiles of 8 rows, of which the second finds K and V in a cache, take less time than one of
  /// 16: its softmax is more than its share.
  static constexpr int64_t mostRowsOfTile = 8;
  /// The heads of a part run one after another, and side by side in memory lie the rows that they
  /// read: of a longer part each would find none of what its neighbour's reading brought near.
  static constexpr int64_t bytesOfPart = int64_t(2) << 20;

  /// `transport`: of ranks; null without.
  Local attend(const DecodeInputs &inputs, const DecodeKeys &keys, Transport *transport,
               const Tensor &out, const Tensor &lse) {
    const AttentionOptions &of = options.attention;
    int world = transport ? transport->world() : 1;
    DecodePlace place = DecodePlace::of(options, inputs, keys, world);
    Tensor lengths = lengthsOf(inputs, place);
    DecodeCall call(options, inputs, place.keys, lengths,
                    {.compiled =
                         [&](const Spec &spec) {
                           return context.kernels->get(spec, *sources, {.table = of.tune}).kernel;
                         },
                     .place = [&](const std::string &name, const Tensor &onHost) -> Tensor {
                       return placed[name] = HostTensor::copyOf(onHost);
                     },
                     .mostRowsOfTile = mostRowsOfTile,
                     .bytesOfPart = bytesOfPart});
    call.checkResults(out, lse);
    checkEntries(inputs, lengths, world == 1);
    if (world > 1 && transport->comparesCalls())
      compare(call, *transport);
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

  /// Each time, as HostAttentionRank does.
  void compare(const DecodeCall &call, Transport &transport) const {
    std::vector<int> ranks(size_t(transport.world()));
    std::iota(ranks.begin(), ranks.end(), 0);
    requireAgreement(call.agreement(transport.world(), *sources, context.kernels->build()),
                     transport.rank(), ranks,
                     [&](std::span<const std::byte> own) { return gather(transport, ranks, own); });
  }

  void merge(DType dtype, const Tensor &parts, const Tensor &logs, const Tensor &out,
             const Tensor &lse) {
    launch(Kernel(context, *sources, mergeSpecOf(options.attention, dtype), options.attention.tune),
           {{"parts", parts}, {"logs", logs}, {"out", out}, {"lse", lse}}, {}, *context.pool);
  }

  Tensor lengthsOf(const DecodeInputs &inputs, const DecodePlace &place) {
    if (!place.length)
      return inputs.lengths ? *inputs.lengths : Tensor();
    wholeLengths = HostTensor(DType::I32, {inputs.q.dim(0)});
    std::fill_n(wholeLengths.dataAs<int32_t>(), wholeLengths.elementCount(),
                int32_t(*place.length));
    return wholeLengths;
  }

  DecodeOptions options;
  AttentionContext context;
  std::optional<SourceSet> sources;
  KeptMemory partMemory, logMemory, rankMemory;
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
  guarded(transport, [&] { self->run(inputs, keys, transport, out, lse); });
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
