#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/kernel/Arguments.h"
#include "tools/ringc/BoundKernel.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ringc::cli {

/// Extents by name: B, H, Hkv and those of BoundKernel::extents.
using KernelExtents = std::map<std::string, int64_t>;

/// A number in decimal, or the extent of that name; of G the query heads of a KV head.
int64_t extentOf(const KernelExtents &extents, const std::string &axis);

/// Of all views together.
int64_t bytesOf(const BoundKernel &kernel, const KernelExtents &extents);

/// What a launch of a kernel is given.
struct KernelData {
  KernelExtents extents;
  std::map<std::string, Tensor> views; ///< axes in the order of KernelView::axes
  std::map<std::string, ArgumentValue> scalars;
  /// Arguments over Nq, whose first row has the position `firstQuery`, and over Nk, which begin
  /// at 0.
  std::vector<std::string> queryPositions, keyPositions;
  int64_t firstQuery = 0;
  std::vector<KernelView> programViews;
  HeadMap headMap = HeadMap::Blocked;

  std::vector<HostTensor> memory;
};

/// Views of normal random numbers, small integers, and bools; written ones too, so that what a
/// kernel does not write is known. Rows of a program's views lie as an attention's tensors do, [B,
/// N, Hkv, G, columns], and [B, Hkv, N] for one number a row.
KernelData randomData(const BoundKernel &kernel, const KernelExtents &extents,
                      const std::map<std::string, ArgumentValue> &scalars, uint64_t seed);

/// As a launch takes them (ringc/kernel/Arguments.h).
KernelViews launchViews(const KernelData &data);
KernelValues launchValues(const KernelData &data);

/// The same shapes, and no numbers: `allocate` gives memory for so many bytes.
KernelData dataLike(const KernelData &data, const std::function<void *(int64_t bytes)> &allocate);

/// The elements as double precision, row-major in the order of its axes.
std::vector<double> valuesOf(const Tensor &tensor);

} // namespace ringc::cli
