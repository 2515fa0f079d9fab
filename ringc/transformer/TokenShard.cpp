#include "ringc/transformer/TokenShard.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace ringc {

namespace {

int32_t numberAt(const Tensor &matrix, int64_t entry, int64_t row) {
  return *matrix.select(0, entry).select(0, row).dataAs<int32_t>();
}

/// Tokens and labels of one extent.
struct Pairs {
  Tensor tokens;
  std::optional<Tensor> labels, keyMask;
};

Tensor withoutFirst(const Tensor &matrix) { return matrix.slice(1, 1, matrix.dim(1) - 1); }
Tensor withoutLast(const Tensor &matrix) { return matrix.slice(1, 0, matrix.dim(1) - 1); }

void checkMatrix(std::string_view name, const Tensor &given, DType dtype, const Tensor &tokens) {
  if (given.dtype() != dtype || !std::ranges::equal(given.shape(), tokens.shape()))
    throw InputError(name, describe(given), describe(Tensor(nullptr, dtype, tokens.shape())));
}

/// Labels that nobody gives are the next tokens; the last one has none.
Pairs pairsOf(const RingTransformerOptions &options, int world, const RingTransformerInputs &inputs,
              TokenPass pass) {
  const Tensor &tokens = inputs.tokens;
  if (tokens.rank() != 2 || tokens.dtype() != DType::I32)
    throw InputError("tokens", describe(tokens), "i32[b, n]");
  if (inputs.keyMask)
    checkMatrix("key mask", *inputs.keyMask, DType::Bool, tokens);
  Pairs made{.tokens = tokens, .labels = inputs.labels, .keyMask = inputs.keyMask};
  if (inputs.labels) {
    if (pass == TokenPass::Logits)
      throw InputError("labels", describe(*inputs.labels), "none without a loss");
    checkMatrix("labels", *inputs.labels, DType::I32, tokens);
    return made;
  }
  if (pass == TokenPass::Logits)
    return made;
  bool isWhole = world == 1 || !options.ringAttn || options.forceRegularAttn || inputs.ringOff ||
                 attentionOf(options, 0).autoShardSeq;
  if (!isWhole || inputs.cuSeqlens)
    throw InputError("labels", "none",
                     inputs.cuSeqlens ? "labels with cu_seqlens: a document's last token has none"
                                      : "labels where ranks have shards of sequences");
  if (tokens.dim(1) < 1)
    throw InputError("tokens", describe(tokens), "one or more in a sequence, the last a label");
  made.tokens = withoutLast(tokens);
  made.labels = withoutFirst(tokens);
  if (inputs.keyMask)
    made.keyMask = withoutLast(*inputs.keyMask);
  return made;
}

void checkNumbers(std::string_view name, const Tensor &numbers, int64_t numTokens,
                  std::optional<int64_t> ignored) {
  for (int64_t entry = 0; entry < numbers.dim(0); ++entry)
    for (int64_t row = 0; row < numbers.dim(1); ++row) {
      int64_t number = numberAt(numbers, entry, row);
      if ((number < 0 || number >= numTokens) && number != ignored)
        throw InputError(std::string(name) + "[" + std::to_string(entry) + ", " +
                             std::to_string(row) + "]",
                         std::to_string(number),
                         "0 to " + std::to_string(numTokens - 1) +
                             (ignored ? ", or ignore_index, " + std::to_string(*ignored) : ""));
    }
}

/// What both kinds of sharding deal at once: i32 [b, n, 2] of token and label.
HostTensor interleaved(const Pairs &pairs, int32_t ignored) {
  int64_t batch = pairs.tokens.dim(0), rows = pairs.tokens.dim(1);
  HostTensor made(DType::I32, {batch, rows, 2});
  auto *next = made.dataAs<int32_t>();
  for (int64_t entry = 0; entry < batch; ++entry)
    for (int64_t row = 0; row < rows; ++row) {
      *next++ = numberAt(pairs.tokens, entry, row);
      *next++ = pairs.labels ? numberAt(*pairs.labels, entry, row) : ignored;
    }
  return made;
}

SharedTensor placed(ModuleBackend &backend, const Tensor &onHost) {
  SharedTensor made = backend.allocate(onHost.dtype(), onHost.shape());
  backend.upload(onHost, made);
  return made;
}

/// On all ranks.
int64_t sumOf(ModuleRanks &ranks, int64_t own) {
  int64_t sum = 0;
  for (const std::vector<std::byte> &bytes : ranks.gather(std::as_bytes(std::span(&own, 1)))) {
    int64_t theirs = 0;
    std::memcpy(&theirs, bytes.data(), sizeof theirs);
    sum += theirs;
  }
  return sum;
}

} // namespace

TokenShard dealTokens(const RingTransformerOptions &options, ModuleBackend &backend,
                      const RingTransformerInputs &inputs, TokenPass pass, Agreement own,
                      KeptPositions &positions) {
  auto ignored = int32_t(options.ignoreIndex);
  Pairs pairs = pairsOf(options, backend.ranks().world(), inputs, pass);
  checkNumbers("tokens", pairs.tokens, options.numTokens, {});
  if (pairs.labels)
    checkNumbers("labels", *pairs.labels, options.numTokens, options.ignoreIndex);
  RingAttentionInputs ofLayers{.tokens = pairs.tokens,
                               .cuSeqlens = inputs.cuSeqlens,
                               .ringSize = inputs.ringSize,
                               .ringOff = inputs.ringOff,
                               .whole = inputs.whole};
  SharedTensor keyMask;
  if (pairs.keyMask) {
    keyMask = placed(backend, *pairs.keyMask);
    ofLayers.keyMask = keyMask;
  }
  RingAttentionOptions attention = attentionOf(options, 0);
  ModuleCall resolved = resolve(attention, backend.ranks(), ofLayers, std::move(own));

  TokenShard made;
  HostTensor numbers = interleaved(pairs, ignored);
  for (int64_t pair = 0; pass == TokenPass::Loss && 2 * pair < numbers.elementCount(); ++pair)
    made.counted += numbers.dataAs<int32_t>()[2 * pair + 1] != ignored;
  made.counted = sumOf(backend.ranks(), made.counted);
  if (resolved.deal) {
    SharedTensor shard = toShard(backend, resolved, placed(backend, numbers));
    numbers = HostTensor(DType::I32, shard.view().shape());
    backend.download(shard, numbers);
  }
  for (int64_t pair = 0; 2 * pair < numbers.elementCount(); ++pair) {
    made.tokens.push_back(numbers.dataAs<int32_t>()[2 * pair]);
    made.labels.push_back(numbers.dataAs<int32_t>()[2 * pair + 1]);
  }
  LayerCall call = layerCall(attention, backend, std::move(resolved), ofLayers, positions);
  if (pairs.keyMask && !call.call.deal)
    call.keyMask = keyMask; // its memory is nobody else's
  made.call = std::make_shared<const LayerCall>(std::move(call));
  return made;
}

} // namespace ringc
