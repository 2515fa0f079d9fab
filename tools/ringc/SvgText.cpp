#include "tools/ringc/SvgText.h"

#include "tools/ringc/Table.h"

#include <array>
#include <cmath>
#include <cstdint>

namespace ringc::cli {

namespace {

/// A character's code point, U+FFFD where the bytes are not UTF-8, and how many bytes it takes.
struct Character {
  uint32_t point = 0;
  size_t bytes = 1;
};

constexpr uint32_t replacement = 0xFFFD;

Character characterAt(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return uint32_t(uint8_t(text[i])); };
  uint32_t first = byte(at);
  if (first < 0x80)
    return {first, 1};
  size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + bytes > text.size())
    return {replacement, 1};
  uint32_t point = first & (0xFFU >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80)
      return {replacement, 1};
    point = point << 6 | (byte(at + i) & 0x3FU);
  }
  constexpr std::array<uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < least[bytes] || point > 0x10FFFF || surrogate)
    return {replacement, 1};
  return {point, bytes};
}

/// Of the characters from U+0020 on, in hundredths of the font's size.
constexpr std::array<uint8_t, 95> widths = {
    32, 40, 46, 84, 64, 95, 78, 28, 39,  39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 69, 69, 70, 77, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79,
    61, 79, 70, 64, 62, 74, 69, 99, 69,  62, 69, 39, 34, 39, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64,
    64, 28, 28, 58, 28, 98, 64, 62, 64,  64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84};

double widthOf(uint32_t point) {
  constexpr double hundredth = 0.01;
  return point >= 0x20 && point < 0x7F ? hundredth * widths[point - 0x20] : 1;
}

} // namespace

std::string escapeXml(std::string_view text) {
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    auto [point, bytes] = characterAt(text, at);
    bool allowed = point >= 0x20 && point != 0x7F && point != 0xFFFE && point != 0xFFFF;
    if (point == '&')
      escaped += "&amp;";
    else if (point == '<')
      escaped += "&lt;";
    else if (point == '>')
      escaped += "&gt;";
    else if (point == '"')
      escaped += "&quot;";
    else if (point == '\n')
      escaped += "&#10;";
    else if (!allowed || point == replacement)
      escaped += "\xEF\xBF\xBD";
    else
      escaped += text.substr(at, bytes);
    at += bytes;
  }
  return escaped;
}

double textWidth(std::string_view text, double size) {
  double width = 0;
  for (size_t at = 0; at < text.size();) {
    auto [point, bytes] = characterAt(text, at);
    width += widthOf(point);
    at += bytes;
  }
  return width * size;
}

double boldWidth(std::string_view text, double size) {
  constexpr double bolder = 1.17;
  return bolder * textWidth(text, size);
}

std::string shortened(std::string_view text, double width, double size) {
  if (textWidth(text, size) <= width)
    return std::string(text);
  std::vector<std::string_view> characters;
  for (size_t at = 0; at < text.size(); at += characters.back().size())
    characters.push_back(text.substr(at, characterAt(text, at).bytes));
  // The end of a path says more than its beginning.
  constexpr size_t parts = 3;
  for (size_t kept = characters.size() - 1; kept > 0; --kept) {
    std::string shorter;
    size_t head = kept / parts, tail = kept - head;
    for (size_t at = 0; at < head; ++at)
      shorter += characters[at];
    shorter += "…";
    for (size_t at = characters.size() - tail; at < characters.size(); ++at)
      shorter += characters[at];
    if (textWidth(shorter, size) <= width)
      return shorter;
  }
  return "…";
}

std::vector<std::string> wrapped(const std::vector<std::string> &pieces, double width,
                                 double size) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < pieces.size(); ++at) {
    std::string comma = at + 1 < pieces.size() ? "," : "";
    std::string piece = shortened(pieces[at], width - textWidth(",", size), size) + comma;
    std::string longer = lines.empty() ? piece : lines.back() + " " + piece;
    if (!lines.empty() && textWidth(longer, size) <= width)
      lines.back() = longer;
    else
      lines.push_back(piece);
  }
  return lines;
}

std::string plainNumber(double value) {
  constexpr double digits = 3;
  if (value == 0 || !std::isfinite(value))
    return number(value, 3);
  double step = std::pow(10, std::floor(std::log10(std::abs(value))) - digits + 1);
  constexpr int most = 15; // of a double
  return number(std::round(value / step) * step, std::abs(value) < 1e3 ? 3 : most);
}

std::string withPrefix(double value, std::string_view unit) {
  constexpr std::array<const char *, 7> prefixes = {"", "k", "M", "G", "T", "P", "E"};
  constexpr double step = 1000, most = 999.5; // what three digits round up from
  size_t prefix = 0;
  for (; std::abs(value) >= most && prefix + 1 < prefixes.size(); ++prefix)
    value /= step;
  return number(value, 3) + " " + prefixes[prefix] + std::string(unit);
}

} // namespace ringc::cli
