#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/ring/SubRings.h"

#include <cstdint>

namespace ringc {

/// One call as one rank sees it: whose rows and batch entries it holds.
struct RankProblem {
  SubRings rings;
  SequenceLayout layout;
  int rank = 0;
  AttentionShape global;

  /// Throws InputError where the world, ring size, lengths or layout cannot be, and where kernels
  /// could not count the rows of some rank.
  RankProblem(const AttentionOptions &options, int world, int ownRank, const AttentionShape &shape);

  int place() const { return rings.placeOf(rank); }
  BatchRange batch() const { return batchOfRing(global.batch, rings.rings(), rings.ringOf(rank)); }
  int64_t queryRows() const {
    return localLength(layout, place(), rings.ringSize, global.queryLength);
  }
  int64_t keyRows() const { return localLength(layout, place(), rings.ringSize, global.keyLength); }
  ringc::Positions queryPositions() const {
    return ringc::queryPositions(layout, place(), rings.ringSize, global.queryLength,
                                 global.keyLength);
  }
  /// Of the rows of `owner`, a world rank.
  ringc::Positions keyPositions(int owner) const {
    return positions(layout, rings.placeOf(owner), rings.ringSize, global.keyLength);
  }
};

/// The extents of inputs: a rank's, or those of the whole.
struct Extents {
  int64_t batch, queryRows, keyRows, keyLength;

  static Extents ofRank(const RankProblem &problem) {
    return {problem.batch().count, problem.queryRows(), problem.keyRows(),
            problem.global.keyLength};
  }
  static Extents ofWhole(const AttentionShape &shape) {
    return {shape.batch, shape.queryLength, shape.keyLength, shape.keyLength};
  }
};

/// Throws InputError naming the first input that does not fit: q, k, v, key mask, bias, cu_seqlens.
/// `options` are complete.
void checkInputs(const AttentionOptions &options, const AttentionShape &shape,
                 const Extents &extents, const AttentionInputs &inputs);

/// Likewise of the results: out, lse; dout, dq, dk, dv. The kernels write out and dq in rows.
void checkResults(const AttentionOptions &options, const Extents &extents,
                  const ForwardResults &results);
void checkGradients(const AttentionOptions &options, const Extents &extents, const Tensor &dout,
                    const GradientResults &gradients);

/// Throws InputError unless these are i32 that rise from 0 to the number of keys.
void checkCuSeqlens(const AttentionShape &shape, const Tensor &cuSeqlens);

/// Throws InputError unless the rows of the last axis have no gaps.
void checkUnitStride(std::string_view argument, const Tensor &tensor);

/// Throws InputError unless `tensor` has this type and shape.
void checkTensor(std::string_view argument, const Tensor &tensor, DType dtype,
                 std::initializer_list<int64_t> shape);

} // namespace ringc
