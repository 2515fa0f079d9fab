#pragma once

#include "ringc/attention/shared/Launch.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/kernel/Arguments.h"
#include "ringc/kernel/Parameters.h"
#include "ringc/tune/KernelWork.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What a table of tile sizes is asked for: the keys of an attention, the extents of others, which
/// count heads once, as Hkv.
KernelWork workOf(const std::string &kernel, std::map<std::string, int64_t> extents);

/// The arguments of a kernel by name, checked against its parameters and each other, and the
/// extents that they bind. Tile sizes do not matter.
class KernelBinding {
public:
  enum class Where : uint8_t { Host, Device };

  /// Throws InputError naming what is missing, unknown or cannot be, its value, and what is
  /// allowed. The heads of the views give the size of a group where the spec has 1.
  KernelBinding(std::shared_ptr<const CompiledKernel> kernel, const Spec &spec, Where where,
                const KernelViews &views, const KernelValues &values);

  /// Whom the views are of; of a kernel that does not run per head one head and batch entry.
  const HeadsAndBatch &heads() const { return sharing; }

  /// What to compile: the spec with the group of the views' heads; and for which work.
  Spec specOfLaunch() const;
  KernelWork work(const std::optional<std::string> &table) const;

  /// Sets all but a running state.
  void fill(LaunchSlots &slots) const;

  /// Another tensor of the same type and shape, or another value. Throws InputError.
  void set(LaunchSlots &slots, std::string_view name, const Tensor &view);
  void set(LaunchSlots &slots, std::string_view name, const KernelValue &value);

  /// The running state that the kernel has, by name.
  struct Carry {
    std::string name;
    CarryStep step;
  };
  std::optional<Carry> carry() const;

private:
  /// Of a parameter: a tensor for a view, a value for others.
  struct Given {
    std::optional<Tensor> view;
    std::optional<KernelValue> value;
  };

  void give(const KernelViews &views, const KernelValues &values);
  void requireAll() const;
  void checkKind(const KernelArgument &argument, const KernelValue &value) const;
  void checkType(const KernelArgument &argument, const Tensor &tensor) const;
  void checkMemory(const KernelArgument &argument, const Tensor &tensor) const;
  void checkSumsMemory(const KernelArgument &argument, const Tensor &tensor) const;
  void checkPositions(const KernelArgument &argument, const Positions &positions) const;
  void bind(const std::string &extent, int64_t length, const std::string &of);
  void bindView(const KernelArgument &argument, const Tensor &tensor);
  void bindSums(const KernelArgument &argument, const Tensor &tensor);
  void bindHeads();
  void apply(LaunchSlots &slots, size_t index) const;

  KernelParameters parameters;
  Spec spec;
  Where where;
  std::vector<Given> given; ///< by argument
  std::map<std::string, int64_t> bound;
  std::map<std::string, std::string> boundBy;
  HeadsAndBatch sharing{.batch = 1};
};

/// Throws InputError where a running state does not end with the launch that it begins with.
void requireWholeState(const KernelValues &values);

} // namespace ringc
