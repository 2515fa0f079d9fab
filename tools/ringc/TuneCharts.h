#pragma once

#include "tools/ringc/Svg.h"
#include "tools/ringc/TunePlot.h"

namespace ringc::cli {

/// A dimension of the candidates, and how much of the variance of log time it explains among those
/// that were measured: of 0 to 1, adjusted for the number of its values.
struct PlotAxis {
  std::string name;
  std::vector<std::string> values; ///< rising where all are numbers, else as they come
  double explains = 0;
};

/// Those that explain most first.
std::vector<PlotAxis> plotAxes(const PlotPanel &panel);

/// "q 64, kv 128"
std::string dimensionsText(const PlotCandidate &candidate);

/// "wrong: 1.5 times the error that it may have", "0.93 of the default's time, 12.3 ms"
std::string outcomeText(const PlotCandidate &candidate);

// Each draws its heading, axes and legend from `at` down, no wider than `width`, and returns where
// it ends. The area of the data is `chartHeight` high, and begins `chartTop` below `at`.
inline constexpr double chartTop = 58, chartHeight = 264;
double drawHeatMap(Svg &svg, Point at, double width, const PlotPanel &panel);
double drawRoofline(Svg &svg, Point at, double width, const PlotPanel &panel,
                    const MachinePeak &peak);
double drawConvergence(Svg &svg, Point at, double width, const PlotPanel &panel);

/// Heading and a line below it.
void drawHeading(Svg &svg, Point at, double width, const std::string &heading,
                 const std::string &line);

/// A sentence in place of a chart.
double drawNothing(Svg &svg, Point at, double width, const std::string &why);

// The marks of the default and the best in charts.
void drawDefaultMark(Svg &svg, Point center, const std::string &tooltip);
void drawBestMark(Svg &svg, Point center, const std::string &tooltip);

} // namespace ringc::cli
