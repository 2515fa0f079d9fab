#pragma once

#include "ringc/compiler/spec/KernelRequest.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

#include <string>
#include <vector>

namespace ringc {

/// Where a compile stands. The order is that of the files of a dump: 00.spec.json, 01.ast.tile,
/// 02.tile.mlir, ...; a host has Vector, a GPU Placed, Staged and Nvvm.
enum class StageId {
  Spec,
  Ast,
  Tile,
  Specialised,
  Split,
  Vector,
  Placed,
  Staged,
  Nvvm,
  Llvm,
  Ir,
  Code
};

struct StageName {
  StageId id;
  const char *name;
  const char *suffix;
};

/// The stages of a compile for `target` in their order.
const std::vector<StageName> &stagesFor(const Target &target);

/// "04.split.mlir"
std::string fileNameOf(StageId id, const Target &target);

/// The stage called `name`; throws InputError naming those that the target has.
StageId stageCalled(const std::string &name, const char *argument, const Target &target);

/// The stage whose output a file holds, by its name: "NN.stage.suffix" or "stage.suffix". Throws
/// InputError.
StageId stageOfFile(const std::string &path, const Target &target);

/// A context with everything that a compile needs, threads off.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Runs the passes that lead from the stage before to `stage` (Specialised to Llvm).
mlir::LogicalResult runStage(mlir::ModuleOp module, const StageName &stage,
                             const KernelRequest &request);

} // namespace ringc
