#include "tests/fuzz/RandomFunctions.h"

#include <algorithm>
#include <array>

namespace ringc::fuzz {

namespace {

constexpr const char *common =
    "b: index, h: index, i: index, j: index, p: i32, x: f32, w: view<i32>[W], "
    "e: view<f32>[W], hs: view<i32>[H], rows: view<f32>[H, Nq], "
    "keys: view<i32>[B, Nk], keep: view<bool>[Nk]";
constexpr double most = 40;

} // namespace

/// What a free axis is indexed by: bare, constant, or anything.
std::string RandomFunctions::index() {
  constexpr std::array words = {"i", "j",          "b",     "h",     "0",
                                "5", "1000000000", "0 - 3", "j - i", "2 * j"};
  return choices.oneIn(4) ? integer(1) : words[size_t(choices.below(int(words.size())))];
}

std::string RandomFunctions::integer(int depth) {
  if (depth == 0 || choices.oneIn(5)) {
    constexpr std::array leaves = {"i", "j", "(i - j)", "b",    "h", "p",         "1",
                                   "2", "3", "7",       "(-4)", "0", "2147483647"};
    switch (choices.below(8)) {
    case 0:
      return "w[" + (depth ? index() : std::string("j")) + "]";
    case 1:
      return choices.oneIn(2) ? "hs[h]" : "keys[b, j]";
    case 2:
      if (integerLets)
        return "n" + std::to_string(choices.below(integerLets));
      [[fallthrough]];
    default:
      return leaves[size_t(choices.below(int(leaves.size())))];
    }
  }
  auto operand = [&] { return integer(depth - 1); };
  constexpr std::array infix = {" + ", " - ", " * ", " / ", " % "};
  switch (int choice = choices.below(10)) {
  case 5:
    return "min(" + operand() + ", " + operand() + ")";
  case 6:
    return "max(" + operand() + ", " + operand() + ")";
  case 7:
    return choices.oneIn(2) ? "abs(" + operand() + ")" : "(-" + operand() + ")";
  case 8: {
    std::string condition = truth(depth - 1), then = operand();
    return "(" + condition + " ? " + then + " : " + operand() + ")";
  }
  case 9:
    return "i32(" + exact(depth - 1).text + ")";
  default: {
    std::string left = operand();
    return "(" + left + infix[size_t(choice)] + operand() + ")";
  }
  }
}

std::string RandomFunctions::truth(int depth) {
  constexpr std::array compare = {" <= ", " < ", " == ", " != ", " > ", " >= "};
  auto comparison = [&] {
    return std::string(compare[size_t(choices.below(int(compare.size())))]);
  };
  if (depth == 0)
    return choices.oneIn(3) ? "keep[j]" : "(i" + comparison() + "j)";
  switch (choices.below(8)) {
  case 0:
    return "keep[j]";
  case 7:
    return "(random(" + integer(depth - 1) + ", b, h, i, j)" + comparison() + "0.5)";
  case 1: {
    std::string left = truth(depth - 1);
    return "(" + left + (choices.oneIn(2) ? " and " : " or ") + truth(depth - 1) + ")";
  }
  case 2:
    return "(not " + truth(depth - 1) + ")";
  case 3: {
    std::string left = exact(depth - 1).text;
    return "(" + left + comparison() + exact(depth - 1).text + ")";
  }
  default: {
    std::string left = integer(depth - 1);
    return "(" + left + comparison() + integer(depth - 1) + ")";
  }
  }
}

/// A multiple of 1/8.
RandomFunctions::Real RandomFunctions::exact(int depth) {
  switch (choices.below(depth ? 8 : 3)) {
  case 0:
    return {"x", 8, false};
  case 1:
    return {"rows[h, i]", 8, false};
  case 2:
    return {choices.oneIn(2) ? "0.5" : "(-1.25)", 2, false};
  case 3:
    return {"e[" + index() + "]", 8, false};
  case 4: {
    Real left = exact(depth - 1), right = exact(depth - 1);
    return {"(" + left.text + " + " + right.text + ")", left.bound + right.bound, false};
  }
  case 5: {
    Real left = exact(depth - 1), right = exact(depth - 1);
    return {(choices.oneIn(2) ? "min(" : "max(") + left.text + ", " + right.text + ")",
            std::max(left.bound, right.bound), false};
  }
  case 6:
    return {"abs(" + exact(depth - 1).text + ")", 64, false};
  default:
    return {"f32(" + integer(depth - 1) + " % 17)", 17, false};
  }
}

RandomFunctions::Real RandomFunctions::real(int depth) {
  if (depth == 0)
    return choices.oneIn(3) ? exact(1) : Real{"s", 8, true};
  Real a = real(depth - 1);
  if (a.bound > most)
    a = {"(" + a.text + " * 0.0625)", a.bound / 16, a.ofScore};
  switch (choices.below(17)) {
  case 12:
    return {"exp(tanh(" + a.text + "))", 3, a.ofScore};
  case 13:
    return {"log(1.5 + tanh(" + a.text + "))", 1, a.ofScore};
  case 14:
    return {"sin(" + a.text + ")", 1, a.ofScore};
  case 15:
    return {"cos(" + a.text + ")", 1, a.ofScore};
  case 16:
    return {"erf(" + a.text + ")", 1, a.ofScore};
  case 0: {
    Real b = real(depth - 1);
    return {"(" + a.text + " + " + b.text + ")", a.bound + b.bound, a.ofScore || b.ofScore};
  }
  case 1: {
    Real b = real(depth - 1);
    return {"(" + a.text + " - " + b.text + ")", a.bound + b.bound, a.ofScore || b.ofScore};
  }
  case 2: {
    Real b = real(depth - 1);
    return {"(0.125 * " + a.text + " * tanh(" + b.text + "))", a.bound / 8, a.ofScore || b.ofScore};
  }
  case 3:
    return {"(2.5 * tanh(" + a.text + "))", 2.5, a.ofScore};
  case 4:
    return {"exp2(tanh(" + a.text + "))", 2, a.ofScore};
  case 5:
    return {"log2(1.5 + tanh(" + a.text + "))", 2, a.ofScore};
  case 6:
    return {"sqrt(1 + " + a.text + " * " + a.text + ")", a.bound + 1, a.ofScore};
  case 7:
    return {"(" + a.text + " / (1.25 + tanh(" + real(depth - 1).text + ")))", 4 * a.bound, true};
  case 8: {
    std::string condition = truth(depth - 1);
    Real b = real(depth - 1);
    std::string text = choices.oneIn(2)
                           ? "(" + condition + " ? " + a.text + " : " + b.text + ")"
                           : "where(" + condition + ", " + a.text + ", " + b.text + ")";
    return {text, std::max(a.bound, b.bound), a.ofScore || b.ofScore};
  }
  case 9:
    kinks |= a.ofScore;
    return {"abs(" + a.text + ")", a.bound, a.ofScore};
  case 10: {
    Real b = exact(1);
    kinks |= a.ofScore;
    return {(choices.oneIn(2) ? "min(" : "max(") + a.text + ", " + b.text + ")",
            std::max(a.bound, b.bound), a.ofScore};
  }
  default:
    return {"(-" + a.text + ")", a.bound, a.ofScore};
  }
}

std::string RandomFunctions::lets() {
  std::string text;
  for (int count = choices.below(3); integerLets < count; ++integerLets)
    text += "  let n" + std::to_string(integerLets) + " = " + integer(2) + "\n";
  return text;
}

std::string RandomFunctions::text() {
  std::string mask = std::string("mask seen(") + common + ") {\n" + lets();
  mask += "  return " + truth(4) + "\n}\n";
  integerLets = 0;
  std::string score = std::string("score moved(s: f32, ") + common + ") {\n" + lets();
  Real value = real(3);
  if (value.bound > most)
    value.text += " * 0.03125";
  return mask + score + "  return " + value.text + "\n}\n";
}

} // namespace ringc::fuzz
