#pragma once

#include <string>
#include <vector>

namespace ringc::cli {

/// Rows of cells, the first being the headings; columns as wide as their widest cell, the first
/// flushed left, the others right.
std::string table(const std::vector<std::vector<std::string>> &rows);

/// With `digits` significant digits.
std::string number(double value, int digits = 3);

} // namespace ringc::cli
