#pragma once

#include "ringc/module/ModuleBackend.h"

namespace ringc {

/// Rows that kernels add up before parts are (column_sums.tile).
constexpr int64_t rowsOfPart = 128;

inline int64_t partsOf(int64_t rows) { return (rows + rowsOfPart - 1) / rowsOfPart; }

/// sums f32 [1, n] of the rows of x [m, n], the same bits every time.
void columnSums(ModuleBackend &backend, const Tensor &x, const Tensor &sums);

/// Of parts that were added up already.
void sumOfParts(ModuleBackend &backend, const Tensor &parts, const Tensor &sums);

} // namespace ringc
