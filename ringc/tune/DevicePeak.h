#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/driver/CudaDevice.h"
#include "ringc/tune/Roofline.h"

#include <memory>
#include <string>
#include <vector>

namespace ringc {

/// Of all devices together, one after another, in a fraction of a second each: mma.sync of `dtype`
/// as the kernels use it, and a copy within the device's memory. What cannot be measured is named
/// in `problem`.
MachinePeak devicePeak(const std::vector<std::shared_ptr<const CudaDevice>> &devices, DType dtype,
                       F32Products f32Products);

/// PTX of a kernel "ringc_peak" whose warps do nothing but mma.sync, with eight independent sums.
/// Slots: how many rounds (above 0), and an address that results go to, or 0.
std::string peakPtx(DType dtype);

} // namespace ringc
