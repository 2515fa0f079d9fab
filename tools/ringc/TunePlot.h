#pragma once

#include "ringc/tune/Roofline.h"
#include "ringc/tune/Tune.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace ringc::cli {

/// What a plot shows of one candidate.
struct PlotCandidate {
  std::vector<std::pair<std::string, std::string>> dimensions; ///< names and values
  TuneVerdict verdict = TuneVerdict::Measured;
  std::string reason;
  double ratio = 0;        ///< to the default's time; 0: rejected
  double milliseconds = 0; ///< of a pass: that part of the default's median of the whole search
  std::vector<TuneJudgement> judged = {};
};

/// What a plot shows of one task of a search.
struct PlotPanel {
  std::string title;              ///< the kernel
  std::vector<std::string> facts; ///< what it was compiled and measured for
  std::vector<PlotCandidate> candidates;
  std::vector<std::pair<std::string, std::vector<std::string>>> values = {}; ///< of dimensions
  size_t base = 0, best = 0;                                                 ///< of the candidates
  size_t space = 0;                                                          ///< how many there are
  double spread = 0;        ///< of the ratios of the default to itself
  double budgetSeconds = 0; ///< of this task
  RooflineWork work = {};
};

/// Of a result of the tuner.
PlotPanel panelOf(const TunedKernel &kernel);

/// A picture for each panel, one below the other: a heat map over the two dimensions that matter
/// most, the roofline, and what was known when. It follows the reader's choice of light or dark.
std::string plotSvg(const std::vector<PlotPanel> &panels, const MachinePeak &peak);

/// The same in a page that needs nothing else, with a table of all candidates below it.
std::string plotHtml(const std::vector<PlotPanel> &panels, const MachinePeak &peak);

} // namespace ringc::cli
