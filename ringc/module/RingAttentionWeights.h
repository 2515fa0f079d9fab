#pragma once

#include "ringc/Tensor.h"
#include "ringc/module/RingAttentionOptions.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// A module's parameters, f32 and row-major, in memory of the host; of the optimiser, whatever type
/// the module multiplies in.
struct RingAttentionWeights {
  HostTensor gamma; ///< `to_qkv.0.gamma` [dim]; without prenorm of no axis
  HostTensor toQkv; ///< `to_qkv.1.weight` [(heads + 2 kv heads) * dim_head, dim]: rows q, k, v,
                    ///< head after head
  HostTensor toOut; ///< `to_out.weight` [dim, heads * dim_head]

  /// As PyTorch initialises it: gamma 1, matrices uniform within 1 / sqrt(their columns). The same
  /// numbers for a seed everywhere.
  static RingAttentionWeights initial(const RingAttentionOptions &options, uint64_t seed);

  /// From a .safetensors file, floats of any type; `prefix` stands before the names above, as
  /// "layers.0.0." does in a transformer's. Throws InputError naming the file and the tensor that
  /// is missing or has another shape than the options say, with both shapes.
  static RingAttentionWeights load(const std::string &path, const RingAttentionOptions &options,
                                   const std::string &prefix = "");

  /// Writes a .safetensors file that appears, or replaces another, when it is complete. Throws
  /// InputError, and then what was there is as it was.
  void save(const std::string &path, const std::string &prefix = "") const;
};

/// Each tensor that the options call for: its name, its shape, and where it is.
struct RingAttentionWeight {
  std::string_view name;
  std::vector<int64_t> shape;
  HostTensor RingAttentionWeights::*tensor;
};
std::vector<RingAttentionWeight> weightsOf(const RingAttentionOptions &options);

/// Throws InputError naming the first that has another type or shape.
void checkWeights(const RingAttentionOptions &options, const RingAttentionWeights &weights);

} // namespace ringc
