#include "ringc/compiler/spec/TileSpace.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneCharts.h"
#include "tools/ringc/TuneReport.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace ringc::cli {

namespace {

std::string valueOf(const PlotCandidate &candidate, const std::string &name) {
  auto found =
      std::ranges::find(candidate.dimensions, name, &std::pair<std::string, std::string>::first);
  return found == candidate.dimensions.end() ? "-" : found->second;
}

void add(std::vector<PlotAxis> &axes, const std::string &name, const std::string &value) {
  auto axis = std::ranges::find(axes, name, &PlotAxis::name);
  if (axis == axes.end())
    axis = axes.insert(axes.end(), {.name = name});
  if (std::ranges::find(axis->values, value) == axis->values.end())
    axis->values.push_back(value);
}

void sortNumbers(std::vector<std::string> &values) {
  if (std::ranges::all_of(values,
                          [](const auto &each) { return parseNumber<double>(each).has_value(); }))
    std::ranges::stable_sort(values, {},
                             [](const auto &each) { return *parseNumber<double>(each); });
}

/// The share of variance between groups, less what groups of this size show of noise alone (the
/// adjusted R squared).
double explained(const PlotPanel &panel, const std::string &name) {
  struct Group {
    double sum = 0;
    int count = 0;
  };
  std::map<std::string, Group> groups;
  double sum = 0, squares = 0;
  int count = 0;
  for (const PlotCandidate &each : panel.candidates) {
    if (each.verdict != TuneVerdict::Measured || !(each.ratio > 0))
      continue;
    double value = std::log(each.ratio);
    Group &group = groups[valueOf(each, name)];
    group.sum += value;
    ++group.count;
    sum += value;
    squares += value * value;
    ++count;
  }
  int left = count - int(groups.size());
  double total = squares - sum * sum / std::max(1, count);
  if (left < 1 || groups.size() < 2 || !(total > 0))
    return 0;
  double between = -sum * sum / count;
  for (const auto &[value, group] : groups)
    between += group.sum * group.sum / group.count;
  return std::max(0.0, 1 - (1 - between / total) * (count - 1) / left);
}

} // namespace

PlotPanel panelOf(const TunedKernel &kernel) {
  const auto &[spec, target, key] = std::tie(kernel.task.spec, kernel.task.target, kernel.task.key);
  PlotPanel panel{.title = kernel.task.name(),
                  .values = valuesOf(kernel.task),
                  .base = kernel.base,
                  .best = kernel.best,
                  .space = kernel.space,
                  .spread = kernel.spread,
                  .budgetSeconds = kernel.budget.count(),
                  .work = kernel.task.work};
  auto list = [](const char *name, const std::vector<std::string> &values) {
    std::string text = name;
    for (const std::string &value : values)
      text += (&value == &values.front() ? " " : "+") + value;
    return values.empty() ? text + " none" : text;
  };
  panel.facts = {std::string(enumName(spec.dtype)), workText(kernel.task),
                 "target " + target.name + (target.isGpu() ? "" : " (" + target.chip + ")")};
  if (TileSpace::knows(spec.kernel))
    panel.facts.push_back(list("masks", spec.mask));
  if (key.valueHeadDim != key.headDim)
    panel.facts.push_back("value d " + std::to_string(key.valueHeadDim));
  if (!spec.score.empty())
    panel.facts.push_back(list("scores", spec.score));
  if (key.groupSize > 1)
    panel.facts.push_back(std::to_string(key.groupSize) + " query heads for each key head");
  if (key.ranks > 1)
    panel.facts.push_back(std::to_string(key.ranks) + " ranks");
  if (kernel.base != 0)
    panel.facts.push_back("the default cannot be had (" + rejection(kernel.candidates.front()) +
                          "): what is called so is the first that can");
  // In turns with each candidate, all through the search: a machine that is faster for a while is
  // so for both.
  TuneCandidate ofDefault;
  for (const TuneCandidate &each : kernel.candidates)
    ofDefault.ms.insert(ofDefault.ms.end(), each.base.begin(), each.base.end());
  for (const TuneCandidate &each : kernel.candidates) {
    bool measured = each.verdict == TuneVerdict::Measured;
    panel.candidates.push_back({.dimensions = dimensionsOf(kernel.task, each),
                                .verdict = each.verdict,
                                .reason = each.reason,
                                .ratio = measured ? each.ratio : 0,
                                .milliseconds = measured ? ofDefault.median() * each.ratio : 0,
                                .judged = each.judged});
  }
  return panel;
}

std::vector<PlotAxis> plotAxes(const PlotPanel &panel) {
  std::vector<PlotAxis> axes;
  for (const auto &[name, values] : panel.values)
    for (const std::string &value : values)
      add(axes, name, value);
  for (const PlotCandidate &each : panel.candidates)
    for (const auto &[name, value] : each.dimensions)
      add(axes, name, value);
  // What a candidate of another kind does not have.
  for (PlotAxis &axis : axes)
    for (const PlotCandidate &each : panel.candidates)
      add(axes, axis.name, valueOf(each, axis.name));
  for (PlotAxis &axis : axes) {
    sortNumbers(axis.values);
    axis.explains = explained(panel, axis.name);
  }
  // Where none explains anything, those that were varied, in the order of the kernel.
  std::ranges::stable_sort(axes, {}, [&](const PlotAxis &axis) {
    bool varied = std::ranges::any_of(panel.candidates, [&](const PlotCandidate &each) {
      return valueOf(each, axis.name) != valueOf(panel.candidates.front(), axis.name);
    });
    return std::pair(-axis.explains, varied ? 0 : 1);
  });
  return axes;
}

std::string dimensionsText(const PlotCandidate &candidate) {
  std::string text;
  for (const auto &[name, value] : candidate.dimensions)
    text += (text.empty() ? "" : ", ") + name + " " + value;
  return text.empty() ? "no dimensions" : text;
}

std::string outcomeText(const PlotCandidate &candidate) {
  if (candidate.verdict == TuneVerdict::Measured)
    return number(candidate.ratio, 3) + " of the default's time, " +
           number(candidate.milliseconds, 4) + " ms";
  return std::string(enumName(candidate.verdict)) +
         (candidate.reason.empty() ? "" : ": " + candidate.reason);
}

} // namespace ringc::cli
