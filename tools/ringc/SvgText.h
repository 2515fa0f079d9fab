#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringc::cli {

/// As content of an element or an attribute of XML 1.0: markup is escaped; what may not be in XML,
/// and bytes that are no UTF-8, become U+FFFD.
std::string escapeXml(std::string_view text);

/// At most so wide, in pixels, in the sans serif fonts of common systems: the widths are those of
/// DejaVu Sans and Verdana, the widest. Characters beyond ASCII count as a square.
double textWidth(std::string_view text, double size);

/// The same, a bold one.
double boldWidth(std::string_view text, double size);

/// Itself, or with "…" in place of its middle, no wider than `width`.
std::string shortened(std::string_view text, double width, double size);

/// Lines no wider than `width`, broken between pieces, which are ", " apart; a piece that is wider
/// is shortened.
std::vector<std::string> wrapped(const std::vector<std::string> &pieces, double width, double size);

/// With three digits that count, and no exponent: "43200", "0.93".
std::string plainNumber(double value);

/// With three digits and a prefix: "237 GFLOP/s", "10.5 MB".
std::string withPrefix(double value, std::string_view unit);

} // namespace ringc::cli
