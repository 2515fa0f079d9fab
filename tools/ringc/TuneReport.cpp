#include "tools/ringc/TuneReport.h"

#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/tune/TuneSetupJson.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <numeric>
#include <tuple>

namespace ringc::cli {

void drawProgress(const TuneProgress &progress) {
  auto left = std::lround(progress.left.count());
  std::cerr << "\r\033[K" << progress.kernel << ": " << progress.seen << " of " << progress.space
            << " sizes, best " << number(1 / progress.bestRatio, 4) << " times the default, "
            << left / 60 << ":" << (left % 60 < 10 ? "0" : "") << left % 60 << " left"
            << std::flush;
}

void endProgress() { std::cerr << "\r\033[K" << std::flush; }

std::vector<std::pair<std::string, std::string>> dimensionsOf(const TuneTask &task,
                                                              const TuneCandidate &candidate) {
  std::vector<std::pair<std::string, std::string>> all;
  if (const std::optional<RingChoice> &way = candidate.way)
    return {{"layout", nameOf(way->layout)},
            {"schedule", way->schedule ? nameOf(*way->schedule) : "auto"}};
  for (const auto &[name, size] : task.space().byHand(candidate.config))
    all.emplace_back(name.substr(name.find('.') + 1), std::to_string(size));
  return all;
}

std::vector<std::pair<std::string, std::vector<std::string>>> valuesOf(const TuneTask &task) {
  std::vector<std::pair<std::string, std::vector<std::string>>> all;
  if (!task.ways.empty())
    return all;
  TileSpace space = task.space();
  for (const TileDimension &axis : space.dimensions()) {
    std::vector<std::string> &values =
        all.emplace_back(axis.name, std::vector<std::string>()).second;
    for (int64_t value : axis.values)
      values.push_back(std::to_string(value));
  }
  return all;
}

std::string workText(const TuneTask &task) {
  if (TileSpace::knows(task.spec.kernel))
    return "d " + std::to_string(task.spec.headDim) + ", length " + std::to_string(task.key.length);
  std::string text;
  for (const auto &[name, extent] : task.key.extents)
    text += (text.empty() ? "" : ", ") + name + " " + std::to_string(extent);
  return text;
}

std::string rejection(const TuneCandidate &candidate) {
  return std::string(enumName(candidate.verdict)) +
         (candidate.reason.empty() ? "" : ": " + candidate.reason);
}

namespace {

std::string sizesText(const TuneTask &task, const TuneCandidate &candidate) {
  std::string text;
  for (const auto &[name, value] : dimensionsOf(task, candidate))
    text += (text.empty() ? "" : ",") + name + "=" + value;
  return text;
}

nlohmann::json configJson(const TuneCandidate &candidate) {
  if (!candidate.way)
    return toJson(candidate.config);
  return toJson(TuneSetup{.layout = candidate.way->layout, .schedule = candidate.way->schedule});
}

const char *baseName(const TunedKernel &kernel) {
  return kernel.base == 0 ? "default" : "in its place";
}

/// Of those that were measured the fastest first, behind the model's choice and the best; then the
/// others, by reason.
std::vector<size_t> orderOf(const TunedKernel &kernel) {
  std::vector<size_t> order(kernel.candidates.size());
  std::iota(order.begin(), order.end(), size_t(0));
  auto rank = [&](size_t at) {
    const TuneCandidate &each = kernel.candidates[at];
    bool measured = each.verdict == TuneVerdict::Measured;
    return std::tuple(at == kernel.base   ? 0
                      : at == kernel.best ? 1
                      : measured          ? 2
                                          : 3,
                      measured ? each.ratio : 0.0);
  };
  std::ranges::stable_sort(order, {}, rank);
  return order;
}

} // namespace

void print(const TunedKernel &kernel, bool all) {
  std::vector<std::vector<std::string>> rows = {{"sizes", "", "ms", "turns", "times", "why"}};
  constexpr size_t next = 12;
  for (size_t at : orderOf(kernel)) {
    const TuneCandidate &each = kernel.candidates[at];
    bool measured = each.verdict == TuneVerdict::Measured;
    if (!all && (rows.size() > next || !measured))
      break;
    std::string what = at == kernel.base ? baseName(kernel) : at == kernel.best ? "best" : "";
    rows.push_back({sizesText(kernel.task, each), what, measured ? number(each.median(), 4) : "-",
                    std::to_string(each.ms.size()), measured ? number(1 / each.ratio, 4) : "-",
                    measured ? "" : rejection(each)});
  }
  std::map<TuneVerdict, int> verdicts;
  for (const TuneCandidate &each : kernel.candidates)
    ++verdicts[each.verdict];
  std::cout << kernel.task.name() << ", " << enumName(kernel.task.spec.dtype) << ", "
            << workText(kernel.task) << ", " << kernel.task.target.name << ": "
            << kernel.candidates.size() << " of " << kernel.space << " sizes tried";
  for (const auto &[verdict, count] : verdicts)
    if (verdict != TuneVerdict::Measured)
      std::cout << ", " << count << " " << enumName(verdict);
  const TuneCandidate &usual = kernel.candidates.front();
  if (kernel.base != 0)
    std::cout << "; the default, " << sizesText(kernel.task, usual) << ", was " << rejection(usual)
              << ", and the first that can be had takes its place; it";
  else
    std::cout << "; the default";
  std::cout << " differs from itself by " << number(100 * kernel.spread, 2) << " %\n"
            << table(rows) << '\n';
}

void printJson(const TunedKernel &kernel, bool all) {
  constexpr size_t next = 12;
  nlohmann::ordered_json line{{"kernel", kernel.task.name()},
                              {"key", nameOf(kernel.task.key)},
                              {"space", kernel.space},
                              {"seen", kernel.candidates.size()},
                              {"spread", kernel.spread},
                              {"base", configJson(kernel.candidates[kernel.base])},
                              {"best", configJson(kernel.candidates[kernel.best])},
                              {"ratio", kernel.candidates[kernel.best].ratio},
                              {"candidates", nlohmann::ordered_json::array()}};
  for (size_t at : orderOf(kernel)) {
    const TuneCandidate &each = kernel.candidates[at];
    if (!all && line["candidates"].size() >= next)
      break;
    line["candidates"].push_back({{"config", configJson(each)},
                                  {"verdict", enumName(each.verdict)},
                                  {"reason", each.reason},
                                  {"ms", each.ms},
                                  {"default_ms", each.base},
                                  {"ratio", each.ratio},
                                  {"seconds", each.judged.front().seconds}});
  }
  std::cout << line.dump() << std::endl;
}

} // namespace ringc::cli
