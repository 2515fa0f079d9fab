#include "ringc/Env.h"
#include "ringc/comm/NcclLibrary.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/spec/ProductForm.h"
#include "ringc/driver/CublasLtLibrary.h"
#include "ringc/driver/CudaDevice.h"
#include "ringc/driver/HostThreads.h"
#include "ringc/driver/OneDnnLibrary.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/jit/KernelFolder.h"
#include "ringc/tune/TuneTable.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Table.h"
#include "tune.tables/Library.h"

#include <iostream>
#include <map>
#include <optional>

namespace ringc::cli {

namespace {

struct InfoFlags {};

using Rows = std::vector<std::vector<std::string>>;

std::string describe(const CudaDeviceFacts &device) {
  constexpr int64_t mebi = 1 << 20;
  return device.name + ", compute capability " + std::to_string(device.sm / 10) + "." +
         std::to_string(device.sm % 10) + ", " + std::to_string(device.multiprocessors) +
         " multiprocessors, " + std::to_string(device.memoryBytes / mebi) + " MiB, " +
         std::to_string(device.sharedBytesPerBlock / 1024) + " KiB shared, " + device.pciBusId;
}

/// How a device reaches the others: those with the same kind of link together.
std::string describeLinks(const CudaDriver &driver, int device, int count) {
  std::map<std::string, std::string> devices; // by link
  for (int other = 0; other < count; ++other)
    if (other != device)
      devices[driver.link(device, other).describe()] += " cuda:" + std::to_string(other);
  std::string text;
  for (const auto &[link, others] : devices)
    text += (text.empty() ? "to" : "; to") + others + ": " + link;
  return text;
}

/// The driver and its devices, or why there are none.
void addCuda(Rows &rows, const Env &env) {
  try {
    auto driver = CudaDriver::open(env.cudaLibrary);
    auto module = nvidiaModuleVersion();
    rows.push_back({"CUDA", driver->cudaVersion() + ", " + driver->path() +
                                (module ? ", driver " + *module : "")});
    int count = driver->deviceCount();
    for (int device = 0; device < count; ++device)
      rows.push_back({"cuda:" + std::to_string(device), describe(driver->facts(device))});
    for (int device = 0; device < count && count > 1; ++device)
      rows.push_back(
          {"cuda:" + std::to_string(device) + " links", describeLinks(*driver, device, count)});
  } catch (const CudaError &error) {
    rows.push_back({"CUDA", error.what()});
  }
}

void addNccl(Rows &rows, const Env &env) {
  try {
    auto nccl = NcclLibrary::open(env.ncclLibrary);
    rows.push_back({"NCCL", nccl->version() + ", " + nccl->path()});
  } catch (const NcclError &error) {
    rows.push_back({"NCCL", error.what()});
  }
}

void addCublasLt(Rows &rows, const Env &env) {
  if (env.cublasLtLibrary == "none") {
    rows.push_back({"cuBLASLt", "not looked for, as RINGC_CUBLASLT_LIBRARY says"});
    return;
  }
  try {
    auto cublas = CublasLtLibrary::open(env.cublasLtLibrary);
    rows.push_back({"cuBLASLt", cublas->version() + ", " + cublas->path()});
  } catch (const CublasError &error) {
    rows.push_back({"cuBLASLt", error.what()});
  }
}

void addOneDnn(Rows &rows, const Env &env) {
  if (env.oneDnnLibrary == "none") {
    rows.push_back({"oneDNN", "not looked for, as RINGC_ONEDNN_LIBRARY says"});
    return;
  }
  try {
    auto oneDnn = OneDnnLibrary::open(env.oneDnnLibrary);
    rows.push_back({"oneDNN", oneDnn->version() + ", " + oneDnn->path()});
  } catch (const OneDnnError &error) {
    rows.push_back({"oneDNN", error.what()});
  }
}

std::string tunedSizes(const Env &env) {
  std::optional<std::string> path = tuneTablePath(env);
  if (!path)
    return "the model's choice: no table";
  std::string rest = std::to_string(shippedTables().size()) + " shipped tables; then the model";
  if (path->empty())
    return rest;
  std::string problem;
  size_t entries =
      TuneTable::read(*path, [&](const std::string &text) { problem = text; }).entries().size();
  return !problem.empty() ? problem
                          : *path + ": " + std::to_string(entries) + " entries; then " + rest;
}

int infoCommand(const Session &session, const InfoFlags &) {
  Target target = compilerHost();
  Env env = Env::read();
  auto folder = kernelFolderPath(env);
  Rows rows = {{"version", RINGC_VERSION},
               {"build", compilerBuildId()},
               {"LLVM", llvmVersion()},
               {"targets", availableTargets()},
               {"devices", "cpu, cuda"},
               {"host", target.chip + " (" + target.triple + ")"},
               {"vectors", std::to_string(8 * target.vectorBytes) + " bits, " +
                               std::to_string(target.vectorRegisters) + " registers"},
               {"bf16 products", describeForms(target, ElementType::BF16)},
               {"f16 products", describeForms(target, ElementType::F16)},
               {"L1 data", std::to_string(target.l1Bytes / 1024) + " KiB"},
               {"L2", std::to_string(target.l2Bytes / 1024) + " KiB"},
               {"threads", std::to_string(defaultThreads(env))},
               {"kernel cache", folder ? folder->string() : "memory alone"},
               {"tile sizes", tunedSizes(env)}};
  addOneDnn(rows, env);
  if (env.cpuFeatures)
    rows.push_back({"hidden", *env.cpuFeatures + ", as RINGC_CPU_FEATURES says"});
  addCuda(rows, env);
  addNccl(rows, env);
  addCublasLt(rows, env);
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
