#include "compiler/Compiler.h"
#include "runtime/Env.h"
#include "runtime/jit/KernelFolder.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Table.h"

#include <omp.h>

#include <iostream>

namespace ringc::cli {

namespace {

struct InfoFlags {};

int infoCommand(const Session &session, const InfoFlags &) {
  Target target = hostTarget();
  auto folder = kernelFolderPath(Env::read());
  std::vector<std::vector<std::string>> rows = {
      {"version", RINGC_VERSION},
      {"build", compilerBuildId()},
      {"LLVM", llvmVersion()},
      {"targets", availableTargets()},
      {"devices", "cpu"},
      {"host", target.chip + " (" + target.triple + ")"},
      {"vectors", std::to_string(8 * target.vectorBytes) + " bits, " +
                      std::to_string(target.vectorRegisters) + " registers" +
                      (target.hasBf16Dot ? ", bf16 products" : "")},
      {"L1 data", std::to_string(target.l1Bytes / 1024) + " KiB"},
      {"L2", std::to_string(target.l2Bytes / 1024) + " KiB"},
      {"threads", std::to_string(omp_get_max_threads())},
      {"kernel cache", folder ? folder->string() : "memory alone"}};
  if (session.talk() == Talk::Verbose)
    rows.push_back({"features", target.features});
  size_t widest = 0;
  for (const auto &row : rows)
    widest = std::max(widest, row[0].size());
  for (const auto &row : rows)
    std::cout << row[0] << std::string(widest + 2 - row[0].size(), ' ') << row[1] << '\n';
  return Ok;
}

} // namespace

void addInfo(CLI::App &app, Session &session) {
  addCommand(app, session, "info", "This build, this machine, and where kernels are kept",
             std::make_shared<InfoFlags>(), infoCommand);
}

} // namespace ringc::cli
