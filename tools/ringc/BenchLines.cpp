#include "tools/ringc/BenchLines.h"

#include "tools/ringc/Table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <type_traits>

namespace ringc::cli {

void BenchLines::add(const Line &line) {
  if (json) {
    nlohmann::ordered_json object;
    for (const auto &column : line)
      std::visit(
          [&](const auto &value) {
            if constexpr (std::is_same_v<decltype(value), const std::monostate &>)
              object[column.first] = nullptr;
            else
              object[column.first] = value;
          },
          column.second);
    std::cout << object.dump() << std::endl;
    return;
  }
  if (rows.empty())
    for (const auto &column : rows.emplace_back(), line)
      rows.front().emplace_back(column.first);
  std::vector<std::string> &row = rows.emplace_back();
  for (const auto &column : line) {
    if (auto *text = std::get_if<std::string>(&column.second))
      row.push_back(*text);
    else if (auto *count = std::get_if<int64_t>(&column.second))
      row.push_back(std::to_string(*count));
    else if (auto *value = std::get_if<double>(&column.second))
      row.push_back(number(*value, 4));
    else
      row.push_back("-");
  }
}

void BenchLines::finish() const {
  if (!rows.empty())
    std::cout << table(rows);
}

double processorSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

double medianOf(std::vector<double> values) {
  auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

double spreadOf(std::vector<double> values) {
  std::ranges::sort(values);
  double median = values[values.size() / 2];
  return 100 * (values[values.size() * 3 / 4] - values[values.size() / 4]) / median;
}

} // namespace ringc::cli
