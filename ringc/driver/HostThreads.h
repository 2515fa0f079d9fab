#pragma once

#include "ringc/Env.h"

#include <optional>
#include <string_view>

namespace ringc {

/// More threads than this are never started.
inline constexpr int mostThreads = 1024;

/// The processors that this process may run on: of its affinity mask, which a cgroup's cpuset
/// narrows, too.
int availableProcessors();

/// The first number of a list as OMP_NUM_THREADS has it, "4" or "4,2"; nothing where that is no
/// number, or zero. One that no int holds is the largest int.
std::optional<int> firstOfThreadList(std::string_view list);

/// Threads for who names no number: OMP_NUM_THREADS, else availableProcessors(); at most
/// OMP_THREAD_LIMIT and `mostThreads`.
int defaultThreads(const Env &env);

} // namespace ringc
