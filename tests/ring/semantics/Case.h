#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Context.h"
#include "tests/support/ReferenceAttention.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ringc::test {

/// One attention of a whole sequence on one world.
struct Case {
  AttentionOptions options = {};
  int world = 1;
  AttentionShape shape{1, 33, 33};

  std::vector<uint8_t> keyMask = {};                      ///< [b, n_k]; empty: none
  std::vector<int32_t> cuSeqlens = {};                    ///< empty: none
  std::optional<std::array<int64_t, 2>> biasLeading = {}; ///< b or 1, h or 1
  std::map<std::string, ArgumentValue> arguments = {};    ///< of the user's functions

  /// What the user's functions mean, for the reference.
  std::function<bool(int b, int h, int64_t i, int64_t j)> predicate = {};
  reference::ScoreFunction score = {}, scoreDerivative = {};

  double logitSpread = 1; ///< standard deviation of q and k

  int64_t kvHeads() const { return options.kvHeads ? options.kvHeads : options.heads; }
  int64_t valueDim() const { return options.valueHeadDim ? options.valueHeadDim : options.headDim; }
  std::string name() const;
};

/// Unsharded tensors.
struct Data {
  HostTensor q, k, v, dout;
  HostTensor keyMask, cuSeqlens, bias; ///< empty where the case has none
};

/// A seed that no run had before, or RINGC_TEST_SEED to repeat one.
uint64_t freshSeed();

/// Normal random numbers, and NaN or infinity in keys that no query sees: they may hold anything.
Data randomData(const Case &given, uint64_t seed);

/// As `randomData`, finite throughout.
Data finiteData(const Case &given, uint64_t seed);

AttentionInputs inputsOf(const Case &given, const Data &data);
reference::Problem problemOf(const Case &given, const Data &data);

/// [b, h_kv, n_k]: whether a query sees the key, asked pair by pair.
std::vector<uint8_t> keysSeen(const Case &given);

/// The kernels and threads that all cases share.
const AttentionContext &context();

/// Both passes of the compiled attention.
reference::Result compute(const Case &given, const Data &data);
reference::Result resultOf(const HostTensor &out, const HostTensor &lse, const HostTensor &dq,
                           const HostTensor &dk, const HostTensor &dv);

} // namespace ringc::test
