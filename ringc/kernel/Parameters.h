#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/shared/Launch.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/kernel/Arguments.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// A kernel's parameters as those who launch it see them: by name, with whole tensors.
class KernelParameters {
public:
  explicit KernelParameters(std::shared_ptr<const CompiledKernel> of) : kernel(std::move(of)) {}

  const CompiledKernel &of() const { return *kernel; }
  size_t size() const { return kernel->arguments.size(); }
  const KernelArgument &operator[](size_t index) const { return kernel->arguments[index]; }

  /// By its name, or the part behind the dot where that is unique. Throws InputError.
  size_t find(std::string_view name) const;

  /// Not one of a mask, a score or a function.
  static bool isOwn(const KernelArgument &argument);
  /// A view whose tensor has axes of batch and heads that the kernel does not write.
  bool isOfProgram(const KernelArgument &argument) const;
  /// Of a view's tensor (KernelViews): names of extents, or numbers.
  std::vector<std::string> axesOf(const KernelArgument &argument) const;

  /// Its tensor for a launch's slots, where it is of a program and not sums.
  ProgramTensor programOf(const KernelArgument &argument, const Tensor &tensor) const;
  /// Whether its windows have columns: along the last axis.
  bool hasColumns(const KernelArgument &argument) const;

  /// "a view, f32 [B, Nq, H, 64]", "a value, i32": what it takes.
  std::string describe(const KernelArgument &argument) const;
  [[noreturn]] void refuse(const KernelArgument &argument, const std::string &value) const;

private:
  std::shared_ptr<const CompiledKernel> kernel;
};

/// For messages.
std::string textOf(const KernelValue &value);

/// A number as the operator's arguments have it; nothing of what is none.
std::optional<ArgumentValue> numberOf(const KernelValue &value);

} // namespace ringc
