#pragma once

#include "ringc/compiler/Compiler.h"
#include "ringc/ring/SequenceLayout.h"
#include "tests/unit/compiler/Matrix.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace ringc::testing {

/// A kernel compiled and linked, and its arguments by name. A test fails where the kernel does not
/// compile or an argument is missing. Tensors, scratch and carry lie in guarded memory.
class KernelRun {
public:
  /// `text`, where there is any, is the user's file "user.tile".
  explicit KernelRun(const Spec &spec, const std::string &text = "",
                     const Target &target = hostTarget(), std::optional<TileConfig> config = {});

  /// A view; its extents are bound as well. Of one batch and one KV head; the heads of a group lie
  /// beside each other in a row.
  KernelRun &bind(const std::string &name, const Matrix &matrix);
  KernelRun &bind(const std::string &name, float value);
  KernelRun &bind(const std::string &name, int32_t value);
  KernelRun &bind(const std::string &name, const Positions &positions);
  KernelRun &bindCarry(const std::string &name, bool begins, bool ends);
  KernelRun &extent(const std::string &name, int64_t value);

  /// Every program of the grid, one after another, each with scratch memory full of NaN.
  void run();

  const CompiledKernel &kernel() const { return compiled; }

private:
  uint64_t *slotsOf(const std::string &name, KernelArgument::Kind kind);
  int64_t programs(size_t axis) const;

  CompiledKernel compiled;
  std::optional<HostModule> module;
  std::vector<uint64_t> slots;
  std::set<int> bound;
  std::map<std::string, int64_t> extents;
  std::map<std::string, GuardedMemory> carries;
};

/// Compiles; fails the test with the diagnostics where there is no kernel.
CompiledKernel compiled(const Spec &spec, const std::string &text = "",
                        const Target &target = hostTarget(), std::optional<TileConfig> config = {});

/// The host with narrower vectors, fewer registers and without the product of bf16 pairs, as far as
/// it has them itself. The first is the host.
std::vector<Target> hostVariants();

/// "64 bytes x 32, bf16": for messages.
std::string describe(const Target &target);

} // namespace ringc::testing
