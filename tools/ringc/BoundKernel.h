#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/frontend/Program.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "tools/ringc/FunctionInterpreter.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringc::cli {

/// A tensor that a kernel, or a mask or score of it, reads or writes. Axes are as a launch has them
/// (CompiledKernel.h): names of extents, or numbers in decimal; of a view over Nq B, Hkv, G, Nq and
/// the rest.
struct KernelView {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::string> axes;
  bool isOfProgram = false; ///< with the implicit axes of batch and heads
  bool sums = false;
};

struct KernelScalar {
  std::string name;
  DType dtype = DType::F32;
};

/// A kernel off its sources, and what a spec binds its constants to. It shares nothing with the
/// compiler behind the parser and checker.
class BoundKernel {
public:
  /// `tile` by dimension goes before the source's defaults. Throws InputError, with rendered
  /// diagnostics where a source is wrong, for what is not there, and for two functions of one name.
  BoundKernel(const Spec &spec, const SourceSet &sources,
              const std::map<std::string, int64_t> &tile);

  const Spec &spec() const { return asked; }
  const frontend::KernelDecl &declaration() const { return *kernel; }

  int64_t size(const frontend::Extent &ofConstantOrNumber) const;
  DType type(const frontend::Element &element) const;
  /// What a constant of kind predicate or function, or a mask or score by its own name, stands for.
  const std::vector<const frontend::FunctionDecl *> &functions(const std::string &callee) const;
  const frontend::FunctionDecl *derivative(const frontend::FunctionDecl &score) const {
    return program.findDerivative(score);
  }

  const std::vector<KernelView> &views() const { return allViews; }
  const std::vector<KernelScalar> &scalars() const { return allScalars; }
  /// Names that a launch binds, besides B, H and Hkv: Nq, Nk and the free ones, sorted.
  const std::vector<std::string> &extents() const { return names; }
  bool perHead() const { return kernel->perHead(); }

private:
  void bindConstants(const std::map<std::string, int64_t> &tile);
  void collectArguments();
  std::vector<const frontend::FunctionDecl *> find(const std::vector<std::string> &functions,
                                                   const std::string &file) const;
  KernelView viewOf(const frontend::Parameter &parameter, const std::string &name,
                    bool isOfKernel) const;

  Spec asked;
  frontend::Program program;
  const frontend::KernelDecl *kernel = nullptr;
  std::map<std::string, int64_t> integers;
  std::map<std::string, DType> types;
  std::map<std::string, std::vector<const frontend::FunctionDecl *>> bound;
  std::vector<KernelView> allViews;
  std::vector<KernelScalar> allScalars;
  std::vector<std::string> names;
};

} // namespace ringc::cli
