#pragma once

#include "compiler/spec/EnumNames.h"
#include "compiler/spec/Spec.h"
#include "runtime/Tensor.h"
#include "runtime/attention/Context.h"
#include "runtime/ring/Executor.h"
#include "runtime/ring/Schedule.h"
#include "runtime/ring/SequenceLayout.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ringc {

class Transport;

/// i - left <= j <= i + right; -1 is unbounded.
struct Window {
  int64_t left = -1;
  int64_t right = -1;

  bool operator==(const Window &) const = default;
};

/// A mask or score written in the tile language (kernels.tiles/LANGUAGE.md).
struct UserFunction {
  std::string file;                ///< path, or any name that messages shall use for `text`
  std::string name;                ///< of the function in it
  std::optional<std::string> text; ///< the source; absent: read from `file`
};

/// How a backward makes dq.
enum class BackwardForm {
  Split, ///< in a kernel of its own: the same bits every time
  Fused, ///< with dk and dv, 5 products for 7; on a GPU in f32 sums whose order is not fixed
};
template <> struct EnumNames<BackwardForm> {
  static constexpr std::array<std::pair<BackwardForm, std::string_view>, 2> table = {
      {{BackwardForm::Split, "split"}, {BackwardForm::Fused, "fused"}}};
};

/// What is computed, of semantics.md section 1, and how the sequence is dealt to a ring.
///
///     s_ij  = scale * q_i . k_j, then softcap, the user's scores, ALiBi, bias
///     out_i = sum over visible j of exp(s_ij - lse_i) v_j
///
/// i and j are positions in the unsharded sequence; a query's is its row plus n_k - n_q.
struct AttentionOptions {
  int64_t heads = 1;
  int64_t kvHeads = 0;      ///< a divisor of heads; 0: as many
  int64_t headDim = 64;     ///< 1 to 256
  int64_t valueHeadDim = 0; ///< 1 to 256; 0: headDim
  HeadMap headMap = HeadMap::Blocked;
  DType dtype = DType::F32; ///< f32, f16 or bf16: of q, k, v and results; sums are f32

  /// Of f32 on a GPU: within 2e-5 of double precision, or faster and within 2e-3.
  F32Products f32Products = F32Products::Tf32x3;

  std::optional<double> scale = {}; ///< below 2^126 in magnitude; absent: headDim^-1/2
  bool causal = false;              ///< j <= i
  int64_t prefix = 0;               ///< keys below it are exempt from causal
  Window window = {};
  /// c * tanh(s / c), 1e-30 <= c <= 1e30; scale / c is below 2^126
  std::optional<double> softcap = {};
  bool alibi = false;                    ///< s minus slope[h] * |i - j|
  std::vector<float> alibiSlopes = {};   ///< one a head; empty: 2^(-8 (h + 1) / heads)
  std::vector<UserFunction> masks = {};  ///< all must hold, besides the above
  std::vector<UserFunction> scores = {}; ///< between softcap and ALiBi, in this order

  SequenceLayout layout = {};
  int ringSize = 0; ///< a divisor of the world; 0: the world
  /// Absent: AllGather where ranks lend keys to each other, as those of InProcessRing do; else the
  /// one that is expected to be faster, from sizes and from typical speeds: the same every time,
  /// for the order of sums in dK and dV is the schedule's.
  std::optional<Schedule> schedule = {};
  /// Absent: Split, but on the host Fused where KV heads keep all processors of the machine busy;
  /// there too the bits are the same every time, and by any number of threads.
  std::optional<BackwardForm> backward = {};
  std::map<std::string, int64_t> tile =
      {}; ///< {"q", 64}, {"kv", 128}; absent: what was tuned, else the compiler's choice
  /// A table of tuned tile sizes (`ringc tune`): absent the user's, "" none, else a path. Other
  /// sizes add in another order, and give other last bits.
  std::optional<std::string> tune = {};
};

/// Of the unsharded tensors, all rings together. Lengths are at most 2^31 - 1, and the rows that a
/// rank holds of the heads that share a KV head at most 2^31 - 2^16 - 1 together.
struct AttentionShape {
  int64_t batch = 0;
  int64_t queryLength = 0;
  int64_t keyLength = 0;
};

/// A parameter of a user's function. A number fits a parameter of any type that holds it exactly.
using ArgumentValue = std::variant<int64_t, double, bool, Tensor>;

/// What one rank holds, or for InProcessRing the whole. Any strides; without a unit stride on the
/// last axis of q, k or v a copy is made.
struct AttentionInputs {
  Tensor q; ///< [b, n_q, h, d]
  Tensor k; ///< [b, n_k, h_kv, d]
  Tensor v; ///< [b, n_k, h_kv, d_v]

  std::optional<Tensor> keyMask = {};   ///< bool [b, n_k], true is visible
  std::optional<Tensor> bias = {};      ///< [b or 1, h or 1, n_q, all n_k], added; gets no gradient
  std::optional<Tensor> cuSeqlens = {}; ///< i32, 0 .. n_k rising; the same on every rank

  /// By "function.parameter", or by "parameter" where that is unique; where two functions share a
  /// name, by "file:function.parameter". Tensors have the extents that
  /// the function declares; rows of an extent Nq or Nk are the rank's own, but a matrix of both has
  /// all n_k columns. An extent B, H or Hkv may be 1 instead.
  std::map<std::string, ArgumentValue> arguments = {};
};

struct ForwardResults {
  Tensor out; ///< [b, n_q, h, d_v]
  Tensor lse; ///< f32 [b, h, n_q], natural logarithm; -inf where a row sees no key

  /// The largest logit of each row, and the sum of exp(s - it) as the forward has it: both or none,
  /// f32 [b, h, n_q]. A backward that is given them makes the forward's own probabilities of them;
  /// from lse alone they have a relative error of 2^-24 |lse|, of its rounding.
  std::optional<Tensor> rowMax = {}, rowSum = {};
};

struct GradientResults {
  Tensor dq, dk, dv; ///< as q, k, v
};

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
class Attention {
public:
  /// `transport` must outlive it.
  Attention(AttentionOptions options, Transport &transport, AttentionContext context);
  ~Attention();
  Attention(Attention &&) noexcept;
  Attention &operator=(Attention &&) noexcept;

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
