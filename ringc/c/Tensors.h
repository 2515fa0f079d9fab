#pragma once

#include "ringc/Tensor.h"
#include "ringc/c/ringc_c.h"

#include <optional>
#include <string_view>

namespace ringc::c {

class Context;

/// The user's tensors as views. All throw InputError naming the argument: for NULL, another device,
/// a type that ringc has not, lanes, axes, and data that is not aligned to its elements.
class TensorReader {
public:
  /// Of the host, or of the context's device.
  static TensorReader ofHost() { return TensorReader({}); }
  static TensorReader of(const Context &context);

  Tensor read(std::string_view argument, const ringc_tensor *tensor) const;
  std::optional<Tensor> optional(std::string_view argument, const ringc_tensor *tensor) const;
  /// Whose elements lie in different places, too: each stride is beyond what smaller ones reach.
  Tensor write(std::string_view argument, const ringc_tensor *tensor) const;
  std::optional<Tensor> optionalWrite(std::string_view argument, const ringc_tensor *tensor) const;
  /// Whose data may be NULL: it is not looked at.
  Tensor shape(std::string_view argument, const ringc_tensor *tensor) const;

private:
  explicit TensorReader(std::optional<int> ofDevice) : device(ofDevice) {}
  Tensor view(std::string_view argument, const ringc_tensor *tensor) const;
  void checkDevice(std::string_view argument, const ringc_device &where) const;

  std::optional<int> device; ///< nothing: of the host
};

/// A view for the user, of `tensor`, whose shape and strides must outlive it.
ringc_tensor viewOf(const Tensor &tensor, ringc_device device);

} // namespace ringc::c
