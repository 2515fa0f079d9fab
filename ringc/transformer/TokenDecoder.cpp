#include "ringc/transformer/TokenDecoder.h"

#include "ringc/decode/KvCache.h"
#include "ringc/module/Guarded.h"
#include "ringc/ring/Sharding.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/TransformerLayers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

namespace {

constexpr int64_t mostQueries = 16; ///< of a decode

void requireAtLeastOne(const char *name, int64_t value) {
  if (value < 1)
    throw InputError(name, std::to_string(value), "1 or more");
}

} // namespace

class TokenDecoder::Decoder {
public:
  Decoder(RingTransformer &of, const TokenDecoderOptions &given)
      : model(of), asked(of.options()), options(given), backend(of.backend()) {
    requireAtLeastOne("entries", options.entries);
    requireAtLeastOne("tokens", options.tokens);
    if (!asked.causal)
      throw InputError("causal", "false", "true: tokens see no later ones");
    int64_t pages =
        (options.tokens + options.pageSize - 1) / std::max<int64_t>(1, options.pageSize);
    int64_t ownPages = (pages + backend.ranks().world() - 1) / backend.ranks().world();
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      RingAttentionOptions attention = attentionOf(asked, layer);
      caches.push_back(backend.kvCache({.pages = ownPages * options.entries,
                                        .pageSize = options.pageSize,
                                        .kvHeads = attention.kvHeads(),
                                        .headDim = attention.dimHead,
                                        .dtype = asked.dtype,
                                        .entries = options.entries,
                                        .pagesOfEntry = ownPages}));
      decodes.push_back(backend.decode({.attention = attentionOf(attention, 1)}));
    }
  }

  ModuleRanks &ranks() { return backend.ranks(); }
  int64_t length(int64_t entry) const {
    checkEntry(entry);
    return caches.front().length(entry);
  }

  HostTensor append(int64_t entry, std::span<const int32_t> tokens) {
    int64_t before = length(entry);
    if (tokens.empty())
      throw InputError("tokens", "none", "one or more");
    check(tokens);
    checkRoom(entry, int64_t(tokens.size()));
    agree("append", entry, tokens);
    if (before == 0 && int64_t(tokens.size()) > mostQueries)
      return logitsOf(prefill(entry, tokens), 1);
    SharedTensor last;
    for (size_t at = 0; at < tokens.size(); at += mostQueries)
      last =
          decoded(entry, 1, tokens.subspan(at, std::min(tokens.size() - at, size_t(mostQueries))));
    const Tensor &x = last; // [1, n, dim]
    return logitsOf(dense(x.slice(1, x.dim(1) - 1, 1)), 1);
  }

  HostTensor step(std::span<const int32_t> tokens) {
    if (int64_t(tokens.size()) != options.entries)
      throw InputError("tokens", std::to_string(tokens.size()) + " tokens",
                       std::to_string(options.entries) + ", one for each entry");
    check(tokens);
    for (int64_t entry = 0; entry < options.entries; ++entry)
      checkRoom(entry, 1);
    agree("step", 0, tokens);
    HostTensor logits = logitsOf(decoded(0, options.entries, tokens), options.entries);
    return logits;
  }

  void free(int64_t entry) {
    checkEntry(entry);
    for (KvCache &cache : caches)
      cache.free(entry);
  }

private:
  void checkEntry(int64_t entry) const {
    if (entry < 0 || entry >= options.entries)
      throw InputError("entry", std::to_string(entry),
                       "0 to " + std::to_string(options.entries - 1));
  }
  void check(std::span<const int32_t> tokens) const {
    for (size_t at = 0; at < tokens.size(); ++at)
      if (tokens[at] < 0 || tokens[at] >= asked.numTokens)
        throw InputError("tokens[" + std::to_string(at) + "]", std::to_string(tokens[at]),
                         "0 to " + std::to_string(asked.numTokens - 1));
  }
  void checkRoom(int64_t entry, int64_t more) const {
    if (length(entry) + more > options.tokens)
      throw InputError("tokens of entry " + std::to_string(entry),
                       std::to_string(length(entry) + more),
                       "at most " + std::to_string(options.tokens));
  }
  void agree(const char *what, int64_t entry, std::span<const int32_t> tokens) {
    std::string lengths;
    for (int64_t each = 0; each < options.entries; ++each)
      lengths += (each ? ", " : "") + std::to_string(length(each));
    ranks().agree(Agreement()
                      .add("module", std::string("TokenDecoder, ") + what)
                      .add("entry", entry)
                      .add("entries", options.entries)
                      .add("most tokens", options.tokens)
                      .add("page size", options.pageSize)
                      .add("lengths", lengths)
                      .add("tokens", std::to_string(tokens.size()) + ", checksum " +
                                         std::to_string(checksum(std::as_bytes(tokens)))));
  }

  SharedTensor dense(const Tensor &view) {
    SharedTensor made = backend.allocate(view.dtype(), view.shape());
    backend.copy(view, made);
    return made;
  }
  SharedTensor placed(const Tensor &onHost) {
    SharedTensor made = backend.allocate(onHost.dtype(), onHost.shape());
    backend.upload(onHost, made);
    return made;
  }

  /// Through all layers, `tokens` of `entries` entries from `first` on, as many of each; every rank
  /// has all of them. Gives the stream, [entries, n, dim].
  SharedTensor decoded(int64_t first, int64_t entries, std::span<const int32_t> tokens) {
    int64_t rows = int64_t(tokens.size()) / entries;
    HostTensor at(DType::I32, {entries, rows});
    for (int64_t entry = 0; entry < entries; ++entry)
      for (int64_t row = 0; row < rows; ++row)
        at.dataAs<int32_t>()[entry * rows + row] = int32_t(length(first + entry) + row);
    SharedTensor positions = placed(at);
    SharedTensor lse = backend.allocate(DType::F32, std::array{entries, asked.heads, rows});
    SharedTensor x = model.layers().embed(tokens, entries, rows);
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      KvCache &cache = caches[size_t(layer)];
      auto attend = [&](const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &out) {
        for (int64_t entry = 0; entry < entries; ++entry)
          cache.append(first + entry, k.select(0, entry), v.select(0, entry));
        DecodeInputs inputs = cache.inputs(q);
        inputs.pageTable = inputs.pageTable->slice(0, first, entries);
        inputs.lengths = inputs.lengths->slice(0, first, entries);
        decodes[size_t(layer)]->run(inputs, cache.keys(), out, lse);
      };
      x = model.layers().decode(layer, x, positions, attend);
    }
    return x;
  }

  /// The tokens of an empty entry, dealt to a ring of all ranks as the pages are. Gives the last
  /// row of the stream, [1, 1, dim].
  SharedTensor prefill(int64_t entry, std::span<const int32_t> tokens) {
    auto count = int64_t(tokens.size());
    auto call = std::make_shared<LayerCall>(callOf(count));
    const Positions &rows = call->call.rowPositions;
    std::vector<int32_t> own;
    for (int64_t row = 0; row < call->call.rows; ++row)
      own.push_back(tokens[size_t(rows(row))]);
    SharedTensor x = model.layers().embed(own, 1, call->call.rows);
    for (int64_t layer = 0; layer < asked.depth; ++layer) {
      TransformerLayers::LayerForward forward = model.layers().forward(call, layer, x);
      const AttentionLayer::Saved &saved = *forward.saved.attention;
      RingAttentionOptions attention = attentionOf(asked, layer);
      QkvHeads heads{1, call->call.rows, attention.heads, attention.kvHeads(), attention.dimHead};
      caches[size_t(layer)].appendOwn(entry, count, heads.keys(saved.qkv).select(0, 0),
                                      heads.values(saved.qkv).select(0, 0));
      x = forward.x;
    }
    return fromOwner(x, call->call, count);
  }

  LayerCall callOf(int64_t count) {
    int world = ranks().world(), rank = ranks().rank();
    LayerCall made;
    ModuleCall &call = made.call;
    call.ring = world > 1;
    call.ringSize = world;
    if (call.ring)
      call.layout = SequenceLayout::striped(options.pageSize);
    call.whole = {1, count, count};
    call.batch = 1;
    call.rows = localLength(call.layout, rank, world, count);
    call.rowPositions = positions(call.layout, rank, world, count);
    made.positions = placed(rotaryPositions(call, {}));
    return made;
  }

  /// The last row, of the rank that has it, on each.
  SharedTensor fromOwner(const SharedTensor &x, const ModuleCall &call, int64_t count) {
    int owner = int((count - 1) / options.pageSize % ranks().world());
    HostTensor last(asked.dtype, {1, 1, asked.dim});
    std::span<std::byte> bytes(last.dataAs<std::byte>(), size_t(last.byteCount()));
    if (ranks().rank() == owner)
      backend.download(x.view().slice(1, call.rows - 1, 1), last);
    if (ranks().world() > 1)
      std::ranges::copy(ranks().gather(bytes)[size_t(owner)], bytes.begin());
    return placed(last);
  }

  /// Of rows [n, 1, dim], or [1, 1, dim].
  HostTensor logitsOf(const SharedTensor &x, int64_t rows) {
    SharedTensor logits = backend.allocate(asked.dtype, std::array{rows, asked.numTokens});
    model.layers().logits(model.layers().head(x).normalised, logits);
    HostTensor read(asked.dtype, {rows, asked.numTokens}),
        made(DType::F32, {rows, asked.numTokens});
    backend.download(logits, read);
    convert(read, made);
    return made;
  }

  RingTransformer &model;
  RingTransformerOptions asked;
  TokenDecoderOptions options;
  ModuleBackend &backend;
  std::vector<KvCache> caches;                        ///< of each layer
  std::vector<std::unique_ptr<ModuleDecode>> decodes; ///< likewise: each keeps its launches
};

TokenDecoder::TokenDecoder(RingTransformer &model, const TokenDecoderOptions &options)
    : self(std::make_unique<Decoder>(model, options)) {}
TokenDecoder::~TokenDecoder() = default;
TokenDecoder::TokenDecoder(TokenDecoder &&) noexcept = default;
TokenDecoder &TokenDecoder::operator=(TokenDecoder &&) noexcept = default;

int64_t TokenDecoder::length(int64_t entry) const { return self->length(entry); }
HostTensor TokenDecoder::append(int64_t entry, std::span<const int32_t> tokens) {
  return guarded(self->ranks(), [&] { return self->append(entry, tokens); });
}
HostTensor TokenDecoder::step(std::span<const int32_t> tokens) {
  return guarded(self->ranks(), [&] { return self->step(tokens); });
}
void TokenDecoder::free(int64_t entry) { self->free(entry); }

} // namespace ringc
