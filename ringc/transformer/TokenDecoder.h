#pragma once

#include "ringc/Tensor.h"
#include "ringc/transformer/RingTransformer.h"

#include <cstdint>
#include <memory>
#include <span>

namespace ringc {

/// What a TokenDecoder has room for.
struct TokenDecoderOptions {
  int64_t entries = 1;   ///< sequences at a time
  int64_t tokens = 4096; ///< of an entry, at most
  int64_t pageSize = 64; ///< tokens of a page (KvCacheOptions)
};

/// Continues sequences with a causal RingTransformer: keys and values of each layer are kept in
/// pages, dealt over the ranks in turn, and new tokens attend to them (tree attention, arXiv
/// 2408.04093). What it says is what the model's logits say, to rounding.
///
///     TokenDecoder decoder(model, {.tokens = 1024});
///     HostTensor logits = decoder.append(0, prompt);
///     for (...) logits = decoder.step({{best(logits)}});
///
/// Ranks make the same calls with the same tokens, which are compared. Throws InputError for
/// options and tokens that cannot be, where pages run out, DisagreementError and PeerError as
/// RingTransformer. One thread at a time calls it.
class TokenDecoder {
public:
  /// `model` outlives it; its weights may change while no entry has tokens.
  TokenDecoder(RingTransformer &model, const TokenDecoderOptions &options);
  ~TokenDecoder();
  TokenDecoder(TokenDecoder &&) noexcept;
  TokenDecoder &operator=(TokenDecoder &&) noexcept;

  /// Tokens of an entry, of all ranks.
  int64_t length(int64_t entry) const;

  /// Adds one or more tokens to an entry. Gives the logits behind the last, f32 [1, num_tokens],
  /// on each rank. A sequence's first tokens are shared between the ranks, a ring.
  HostTensor append(int64_t entry, std::span<const int32_t> tokens);

  /// Adds a token to each entry: f32 [entries, num_tokens].
  HostTensor step(std::span<const int32_t> tokens);

  /// Makes an entry empty.
  void free(int64_t entry);

private:
  class Decoder;
  std::unique_ptr<Decoder> self;
};

} // namespace ringc
