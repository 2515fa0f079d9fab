#pragma once

#include "tools/ringc/DecodeCase.h"
#include "tools/ringc/DecodeTensors.h"

#include <cstdint>
#include <deque>
#include <vector>

namespace ringc::test {

HostTensor integers(const std::vector<int64_t> &values, std::vector<int64_t> shape);

/// A case, what each rank has of it, and what is right in double precision.
class DecodeProblem {
public:
  /// Keys side by side without cuts: equal shares, but the last rank, if it is not alone, has none.
  DecodeProblem(cli::DecodeCase given, uint64_t seed);

  const DecodeOptions &options() const { return of.options; }
  const DecodeInputs &inputsOf(int rank) const { return shares[size_t(rank)].inputs; }
  const DecodeKeys &keysOf(int rank) const { return shares[size_t(rank)].keys; }

  HostTensor newOut() const;
  HostTensor newLse() const;
  /// To rounding.
  bool isRight(const Tensor &out, const Tensor &lse) const;

private:
  cli::DecodeCase of;
  cli::DecodeCheck check;
  std::deque<cli::DecodeShare> shares; ///< by rank
};

} // namespace ringc::test
