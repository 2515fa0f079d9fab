#include "ringc/compiler/Compiler.h"

#include "kernels.tiles/Library.h"
#include "ringc/compiler/codegen/HostCode.h"
#include "ringc/compiler/codegen/Ptx.h"
#include "ringc/compiler/frontend/Printer.h"
#include "ringc/compiler/frontend/Program.h"
#include "ringc/compiler/irgen/FunctionEmitter.h"
#include "ringc/compiler/irgen/Generate.h"
#include "ringc/compiler/passes/CodeSize.h"
#include "ringc/compiler/passes/Stages.h"
#include "ringc/compiler/spec/JsonText.h"
#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/compiler/spec/SpecJson.h"
#include "ringc/support/Error.h"

#include "mlir/Parser/Parser.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace ringc {

SourceSet makeSources(std::vector<SourceText> user) {
  std::vector<SourceText> all;
  for (const EmbeddedSource &source : kernelLibrary())
    all.push_back({std::string(source.name), std::string(source.text)});
  for (SourceText &source : user)
    all.push_back(std::move(source));
  return SourceSet(std::move(all));
}

KernelRequest makeRequest(const Spec &spec, const SourceSet &sources, const Target &target,
                          std::optional<TileConfig> config) {
  return {.spec = spec,
          .config = config ? *config : chooseTileConfig(spec, target),
          .sources = sources,
          .pipelineOptions = "",
          .target = target,
          .compilerBuild = compilerBuildId(),
          .llvmVersion = llvmBuild()};
}

Target targetCalled(std::string_view name, std::string_view hidden) {
  requireTarget(name);
  return name.starts_with("sm_") ? gpuTarget(name) : hostTarget(hidden);
}

std::vector<std::string> stageNames(const Target &target) {
  std::vector<std::string> names;
  for (const StageName &stage : stagesFor(target))
    names.push_back(stage.name);
  return names;
}

namespace {

constexpr const char interfacePrefix[] = "; tile.interface = ";

/// One compile on its way through the stages.
class Compilation {
public:
  Compilation(const KernelRequest &compileRequest, const CompileOptions &compileOptions)
      : request(compileRequest), options(compileOptions), context(makeContext()),
        handler(context.get(), [this](mlir::Diagnostic &diagnostic) {
          collect(diagnostic);
          return mlir::success();
        }) {
    if (!options.stopAfter.empty())
      last = stageCalled(options.stopAfter, "--stop-after", request.target);
    if (!options.startFrom.empty())
      first = stageOfFile(options.startFrom, request.target);
    if (!options.startFrom.empty() && first > last)
      throw InputError("--stop-after", options.stopAfter,
                       "a stage after that of --start-from " + options.startFrom);
  }

  CompileOutput run() {
    if (!options.dump.empty())
      makeFolder();
    bool good = options.startFrom.empty() ? runFrontend() : load();
    for (const StageName &stage : stagesFor(request.target)) {
      if (!good || finished || stage.id <= std::max(first, StageId::Tile) ||
          stage.id > StageId::Llvm)
        continue;
      good = mlir::succeeded(runStage(*module, stage, request)) &&
             (stage.id != StageId::Split || fits()) &&
             reached(stage.id, [&] { return print(*module); });
    }
    if (good && !finished)
      good = runBackend();
    if (!good && output.diagnostics.empty())
      output.diagnostics = "error: the compiler gave up without a reason\n";
    return std::move(output);
  }

private:
  bool runFrontend() {
    reached(StageId::Spec, [&] { return toJson(request.spec).dump(2) + "\n"; });
    if (finished)
      return true;
    std::vector<frontend::SourceFile> library, user;
    size_t librarySize = kernelLibrary().size();
    for (const SourceText &text : request.sources.texts())
      (library.size() < librarySize ? library : user).push_back({text.name, text.text});
    program = frontend::Program::parse(user, library);
    if (!program.isGood()) {
      output.diagnostics = frontend::render(program.diagnostics());
      return false;
    }
    const frontend::KernelDecl &kernel = findKernel(program, request.spec);
    Bindings bindings = bind(kernel, program, request.spec, request.config);
    reached(StageId::Ast, [&] { return printProgram(); });
    if (finished)
      return true;
    module = generate(kernel, program, bindings, context.get());
    return module && output.diagnostics.empty() &&
           reached(StageId::Tile, [&] { return print(*module); });
  }

  /// Whether the rest takes a few seconds; reports what takes longest, where not.
  bool fits() {
    CodeSize size = codeSizeOf(*module, request.target, request.config);
    int64_t limit = CodeSize::limit(request.target);
    if (size.total <= limit)
      return true;
    std::vector<std::pair<frontend::Program::Declaration, int64_t>> parts;
    for (const auto &[place, units] : size.ofLines) {
      auto declaration = program.declarationAt(place.first, static_cast<int>(place.second));
      auto known = std::find_if(parts.begin(), parts.end(),
                                [&](auto &part) { return part.first == declaration; });
      if (known == parts.end())
        known = parts.insert(parts.end(), {declaration, 0});
      known->second += units;
    }
    auto largest = std::max_element(parts.begin(), parts.end(),
                                    [](auto &a, auto &b) { return a.second < b.second; });
    bool isKnown = largest != parts.end() && largest->first;
    mlir::Location place = module->getLoc();
    if (isKnown)
      place = locationOf(context.get(), largest->first.source(), largest->first.location());
    mlir::InFlightDiagnostic error = mlir::emitError(place);
    error << "kernel '" << request.spec.kernel << "' is too large for " << request.target.name
          << ": " << size.total << " operations, allowed: " << limit;
    if (isKnown)
      error << "; " << largest->second << " are of " << largest->first.describe();
    if (request.target.isGpu())
      error << ", which stands in the code for each of a thread's elements: smaller tiles ("
            << tiles() << " now) have fewer";
    return false;
  }

  std::string tiles() const {
    std::string text;
    for (const auto &[dimension, rows] : request.config.tile)
      text += (text.empty() ? "" : ",") + dimension + "=" + std::to_string(rows);
    return text;
  }

  std::string printProgram() const {
    std::string text;
    for (auto modules : {program.libraryModules(), program.userModules()})
      for (const frontend::Module *source : modules)
        text += frontend::print(*source) + "\n";
    return text;
  }

  bool load() {
    auto file = llvm::MemoryBuffer::getFile(options.startFrom);
    if (!file)
      throw InputError("--start-from", options.startFrom,
                       "a file that can be read: " + file.getError().message());
    loaded = (*file)->getBuffer().str();
    if (first == StageId::Ir)
      return true;
    module = mlir::parseSourceString<mlir::ModuleOp>(loaded, context.get(), options.startFrom);
    return static_cast<bool>(module);
  }

  bool runBackend() {
    std::string interface;
    llvm::LLVMContext llvmContext;
    std::unique_ptr<llvm::Module> code;
    if (first == StageId::Ir && !options.startFrom.empty()) {
      llvm::SMDiagnostic problem;
      code = llvm::parseAssemblyString(loaded, problem, llvmContext);
      if (!code || !loaded.starts_with(interfacePrefix)) {
        output.diagnostics = options.startFrom + ":" +
                             std::to_string(std::max(1, problem.getLineNo())) + ": error: " +
                             (code ? "the first line must be the interface that --dump writes"
                                   : problem.getMessage().str()) +
                             "\n";
        return false;
      }
      size_t begin = sizeof(interfacePrefix) - 1;
      interface = loaded.substr(begin, loaded.find('\n') - begin);
    } else {
      auto described = (*module)->getAttrOfType<mlir::StringAttr>("tile.interface");
      if (!described) {
        output.diagnostics = "error: the module has no attribute tile.interface\n";
        return false;
      }
      interface = described.str();
      (*module)->removeAttr("tile.interface");
      code = request.target.isGpu() ? translateForGpu(*module, llvmContext, request.target)
                                    : translateForHost(*module, llvmContext, request.target);
      if (!code)
        return false;
      reached(StageId::Ir, [&] {
        std::string text = interfacePrefix + interface + "\n";
        llvm::raw_string_ostream stream(text);
        // The code generator looks at uses in their order: who goes on from here gets the same
        // code.
        code->print(stream, /*AAW=*/nullptr, /*ShouldPreserveUseListOrder=*/true);
        return text;
      });
      if (finished)
        return true;
    }
    CompiledKernel kernel;
    try {
      kernel = compiledKernelFromJson(parseJsonText(interface));
    } catch (const nlohmann::json::exception &problem) {
      output.diagnostics =
          "error: the interface is not as --dump writes it: " + std::string(problem.what()) + "\n";
      return false;
    }
    if (!emit(*code, kernel))
      return false;
    kernel.provenance = nlohmann::json{{"spec", toJson(request.spec)},
                                       {"tile", toJson(request.config)},
                                       {"target", toJson(request.target)},
                                       {"compiler", request.compilerBuild},
                                       {"llvm", request.llvmVersion}}
                            .dump();
    reached(StageId::Code, [&] { return kernel.code; });
    output.kernel = std::move(kernel);
    return true;
  }

  bool emit(llvm::Module &code, CompiledKernel &kernel) {
    if (!request.target.isGpu()) {
      kernel.code = emitHostObject(code, request.target);
      return true;
    }
    llvm::Expected<std::string> ptx = emitPtx(code, request.target);
    if (!ptx) {
      output.diagnostics = "error: LLVM makes no PTX for " + request.target.chip + ": " +
                           llvm::toString(ptx.takeError()) + "\n";
      return false;
    }
    kernel.code = std::move(*ptx);
    return true;
  }

  static std::string print(mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, mlir::OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/false));
    stream << "\n";
    return text;
  }

  /// Called when a stage's output exists; `text` is asked for only where somebody wants it.
  template <typename Text> bool reached(StageId id, Text text) {
    finished = id == last && id != StageId::Code;
    if (finished || (id == last && !options.stopAfter.empty()))
      output.text = text();
    if (!options.dump.empty()) {
      std::string path =
          (std::filesystem::path(options.dump) / fileNameOf(id, request.target)).string();
      std::ofstream file(path, std::ios::binary);
      file << text();
      if (!file.flush())
        throw InputError("--dump", path, "a file that can be written");
    }
    return true;
  }

  void makeFolder() const {
    std::error_code error;
    std::filesystem::create_directories(options.dump, error);
    if (error)
      throw InputError("--dump", options.dump, "a folder that can be made: " + error.message());
  }

  void collect(mlir::Diagnostic &diagnostic) {
    llvm::raw_string_ostream stream(output.diagnostics);
    auto place = mlir::dyn_cast<mlir::FileLineColLoc>(diagnostic.getLocation());
    if (!place)
      diagnostic.getLocation()->walk([&](mlir::Location inner) {
        place = mlir::dyn_cast<mlir::FileLineColLoc>(inner);
        return place ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
      });
    if (place)
      stream << place.getFilename().getValue() << ":" << place.getLine() << ":" << place.getColumn()
             << ": ";
    stream << (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error ? "error: " : "note: ")
           << diagnostic.str() << "\n";
    if (place)
      showSource(stream, place);
  }

  void showSource(llvm::raw_ostream &stream, mlir::FileLineColLoc place) {
    for (const SourceText &source : request.sources.texts()) {
      if (source.name != place.getFilename().getValue())
        continue;
      llvm::StringRef rest = source.text;
      for (unsigned line = 1; line < place.getLine(); ++line)
        rest = rest.split('\n').second;
      stream << rest.split('\n').first << "\n"
             << std::string(std::max(1u, place.getColumn()) - 1, ' ') << "^\n";
    }
  }

  const KernelRequest &request;
  const CompileOptions &options;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::ScopedDiagnosticHandler handler;
  frontend::Program program;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string loaded;
  StageId first = StageId::Spec, last = StageId::Code;
  bool finished = false;
  CompileOutput output;
};

} // namespace

CompileOutput compile(const KernelRequest &request, const CompileOptions &options) {
  requireTarget(request.spec.target);
  bool forGpu = request.spec.target.starts_with("sm_");
  if (forGpu ? request.spec.target != request.target.name : request.target.isGpu())
    throw InputError("target", "\"" + request.spec.target + "\"",
                     (request.target.isGpu() ? request.target.name : "cpu, native") +
                         " (what this is compiled for)");
  if (!forGpu)
    requireHost(request.target.triple);
  return Compilation(request, options).run();
}

} // namespace ringc
