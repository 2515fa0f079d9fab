#include "kernels.tiles/Library.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/frontend/Program.h"
#include "ringc/compiler/frontend/Walk.h"
#include "ringc/compiler/irgen/Bindings.h"
#include "ringc/compiler/spec/TileSizes.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace ringc {

namespace {

void addSteps(const frontend::Block &block, std::set<std::string> &steps) {
  for (const frontend::Statement &statement : block)
    if (auto *loop = std::get_if<frontend::ForStatement>(&statement.node)) {
      steps.insert(loop->step.name);
      addSteps(loop->body, steps);
    }
}

/// "m" of "BM".
std::string dimensionOf(const std::string &constant) {
  std::string dimension;
  for (char c : constant.substr(1))
    dimension += char(std::tolower(static_cast<unsigned char>(c)));
  return dimension;
}

/// Not one of a TileConfig's other sizes.
bool isOfTiles(const std::string &dimension) {
  TileConfig config;
  (void)sizeOf(config, dimension);
  return config.tile.contains(dimension);
}

} // namespace

SourceTiles sourceTilesOf(const Spec &spec, const SourceSet &sources) {
  std::vector<frontend::SourceFile> library, user;
  for (const SourceText &text : sources.texts())
    (library.size() < kernelLibrary().size() ? library : user).push_back({text.name, text.text});
  frontend::Program program = frontend::Program::parse(user, library);
  if (!program.isGood())
    throw InputError(frontend::render(program.diagnostics()));
  const frontend::KernelDecl &kernel = findKernel(program, spec);
  std::set<std::string> steps, shapes;
  for (const frontend::GridAxisDecl &axis : kernel.grid)
    steps.insert(axis.step.name);
  addSteps(kernel.body, steps);
  for (const frontend::Parameter &parameter : kernel.parameters)
    for (const frontend::Extent &extent : parameter.type.shape)
      shapes.insert(extent.name);
  SourceTiles tiles{.sizes = {}, .hasProducts = false};
  walk(kernel.body, [&](const frontend::Expr &expr) {
    auto *call = std::get_if<frontend::CallExpr>(&expr.node);
    tiles.hasProducts |= call && call->target == frontend::CallExpr::Target::Builtin &&
                         call->builtin == frontend::Builtin::Dot;
  });
  for (const frontend::ConstantDecl &constant : kernel.constants) {
    const std::string &name = constant.name;
    if (!constant.defaultInteger || !steps.contains(name) || shapes.contains(name) ||
        spec.constants.contains(name) || name.size() < 2 ||
        tileConstant(dimensionOf(name)) != name || !isOfTiles(dimensionOf(name)))
      continue;
    tiles.sizes[dimensionOf(name)] = *constant.defaultInteger;
  }
  return tiles;
}

} // namespace ringc
