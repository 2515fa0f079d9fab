#pragma once

#include "ringc/Tensor.h"
#include "ringc/transformer/RingTransformerOptions.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringc {

/// A weight of a transformer: its name in the original's checkpoints, and its shape.
struct RingTransformerWeight {
  std::string name;
  std::vector<int64_t> shape;

  /// What it is before training.
  enum class Initial : uint8_t { One, Uniform, Normal } initial = Initial::One;
  int64_t inputs = 1; ///< Uniform within 1 / sqrt(inputs)
};

/// All that the options call for, one order always: token_emb.weight; of layer I
/// layers.I.0.{to_qkv.0.gamma, to_qkv.1.weight, to_out.weight}, layers.I.1.{0.gamma, 1.weight,
/// 1.bias, 3.weight, 3.bias}; to_logits.0.gamma, to_logits.1.weight.
std::vector<RingTransformerWeight> weightsOf(const RingTransformerOptions &options);

/// Weights by name, f32 and row-major, in memory of the host.
struct RingTransformerWeights {
  std::map<std::string, HostTensor, std::less<>> tensors;

  /// As PyTorch initialises them: gammas 1, the embedding normal, linear layers and their biases
  /// uniform within 1 / sqrt(inputs). The same numbers for a seed everywhere.
  static RingTransformerWeights initial(const RingTransformerOptions &options, uint64_t seed);

  /// From a .safetensors file, floats of any type, the original's too: other names in it are left
  /// alone, but for `rotary_emb.inv_freq`, which is compared with the options. Throws InputError
  /// naming the file and the tensor that is missing or has another shape, with both shapes.
  static RingTransformerWeights load(const std::string &path,
                                     const RingTransformerOptions &options);

  /// Writes a .safetensors file that appears, or replaces another, when it is complete, for the
  /// original to load. Throws InputError, and then what was there is as it was.
  void save(const std::string &path, const RingTransformerOptions &options) const;
};

/// Throws InputError naming the first that is missing, has another type or shape, or that the
/// options do not call for.
void checkWeights(const RingTransformerOptions &options, const RingTransformerWeights &weights);

/// What the shapes of a checkpoint, and its `rotary_emb.inv_freq`, say of a model: everything but
/// causal, look-back and softcap, and what changes no result. Throws InputError naming the file.
RingTransformerOptions optionsOfCheckpoint(const std::string &path);

/// `rotary_emb.inv_freq`, f32 [dim_head / 2]: radians from position to position.
HostTensor inverseFrequencies(const RingTransformerOptions &options);

} // namespace ringc
