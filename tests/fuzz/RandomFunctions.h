#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ringc::fuzz {

/// Choices read off bytes, so that who mutates the bytes mutates what is chosen. Where there are no
/// more, the first choice is taken.
class Choices {
public:
  explicit Choices(std::span<const uint8_t> data) : bytes(data) {}

  /// 0 to `count` - 1.
  int below(int count) {
    if (bytes.empty())
      return 0;
    int choice = bytes.front() % count;
    bytes = bytes.subspan(1);
    return choice;
  }
  bool oneIn(int count) { return below(count) == count - 1; }

private:
  std::span<const uint8_t> bytes;
};

/// A mask `seen` and a score `moved` in the tile language, drawn from its grammar, over the
/// parameters
///
///     p: i32, x: f32, w: view<i32>[W], e: view<f32>[W], hs: view<i32>[H], rows: view<f32>[H, Nq],
///     keys: view<i32>[B, Nk], keep: view<bool>[Nk]
///
/// Integers are anything. Of floats the value is known to be small and the condition good, so that
/// a difference from double precision is no rounding: floats that are compared, or become integers,
/// are multiples of 1/8, and do not depend on the score.
class RandomFunctions {
public:
  explicit RandomFunctions(Choices &from) : choices(from) {}

  std::string text();

  /// Whether the score has a place where its slope jumps, near which differences are no gradients.
  bool hasKinks() const { return kinks; }

private:
  /// |value| <= bound.
  struct Real {
    std::string text;
    double bound;
    bool ofScore;
  };
  std::string integer(int depth);
  std::string index();
  std::string truth(int depth);
  Real exact(int depth);
  Real real(int depth);
  std::string lets();

  Choices &choices;
  bool kinks = false;
  int integerLets = 0;
};

} // namespace ringc::fuzz
