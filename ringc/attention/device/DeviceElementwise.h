#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/CudaModule.h"

#include <map>
#include <memory>
#include <utility>

namespace ringc {

/// What a device does to tensors between kernels; all in the order of a stream.
///
/// The few kernels are PTX text of our own, bound by memory: they need no compiler, and so do not
/// stand in the way of programs whose kernels were compiled ahead.
class DeviceElementwise {
public:
  explicit DeviceElementwise(std::shared_ptr<const CudaDevice> device);

  /// sum += part in f32, for gradients that come home. Both row-major, of one shape.
  void add(const CudaStream &stream, const Tensor &part, const Tensor &sum) const;

  /// Rounds a row-major f32 [b, n, h, d] to the nearest even number of `to`: f32, f16 or bf16, of
  /// the same shape, any strides.
  void round(const CudaStream &stream, const Tensor &from, const Tensor &to) const;

private:
  CudaModule module;
  CudaFunction adding;
  std::map<std::pair<DType, bool>, CudaFunction> rounding; ///< to a type; by four elements a thread
};

/// Copies between tensors of one shape and type, any strides, no overlap: a copy for each block of
/// rows.
void copyOnDevice(const CudaStream &stream, const Tensor &from, const Tensor &to);

/// Zeros, any strides.
void clearOnDevice(const CudaStream &stream, const Tensor &tensor);
/// One word for all of a tensor of 32-bit elements, any strides.
void fillOnDevice(const CudaStream &stream, const Tensor &tensor, uint32_t word);

} // namespace ringc
