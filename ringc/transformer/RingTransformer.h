#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/RingAttention.h"
#include "ringc/transformer/RingTransformerOptions.h"
#include "ringc/transformer/RingTransformerWeights.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace ringc {

class ParameterMemory;
class TransformerLayers;

/// What one call is given, all of it in memory of the host, any strides. How tokens are dealt to
/// ranks is as RingAttentionInputs has it.
struct RingTransformerInputs {
  Tensor tokens; ///< i32 [b, n], 0 .. num_tokens - 1

  /// Of a loss: i32 [b, n], tokens or ignore_index. Absent: each token's is the next one, and the
  /// last token is only a label; then each rank has whole sequences, without documents.
  std::optional<Tensor> labels = {};

  std::optional<Tensor> keyMask = {};      ///< bool [b, n], true is visible
  std::optional<Tensor> cuSeqlens = {};    ///< RingAttentionInputs::cuSeqlens
  std::optional<int> ringSize = {};        ///< of this call, a divisor of the world
  bool ringOff = false;                    ///< each rank has whole sequences of its own
  std::optional<SequenceShape> whole = {}; ///< RingAttentionInputs::whole
};

struct RingTransformerSaved;

/// What a forward for training gives, on each rank the same.
struct RingTransformerLoss {
  double loss = 0; ///< cross entropy, summed over the labels that count and divided by their number
  int64_t labels = 0; ///< that count, of all ranks; without any the loss is 0
  std::shared_ptr<const RingTransformerSaved> saved; ///< for the backward
};

/// The gradients of all weights, f32, summed over ranks in their order: on each rank the same bits,
/// and every time. They last until the model's next backward.
class RingTransformerGradients {
public:
  RingTransformerGradients(const ParameterMemory &parameters, SharedTensor memory)
      : of(&parameters), numbers(std::move(memory)) {}

  /// All of them behind one another, as an optimiser takes them.
  const Tensor &all() const { return numbers; }
  /// Copies on the host, by the names of the weights.
  RingTransformerWeights download() const;

private:
  const ParameterMemory *of;
  SharedTensor numbers;
};

/// The transformer of ring-attention-pytorch: token embedding, `depth` times ring attention and
/// feed-forward on a residual stream, RMSNorm and logits; its loss and all gradients. The results
/// are those of the whole sequences on one rank, whatever the number of ranks and rings and the
/// layout.
///
///     RingTransformer model({.numTokens = 256, .dim = 512, .depth = 2, .causal = true,
///                            .ringAttn = true}, backend, RingTransformerWeights::initial(..));
///     AdamW optimiser(model);
///     RingTransformerLoss forward = model.loss({.tokens = tokens});
///     optimiser.step(model.backward(forward));
///
/// Ranks make the same calls, and errors are as RingAttention's. One thread at a time calls an
/// object.
class RingTransformer {
public:
  RingTransformer(const RingTransformerOptions &options, std::shared_ptr<ModuleBackend> backend,
                  const RingTransformerWeights &weights);
  ~RingTransformer();
  RingTransformer(RingTransformer &&) noexcept;
  RingTransformer &operator=(RingTransformer &&) noexcept;

  const RingTransformerOptions &options() const;
  ModuleBackend &backend();

  /// Copies; forwards before it need their backward before it.
  void setWeights(const RingTransformerWeights &weights);
  /// A copy, as they are now.
  RingTransformerWeights weights() const;

  /// [b, n, num_tokens] of the type of the products, dealt as the tokens are, in the backend's
  /// memory.
  SharedTensor logits(const RingTransformerInputs &inputs);

  RingTransformerLoss loss(const RingTransformerInputs &inputs);
  RingTransformerGradients backward(const RingTransformerLoss &forward);

  /// For optimisers: where the weights lie. What changes them calls `changed` after it.
  ParameterMemory &parameters();
  void changed();
  /// For what goes through the layers otherwise (TokenDecoder).
  TransformerLayers &layers();

private:
  class Model;
  std::unique_ptr<Model> self;
};

} // namespace ringc
