#pragma once

#include "tools/ringc/TunePlot.h"

#include <map>
#include <string>
#include <vector>

namespace ringc::testing {

/// A panel whose times are a formula of its dimensions, with rejected candidates among them.
cli::PlotPanel madeUpPanel();

/// What a picture may have to show, by name.
struct MadeUpPlot {
  std::vector<cli::PlotPanel> panels;
  MachinePeak peak;
};
std::map<std::string, MadeUpPlot> madeUpPlots();

} // namespace ringc::testing
