#pragma once

#include "ringc/tune/Tune.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/KernelTuneRunner.h"
#include "tools/ringc/Shape.h"

#include <string>

namespace ringc::cli {

/// What `ringc tune SPEC` is given besides the spec.
struct TuneSpecFlags {
  std::string extents;      ///< of --extent, or ""
  AttentionFlags attention; ///< options of an attention, and the machine
  bool hasPass = false;     ///< --pass was given
};

/// Whether the operator's own way to run the spec's kernel is how it is tuned: one of the library's
/// attention kernels with tile sizes to choose. Throws InputError where a source declares another
/// of its name.
bool isAttention(const Spec &spec, const SourceSet &sources);

/// A spec of such a kernel as the operator is asked for it.
struct AttentionOfSpec {
  AttentionFlags flags;
  Shape shape;
  Pass pass = Pass::Forward;
};

/// The spec's fields take the place of the options that say the same, which may not be given
/// beside it; --extent is Nq, Nk, B, H, Hkv. Values of masks and scores are the options' (--window,
/// --softcap, --prefix, ...). Throws InputError for what the operator cannot be asked for.
AttentionOfSpec attentionOf(const Spec &spec, const TuneSpecFlags &flags);

/// Throws InputError, naming the field, unless the operator asks for what the spec says.
void requireSame(const TuneKey &ofSpec, const TuneKey &ofOperator);

/// A kernel that is no attention, and its only task. Throws InputError for options of attentions,
/// extents and arguments that it does not have.
KernelWorkload workloadOf(const Spec &spec, const SourceSet &sources, const TuneSpecFlags &flags,
                          const AttentionInputs &given);
TuneTask taskOf(const KernelWorkload &workload, const Target &target);

/// Bytes of what a workload keeps in memory.
int64_t bytesOf(const KernelWorkload &workload);

} // namespace ringc::cli
