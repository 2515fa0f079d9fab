#pragma once

#include "compiler/spec/KernelRequest.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

#include <string>
#include <vector>

namespace ringc {

/// Where a compile stands. The order is that of the files of a dump: 00.spec.json, 01.ast.tile,
/// 02.tile.mlir, ...
enum class StageId { Spec, Ast, Tile, Specialised, Split, Vector, Llvm, Ir, Code };

struct StageName {
  StageId id;
  const char *name;
  const char *suffix;
};

/// All stages in their order.
const std::vector<StageName> &allStages();

/// "04.split.mlir"
std::string fileNameOf(StageId id);

/// The stage called `name`; throws InputError naming those that exist.
StageId stageCalled(const std::string &name, const char *argument);

/// The stage whose output a file holds, by its name: "NN.stage.suffix" or "stage.suffix". Throws
/// InputError.
StageId stageOfFile(const std::string &path);

/// A context with everything that a compile needs, threads off.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Runs the passes that lead from the stage before to `id` (Specialised to Llvm).
mlir::LogicalResult runStage(mlir::ModuleOp module, StageId id, const KernelRequest &request);

} // namespace ringc
