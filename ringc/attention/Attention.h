#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/Fields.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/ring/Schedule.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/support/EnumNames.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ringc {

/// i - left <= j <= i + right; -1 is unbounded.
struct Window {
  int64_t left = -1;
  int64_t right = -1;

  bool operator==(const Window &) const = default;
};
template <FieldsOf<Window> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[left, right] = self;
  visit(Field{"left", "i - left <= j; -1 is unbounded"}, left);
  visit(Field{"right", "j <= i + right; -1 is unbounded"}, right);
}

/// A mask or score written in the tile language (kernels.tiles/LANGUAGE.md).
struct UserFunction {
  std::string file;                ///< path, or any name that messages shall use for `text`
  std::string name;                ///< of the function in it
  std::optional<std::string> text; ///< the source; absent: read from `file`
};
template <FieldsOf<UserFunction> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[file, name, text] = self;
  visit(Field{"file", "path of a .tile file, or any name for the text"}, file);
  visit(Field{"name", "of the function in it"}, name);
  visit(Field{"text", "the source, in place of the file's"}, text);
}

/// How a backward makes dq.
enum class BackwardForm {
  Split, ///< in a kernel of its own: the same bits every time
  Fused, ///< with dk and dv, 5 products for 7; on a GPU in f32 sums whose order is not fixed
};
template <> struct EnumNames<BackwardForm> {
  static constexpr std::array<std::pair<BackwardForm, std::string_view>, 2> table = {
      {{BackwardForm::Split, "split"}, {BackwardForm::Fused, "fused"}}};
};

/// What is computed (docs/semantics.md section 1), and how the sequence is dealt to a ring.
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
  /// Absent: AllGather where ranks lend keys to each other, as those of HostAttentionRing do; else
  /// the one that is expected to be faster, from sizes and from typical speeds: the same every
  /// time, for the order of sums in dK and dV is the schedule's.
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
template <FieldsOf<AttentionOptions> Self, class Visit>
void visitFields(Self &self, Visit &&visit) {
  auto &[heads, kvHeads, headDim, valueHeadDim, headMap, dtype, f32Products, scale, causal, prefix,
         window, softcap, alibi, alibiSlopes, masks, scores, layout, ringSize, schedule, backward,
         tile, tune] = self;
  visit(Field{"heads", "of queries"}, heads);
  visit(Field{"kv_heads", "of keys and values, a divisor of heads; 0 is heads"}, kvHeads);
  visit(Field{"head_dim", "elements of a row of q and k, 1 to 256"}, headDim);
  visit(Field{"value_head_dim", "elements of a row of v; 0 is head_dim"}, valueHeadDim);
  visit(Field{"head_map", "which query head reads which key head"}, headMap);
  visit(Field{"dtype", "of q, k, v and results: f32, f16 or bf16; sums are f32"}, dtype);
  visit(Field{"f32",
              "on a GPU, a product of f32 as three of tf32, within 2e-5, or as one, within 2e-3"},
        f32Products);
  visit(Field{"scale", "that q . k is multiplied by; null is head_dim^-1/2"}, scale);
  visit(Field{"causal", "a query sees no later key"}, causal);
  visit(Field{"prefix", "keys below it are exempt from causal"}, prefix);
  visit(Field{"window", "i - left <= j <= i + right"}, window);
  visit(Field{"softcap", "c of c * tanh(s / c); null is none"}, softcap);
  visit(Field{"alibi", "s minus slope[h] * |i - j|"}, alibi);
  visit(Field{"alibi_slopes", "one a head; empty is 2^(-8 (h + 1) / heads)"}, alibiSlopes);
  visit(Field{"masks", "of the user's, which must all hold besides the others"}, masks);
  visit(Field{"scores", "of the user's, between softcap and ALiBi, in this order"}, scores);
  visit(Field{"layout", "how the sequence is dealt to the ranks"}, layout);
  visit(Field{"ring_size", "ranks of a ring, a divisor of the world; 0 is the world"}, ringSize);
  visit(Field{"schedule", "how keys get to the other ranks; null is chosen by sizes"}, schedule);
  visit(Field{"backward", "dq in a kernel of its own, or with dk and dv; null is chosen"},
        backward);
  visit(Field{"tile", "tile sizes by dimension, in place of tuned ones or the compiler's choice"},
        tile);
  visit(Field{"tune", "path of a table of tuned tile sizes; \"\" is none, null the context's"},
        tune);
}

/// Of the unsharded tensors, all rings together. Lengths are at most 2^31 - 1, and the rows that a
/// rank holds of the heads that share a KV head at most 2^31 - 2^16 - 1 together.
struct AttentionShape {
  int64_t batch = 0;
  int64_t queryLength = 0;
  int64_t keyLength = 0;
};

/// A parameter of a user's function. A number fits a parameter of any type that holds it exactly.
using ArgumentValue = std::variant<int64_t, double, bool, Tensor>;

/// What one rank holds, or for HostAttentionRing the whole. Any strides; without a unit stride on
/// the last axis of q, k or v a copy is made.
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

} // namespace ringc
