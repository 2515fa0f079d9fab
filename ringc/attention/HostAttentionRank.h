#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Context.h"
#include "ringc/ring/Executor.h"
#include "ringc/ring/Plan.h"

#include <memory>
#include <vector>

namespace ringc {

class Transport;

/// One rank's share of an exact ring attention: kernels compiled for the options, and the rank's
/// scratch memory. All ranks of a ring make the same calls with the same options and shape; each
/// sees its own shard and what the transport brings. Before a call sends anything its ranks compare
/// what must be the same: options, sources of masks and scores, shapes, numbers, cu_seqlens and
/// arguments that are not dealt, the pass, the build; where they differ, each throws a PeerError
/// that names the field, both values and their ranks. Rings of other sizes in one world do not
/// meet, and end by the transport's deadline. Batch entries are dealt to the rings
/// (batchOfRing), rows to a ring's ranks (localLength, positions).
///
/// Sums are f32. Against double precision f32 results are within 2e-5 (relative Frobenius norm) as
/// long as logits stay below about 100; beyond it the error is that of a logit in f32, 2^-24 times
/// its size, which exp amplifies. Logits of any finite size are right: each is rounded to f32 as
/// scale, scores and bias make it, and their differences are exact. So an additive mask does what
/// it does in plain f32: a row of -1e9, or of the lowest f32, is the mean of its values, and only
/// the masks and -inf leave a row empty.
///
/// A row's sum of p * v is made before it is divided by the sum of p: it overflows, and `out` is
/// infinite or NaN, where the largest |v| times the keys that a row sees, times 1.5, leaves f32's
/// range. The same holds of the sums of the gradients over queries or keys, of dot products, and of
/// scale times one.
///
/// One thread at a time calls an object; others of the same context may be called beside it.
///
/// Throws InputError for options and inputs that cannot be, with .tile diagnostics in its message,
/// and PeerError when a rank fails; then the other ranks of the world fail too.
class HostAttentionRank {
public:
  /// `transport` must outlive it.
  HostAttentionRank(AttentionOptions options, Transport &transport, AttentionContext context);
  ~HostAttentionRank();
  HostAttentionRank(HostAttentionRank &&) noexcept;
  HostAttentionRank &operator=(HostAttentionRank &&) noexcept;

  /// Writes `results`, any strides with a unit last one.
  ExecutionReport forward(const AttentionShape &shape, const AttentionInputs &inputs,
                          const ForwardResults &results);

  /// The gradients for `dout`, as out; `results` are those that `forward` gave for the same inputs.
  ExecutionReport backward(const AttentionShape &shape, const AttentionInputs &inputs,
                           const ForwardResults &results, const Tensor &dout,
                           const GradientResults &gradients);

  /// Compiles what a pass needs, where it is not compiled yet, so that the first call does not. Of
  /// the inputs it matters which are there.
  void prepare(Pass pass, const AttentionInputs &inputs);

  /// What a call of one pass does on every rank of this one's ring, by place: hops, messages,
  /// bytes. Of q, k and v the shapes suffice.
  std::vector<Plan> plans(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs);

private:
  class Rank;
  std::unique_ptr<Rank> self;
};

} // namespace ringc
