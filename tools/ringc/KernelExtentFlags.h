#pragma once

#include "ringc/tune/KernelWork.h"
#include "tools/ringc/BoundKernel.h"
#include "tools/ringc/KernelData.h"

#include <cstdint>
#include <map>
#include <string>

namespace ringc::cli {

/// "M=4096,N=4096" as it stands. Throws InputError for what is no list of numbers by name.
KernelExtents parseExtents(const std::string &text);

/// Throws InputError naming one of `given` that the kernel does not have, or that cannot be.
void requireExtentsOf(const BoundKernel &kernel, const KernelExtents &given);

/// All extents that a launch of the kernel needs: B is 1 and H 8, in whole groups, unless given; H
/// and Hkv say the same. Throws InputError naming one that is missing, unknown, zero or too large.
KernelExtents extentsOf(const BoundKernel &kernel, const KernelExtents &given);

/// Completes `extents` by B, H and Hkv for a group of query heads. Throws InputError.
void completeHeads(KernelExtents &extents, int64_t groupSize);

/// Those of a kernel's parameters that `arguments` gives, by the names that a launch has for them,
/// checked: f32 may be left out, others may not. Throws InputError.
std::map<std::string, ArgumentValue>
scalarsOf(const BoundKernel &kernel, const std::map<std::string, ArgumentValue> &arguments);

/// What a table of tile sizes is asked for, where some extents are known. Throws InputError.
KernelWork workOf(const BoundKernel &kernel, KernelExtents given);

/// Bytes of the host that can be had: what is free or would be freed, and no more than a container
/// may have.
int64_t availableMemory();

/// Throws InputError naming the argument `what` and its value where `bytes` of it are more than
/// there are.
void requireMemory(const std::string &what, const std::string &value, int64_t bytes,
                   int64_t available, const std::string &where);

} // namespace ringc::cli
