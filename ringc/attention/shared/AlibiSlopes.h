#pragma once

#include <cstdint>
#include <vector>

namespace ringc {

/// ALiBi's slopes of heads h = 0, 1, ...: 2^(-8 (h + 1) / heads). What AttentionOptions::alibi
/// takes unless it is given others.
std::vector<float> alibiSlopes(int64_t heads);

/// Those of the paper's own code (github.com/ofirpress/attention_with_linear_biases), which differ
/// where `heads` is no power of two: those of the largest power of two p below it, then every other
/// one of 2p heads, from the first on.
std::vector<float> alibiSlopesOfPaper(int64_t heads);

} // namespace ringc
