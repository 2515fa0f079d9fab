#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/Fields.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/support/EnumNames.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace ringc {

/// Rotary position embedding, RoFormer (arXiv 2104.09864) section 3.2.2: pair i of a head's r
/// rotary dims is a point of the plane, turned by an angle that grows with the row's position.
///
///     angle_i = position * base^(-2 i / r)                     0 <= i < r / 2, radians
///     a' = a cos(angle_i) - b sin(angle_i)
///     b' = b cos(angle_i) + a sin(angle_i)
///
/// Then q_i . k_j depends on i - j alone, provided that both positions are global: a rank passes
/// the `positions` of its rows, for queries `queryPositions`.
struct RopeOptions {
  /// Which two numbers are a pair.
  enum class Style : uint8_t {
    HalfSplit,   ///< i and r / 2 + i: GPT-NeoX, Llama in Hugging Face's form
    Interleaved, ///< 2 i and 2 i + 1: the paper, GPT-J, Llama as it was published
  };

  Style style = Style::HalfSplit;
  double base = 10000;    ///< 1 or more; also called theta
  int64_t rotaryDims = 0; ///< r, even; the other dims of a head are copied. 0: all
};
template <> struct EnumNames<RopeOptions::Style> {
  static constexpr std::array<std::pair<RopeOptions::Style, std::string_view>, 2> table = {
      {{RopeOptions::Style::HalfSplit, "half_split"},
       {RopeOptions::Style::Interleaved, "interleaved"}}};
};
template <FieldsOf<RopeOptions> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[style, base, rotaryDims] = self;
  visit(Field{"style", "which two numbers of a head are a pair"}, style);
  visit(Field{"base", "of the angles, 1 or more; also called theta"}, base);
  visit(Field{"rotary_dims", "of a head that turn, even; 0 is all"}, rotaryDims);
}

/// Turns the rows of `from` [batch, rows, heads, head dim] as their positions ask and writes them
/// to `to`: f32, f16 or bf16, any strides, rows in the order of `positions`. `to` may be `from`;
/// apart from that they do not overlap. Angles are double, exact to 2^-22 radians at the last
/// position there is, 2^31 - 1; products and sums are f32.
///
/// Throws InputError when shape or dtype differ or are others than those above, when two elements
/// of `to` are one, when the options cannot be, and where a position lies outside -2^31 .. 2^31
/// - 1.
void rope(const Tensor &from, const Tensor &to, const Positions &positions,
          const RopeOptions &options = {});

/// Turns back, by the negative angles: the inverse, and with the gradient of what `rope` wrote as
/// `from` the gradient of what it read.
void ropeInverse(const Tensor &from, const Tensor &to, const Positions &positions,
                 const RopeOptions &options = {});

} // namespace ringc
