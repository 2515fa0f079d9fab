#include "ringc/module/ModuleCall.h"

#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

/// Entries and rows of the tokens that a rank brings.
struct Held {
  int64_t batch = 0, rows = 0;
  bool operator==(const Held &) const = default;
};

std::string print(const Held &held) {
  return std::to_string(held.batch) + " entries of " + std::to_string(held.rows) + " rows";
}

void checkInputs(const RingAttentionOptions &options, const RingAttentionInputs &inputs, bool ring,
                 int world) {
  const Tensor &tokens = inputs.tokens;
  int64_t batch = tokens.dim(0), rows = tokens.dim(1);
  if (inputs.keyMask)
    checkTensor("key mask", *inputs.keyMask, DType::Bool, {batch, rows});
  if (const auto &positions = inputs.positions) {
    bool fits = positions->dtype() == DType::I32 &&
                (std::ranges::equal(positions->shape(), std::array{rows}) ||
                 std::ranges::equal(positions->shape(), std::array{batch, rows}));
    if (!options.rotaryEmbed || !fits)
      throw InputError(
          "positions", describe(*positions) + (options.rotaryEmbed ? "" : " without rotary_embed"),
          options.rotaryEmbed ? "i32[" + std::to_string(rows) + "] or i32[" +
                                    std::to_string(batch) + ", " + std::to_string(rows) + "]"
                              : "none");
  }
  if (inputs.ringSize) {
    std::string value = std::to_string(*inputs.ringSize);
    if (!ring)
      throw InputError("ring_size", value, "none in a call without a ring");
    if (*inputs.ringSize < 1 || world % *inputs.ringSize != 0)
      throw InputError("ring_size", value, "a divisor of the world, " + std::to_string(world));
  }
  if (inputs.whole && (!ring || options.autoShardSeq))
    throw InputError("whole", print({inputs.whole->batch, inputs.whole->length}),
                     "none where ranks bring whole sequences");
}

/// What all ranks must have in common; `whole` sequences have one length.
Agreement agreementOf(const RingAttentionOptions &options, const RingAttentionInputs &inputs,
                      const ModuleCall &call, Agreement made) {
  made.add("ring", call.ring).add("ranks of a ring", call.ringSize);
  addOptions(made, attentionOf(options, call.ringSize));
  made.add("dim", options.dim)
      .add("auto_shard_seq", options.autoShardSeq)
      .add("prenorm", options.prenorm)
      .add("rotary_embed", options.rotaryEmbed)
      .add("rotary_embed_theta", options.rotaryEmbedTheta)
      .add("key mask", inputs.keyMask.has_value())
      .add("positions", inputs.positions.has_value());
  if (call.ring && options.autoShardSeq)
    made.add("rows of a sequence", inputs.tokens.dim(1));
  if (inputs.whole && call.ring)
    made.add("entries in the batch", inputs.whole->batch)
        .add("rows of a sequence", inputs.whole->length);
  if (call.ring && inputs.cuSeqlens)
    addTensor(made, "cu_seqlens", *inputs.cuSeqlens, Memory::Host);
  else
    made.add("cu_seqlens", inputs.cuSeqlens ? "each its own" : "");
  return made;
}

std::vector<Held> gatherHeld(ModuleRanks &ranks, const Held &own) {
  std::vector<Held> all;
  for (const std::vector<std::byte> &bytes : ranks.gather(std::as_bytes(std::span(&own, 1)))) {
    Held held;
    std::ranges::copy(bytes, std::as_writable_bytes(std::span(&held, 1)).begin());
    all.push_back(held);
  }
  return all;
}

/// The whole that shards are of, from what each rank holds.
AttentionShape wholeOf(const std::vector<Held> &all, const SubRings &rings) {
  AttentionShape whole;
  for (int place = 0; place < rings.ringSize; ++place)
    whole.queryLength += all[size_t(rings.rankAt(0, place))].rows;
  for (int ring = 0; ring < rings.rings(); ++ring)
    whole.batch += all[size_t(rings.rankAt(ring, 0))].batch;
  whole.keyLength = whole.queryLength;
  return whole;
}

/// That a rank holds what the layout, and the deal of the batch to rings, give it.
void checkShard(const AttentionOptions &options, int world, int rank, const AttentionShape &whole,
                const Held &held) {
  RankProblem problem(options, world, rank, whole);
  Held right{problem.batch().count, problem.queryRows()};
  if (held != right)
    throw InputError("tokens of rank " + std::to_string(rank), print(held),
                     print(right) + ", its share of " + print({whole.batch, whole.queryLength}) +
                         " dealt to rings of " + std::to_string(options.ringSize) + ", layout " +
                         nameOf(options.layout));
}

void checkDocuments(const ModuleCall &call, const RingAttentionInputs &inputs) {
  if (inputs.cuSeqlens)
    checkCuSeqlens(call.whole, *inputs.cuSeqlens);
}

} // namespace

ModuleCall resolve(const RingAttentionOptions &options, ModuleRanks &ranks,
                   const RingAttentionInputs &inputs, Agreement agreement) {
  int world = ranks.world(), rank = ranks.rank();
  ModuleCall call;
  call.ring = options.ringAttn && !options.forceRegularAttn && !inputs.ringOff;
  checkInputs(options, inputs, call.ring, world);
  Held own{inputs.tokens.dim(0), inputs.tokens.dim(1)};
  if (call.ring)
    call.ringSize = inputs.ringSize.value_or(ringSizeFor(options, world, own.rows));
  ranks.agree(agreementOf(options, inputs, call, std::move(agreement)));
  if (!call.ring) {
    call.whole = {own.batch, own.rows, own.rows};
    checkDocuments(call, inputs);
    call.batch = own.batch;
    call.rows = own.rows;
    call.rowPositions = positions(SequenceLayout::contiguous(), 0, 1, own.rows);
    return call;
  }
  AttentionOptions attention = attentionOf(options, call.ringSize);
  call.layout = attention.layout;
  SubRings rings{world, call.ringSize};
  if (options.autoShardSeq) {
    BatchDeal deal{.batches = {}, .length = own.rows, .rings = rings, .layout = attention.layout};
    for (const Held &held : gatherHeld(ranks, own))
      deal.batches.push_back(held.batch);
    call.whole = {deal.batch(), deal.length, deal.length};
    if (world > 1) // a rank alone has it all
      call.deal = std::move(deal);
  } else if (inputs.whole) {
    call.whole = {inputs.whole->batch, inputs.whole->length, inputs.whole->length};
    checkShard(attention, world, rank, call.whole, own);
  } else {
    std::vector<Held> all = gatherHeld(ranks, own);
    call.whole = wholeOf(all, rings);
    for (int each = 0; each < world; ++each)
      checkShard(attention, world, each, call.whole, all[size_t(each)]);
  }
  checkDocuments(call, inputs);
  RankProblem problem(attention, world, rank, call.whole);
  call.batch = problem.batch().count;
  call.rows = problem.queryRows();
  call.rowPositions = problem.queryPositions();
  return call;
}

HostTensor rotaryPositions(const ModuleCall &call, const std::optional<Tensor> &cuSeqlens) {
  HostTensor made(DType::I32, {call.rows});
  int64_t document = 0, start = 0, next = call.whole.keyLength;
  auto cut = [&](int64_t at) {
    return int64_t(*(cuSeqlens->dataAs<int32_t>() + at * cuSeqlens->stride(0)));
  };
  if (cuSeqlens)
    next = cut(1);
  for (int64_t row = 0; row < call.rows; ++row) { // positions rise with rows
    int64_t position = call.rowPositions(row);
    while (position >= next) {
      start = next;
      next = cut(++document + 1);
    }
    made.dataAs<int32_t>()[row] = int32_t(position - start);
  }
  return made;
}

} // namespace ringc
