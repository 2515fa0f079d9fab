#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringc::frontend {

/// The type of one element: a type of the language, or a kernel's constant of kind type (T), bound
/// when it is compiled.
struct Element {
  enum class Kind { F32, F16, BF16, I32, Bool, Constant };

  Kind kind = Kind::F32;
  std::string name = {}; ///< Constant only
  bool operator==(const Element &) const = default;

  /// f32, f16, bf16, or a constant (which is bound to one of them)
  bool isFloat() const { return kind != Kind::I32 && kind != Kind::Bool; }
};

inline const Element f32Element{Element::Kind::F32};
inline const Element i32Element{Element::Kind::I32};
inline const Element boolElement{Element::Kind::Bool};

/// The length of an axis: a number, or a name (a kernel's integer constant, a known or a free
/// extent).
struct Extent {
  int64_t number = 0;
  std::string name = {}; ///< empty for a number
  bool operator==(const Extent &) const = default;
  bool isNumber() const { return name.empty(); }
  bool isOne() const { return isNumber() && number == 1; }
};

/// What an expression or a parameter is.
struct Type {
  enum class Kind {
    Invalid, ///< of an expression with an error that is already reported
    Scalar,
    Tile,           ///< two extents, static
    View,           ///< one to four extents
    Positions,      ///< one extent: Nq or Nk
    PositionWindow, ///< one extent: the window's size
    Carry,
  };

  Kind kind = Kind::Invalid;
  Element element = {};
  std::vector<Extent> shape = {};
  bool sums = false; ///< View of f32 whose order of elements is the target's
  bool operator==(const Type &) const = default;

  bool isInvalid() const { return kind == Kind::Invalid; }
  bool isScalar() const { return kind == Kind::Scalar; }
  bool isScalar(Element::Kind of) const { return isScalar() && element.kind == of; }
  bool isTile() const { return kind == Kind::Tile; }
  bool isTile(Element::Kind of) const { return isTile() && element.kind == of; }

  static Type scalar(Element element) { return {Kind::Scalar, std::move(element), {}}; }
  static Type tile(Element element, std::vector<Extent> shape) {
    return {Kind::Tile, std::move(element), std::move(shape)};
  }
};

std::string print(const Element &element);
std::string print(const Extent &extent);
/// "BQ, D"
std::string print(const std::vector<Extent> &shape);
/// As the language writes it: "f32", "tile<f32>[BQ, D]", "view<T>[Nq, D]", "sums[Nq, D]",
/// "positions[Nq]".
std::string print(const Type &type);

} // namespace ringc::frontend
