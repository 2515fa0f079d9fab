#pragma once

#include "ringc/tune/Tune.h"

#include <string>
#include <utility>
#include <vector>

namespace ringc::cli {

/// What a candidate is, by name: {"q", "64"}, ... or {"layout", "zigzag"}, ...
std::vector<std::pair<std::string, std::string>> dimensionsOf(const TuneTask &task,
                                                              const TuneCandidate &candidate);

/// What the sizes are for: "d 64, length 4096", "K 4096, M 4096, N 4096".
std::string workText(const TuneTask &task);

/// "wrong: 1.5 times the error that it may have", of what was not measured.
std::string rejection(const TuneCandidate &candidate);

/// The values that each of its dimensions may have, where that is known before all are tried.
std::vector<std::pair<std::string, std::vector<std::string>>> valuesOf(const TuneTask &task);

/// One line of a terminal, in place of the one before; nothing on it when the search is over.
void drawProgress(const TuneProgress &progress);
void endProgress();

/// On stdout: the model's choice, the best and the next ten; with `all` every one that was tried,
/// with what was wrong with it.
void print(const TunedKernel &kernel, bool all);
/// The same as a line of JSON.
void printJson(const TunedKernel &kernel, bool all);

} // namespace ringc::cli
