#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/RingAttentionOptions.h"
#include "ringc/module/RingAttentionWeights.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace ringc {

/// The whole of what ranks hold rows of, all rings together.
struct SequenceShape {
  int64_t batch = 0;
  int64_t length = 0;
};

/// What one call is given; all but the tokens may be left out. With autoShardSeq (and a ring) each
/// rank brings entries of its own, of all n rows, as many as it likes; else its shard: the entries
/// of its ring (batchOfRing), the rows of its place (localLength). Tensors have any strides, and
/// lie in the backend's memory.
struct RingAttentionInputs {
  Tensor tokens; ///< `x` [b, n, dim], of the module's dtype

  std::optional<Tensor> keyMask = {}; ///< `mask`: bool [b, n], true is visible; also when causal
  /// In place of `rotary_emb`: i32 [n] or [b, n], the positions that rotary embeddings turn by;
  /// masks go by the rows' own. Absent: the rows' global positions, which restart with each
  /// document. Needs rotaryEmbed.
  std::optional<Tensor> positions = {};
  /// Packed documents, which see only themselves: i32 of the host, 0 .. n rising, of the whole
  /// sequence; the same for each entry and on each rank.
  std::optional<Tensor> cuSeqlens = {};

  std::optional<int> ringSize = {}; ///< `ring_size`: of this call, a divisor of the world
  /// `force_ring_reduce_off`: each rank attends to its own tokens, which are whole sequences.
  /// Nothing is dealt.
  bool ringOff = false;

  /// Without autoShardSeq; absent: the ranks tell each other what they hold.
  std::optional<SequenceShape> whole = {};
};

struct RingAttentionSaved;

/// What a forward gives.
struct RingAttentionForward {
  SharedTensor out;                                ///< as tokens
  std::shared_ptr<const RingAttentionSaved> saved; ///< for the backward
};

/// Of weights f32, in their shapes, summed over all ranks in their order: on each rank the same
/// bits, and every time.
struct RingAttentionGradients {
  SharedTensor tokens;
  SharedTensor gamma; ///< [dim]; without prenorm nothing, of no axis
  SharedTensor toQkv, toOut;
};

/// The attention module of ring-attention-pytorch: RMSNorm, one projection to queries, keys and
/// values, rotary embedding at global positions, exact ring attention, and a projection back to
/// tokens. The result, and all gradients, are those of the whole sequence on one rank, whatever the
/// number of ranks and rings and the layout.
///
///     RingAttention module({.dim = 512, .causal = true, .ringAttn = true, .autoShardSeq = true},
///                          hostModuleBackend(hostContext(), transport), weights);
///     RingAttentionForward forward = module.forward({.tokens = tokens});
///     RingAttentionGradients gradients = module.backward(forward, dout);
///
/// All ranks make the same calls. Before one sends data they compare options, weights, lengths and
/// what else must be the same; where they differ each throws a DisagreementError that says what.
/// Throws InputError for options, weights and inputs that cannot be, and PeerError where a rank
/// fails; then the others fail too. One thread at a time calls an object.
class RingAttention {
public:
  /// Modules of one rank, the layers of a model, may share a backend.
  RingAttention(const RingAttentionOptions &options, std::shared_ptr<ModuleBackend> backend,
                const RingAttentionWeights &weights);
  ~RingAttention();
  RingAttention(RingAttention &&) noexcept;
  RingAttention &operator=(RingAttention &&) noexcept;

  const RingAttentionOptions &options() const;

  /// Its memory is what tokens and results lie in.
  ModuleBackend &backend();

  /// Copies them, rounded to the module's dtype. Forwards before it need their backward before it.
  void setWeights(const RingAttentionWeights &weights);

  /// What it is given must live, unchanged, until the backward.
  RingAttentionForward forward(const RingAttentionInputs &inputs);

  /// `dout` as the forward's result.
  RingAttentionGradients backward(const RingAttentionForward &forward, const Tensor &dout);

private:
  class Module;
  std::unique_ptr<Module> self;
};

} // namespace ringc
