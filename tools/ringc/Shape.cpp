#include "tools/ringc/Shape.h"

#include "ringc/support/Error.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

namespace ringc::cli {

namespace {

constexpr const char *allowed =
    "b,n[/nk],h,hkv,d[/dv], numbers: b and n 0 or more, heads and dims 1 or more";

/// "x" or "x/y"; without y it is x.
struct Pair {
  int64_t first, second;
};

std::optional<int64_t> parseSize(std::string_view text) {
  constexpr int64_t largest = int64_t(1) << 31;
  int64_t value = 0;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool fits = error == std::errc() && stop == text.data() + text.size();
  return fits && value >= 0 && value <= largest ? std::optional(value) : std::nullopt;
}

std::optional<Pair> parsePair(std::string_view text) {
  size_t slash = text.find('/');
  auto first = parseSize(text.substr(0, slash));
  auto second = slash == text.npos ? first : parseSize(text.substr(slash + 1));
  return first && second ? std::optional(Pair{*first, *second}) : std::nullopt;
}

} // namespace

Shape parseShape(const std::string &text) {
  std::vector<Pair> parts;
  bool single[] = {true, false, true, true, false};
  for (std::string_view rest = text;;) {
    size_t comma = rest.find(',');
    std::string_view part = rest.substr(0, comma);
    std::optional<Pair> pair = parsePair(part);
    if (!pair || parts.size() == 5 || (single[parts.size()] && part.find('/') != part.npos))
      throw InputError("shape", text, allowed);
    parts.push_back(*pair);
    if (comma == rest.npos)
      break;
    rest.remove_prefix(comma + 1);
  }
  if (parts.size() != 5 || parts[2].first < 1 || parts[3].first < 1 || parts[4].first < 1 ||
      parts[4].second < 1)
    throw InputError("shape", text, allowed);
  return {.batch = parts[0].first,
          .queries = parts[1].first,
          .keys = parts[1].second,
          .heads = parts[2].first,
          .kvHeads = parts[3].first,
          .headDim = parts[4].first,
          .valueHeadDim = parts[4].second};
}

} // namespace ringc::cli
