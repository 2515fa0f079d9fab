#pragma once

#include "ringc/Tensor.h"
#include "ringc/ring/SequenceLayout.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>

namespace ringc {

/// Whether a running state (`carry`) begins, and ends, with a launch. One that does not stays with
/// the KernelLaunch or DeviceKernelLaunch, for its next run.
struct CarryStep {
  bool begins = true, ends = true;
};

/// What a kernel takes by name, besides views: scalars, positions, a running state (absent: it
/// begins and ends with the launch), and extents that no view has. An integer fits a parameter of
/// type f32.
using KernelValue = std::variant<int64_t, double, bool, Positions, CarryStep>;
using KernelValues = std::map<std::string, KernelValue, std::less<>>;

/// A kernel's views by the names of its parameters. Those of its masks, scores and functions are
/// "function.parameter", or "parameter" where that is unique. A tensor has the type and the axes
/// that the kernel declares, but one of the kernel's own over Nq or Nk, which runs for each batch
/// entry and KV head, is whole:
///
///     view<T>[Nq, D]    [B, Nq, H, D]        view<T>[Nk, D]    [B, Nk, Hkv, D]
///     view<f32>[Nq]     [B, H, Nq]           view<f32>[Nk]     [B, Hkv, Nk]
///     sums[Nq, D]       f32 [B, Hkv, Nq * H / Hkv, D]
///     view<T>[P, Nq, D] [P, B, Nq, H, D]
///
/// Extents are those of the tensors and agree between them; axes B, H and Hkv of what masks and
/// scores read may be 1 instead. Strides may be any, negative and zero ones too, but: the last axis
/// of one of the kernel's own with two axes has stride 1, and what is written has no stride of 0.
/// On a device the rows and columns of sums are rounded up to whole blocks (SumsBlock), without
/// gaps. Memory of what a kernel writes is no other argument's, nor read by another program.
using KernelViews = std::map<std::string, Tensor, std::less<>>;

} // namespace ringc
