#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "ringc/compiler/spec/CompiledKernel.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ringc {

/// Values by the names of kernel arguments, "window.left".
using NamedValues = std::map<std::string, ArgumentValue, std::less<>>;

/// What the options and inputs say of the library's own masks and scores.
NamedValues optionValues(const AttentionOptions &options, const AttentionInputs &inputs);

/// Every parameter of the kernel's masks and scores that the options and inputs give a value, but
/// documents, which depend on the rank, and ALiBi's slopes. Throws InputError for an argument that
/// no function has, that fits two, or that is missing.
NamedValues namedValues(std::span<const KernelArgument> arguments, const AttentionOptions &options,
                        const AttentionInputs &inputs);

/// Throws InputError for a tensor of another type than the kernel reads: what lies on a device the
/// host cannot convert.
void checkTypes(std::span<const KernelArgument> arguments, const NamedValues &values);

/// The axis of extent Nk of data that travels with its keys: data that has rows of queries too
/// stays with them.
std::optional<int> travellingAxis(const KernelArgument &argument);
std::optional<int> axisOf(const KernelArgument &argument, std::string_view extent);

/// What masks and scores read besides the logits and positions, checked and made ready.
class Parameters {
public:
  struct View {
    std::string name;
    Tensor tensor; ///< axes as the kernel's argument has them; an extent of 1 broadcasts
    std::optional<int> keyAxis; ///< of data that travels with K
    bool made = false;          ///< here, in memory of the host; not the caller's
  };

  /// Throws InputError for a value of a wrong type or shape.
  Parameters(std::span<const KernelArgument> arguments, const NamedValues &values,
             const AttentionOptions &options, const Extents &extents);

  /// Throws InputError for a view whose entries of other ranks' batches a kernel would read: a rank
  /// has its own alone.
  static void checkEntries(std::span<const KernelArgument> arguments, const SubRings &rings);

  /// In addition: document ids of the rank's own rows.
  void addDocuments(const Tensor &cuSeqlens, const RankProblem &problem);

  std::vector<View> views;
  predicate::ParameterValues scalars;
  std::map<std::string, int64_t> extents; ///< free ones, which the views bind

private:
  void addView(const KernelArgument &argument, const Tensor &tensor,
               const AttentionOptions &options, const Extents &known);
  Tensor own(HostTensor tensor);

  std::vector<HostTensor> owned;
};

/// The document of each position, counted from 0: [keyLength].
std::vector<int32_t> documentIds(const Tensor &cuSeqlens, int64_t keyLength);

/// The value of a scalar argument as its type holds it. Throws InputError for one of another type,
/// and for an integer or a finite number beyond the type's range.
predicate::ScalarValue scalarOf(const KernelArgument &argument, const ArgumentValue &value);

/// Throws InputError for a view of masks and scores that has no element along an axis of its own,
/// or more than an i32 counts.
void checkElements(const KernelArgument &argument, const Tensor &tensor);

/// "i32", "f32 [H, Nk]": what an argument takes.
std::string describeParameter(const KernelArgument &argument);

/// The slot of a scalar argument.
uint64_t slotOf(const predicate::ScalarValue &value);

} // namespace ringc
