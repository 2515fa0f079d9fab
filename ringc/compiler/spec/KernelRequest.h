#pragma once

#include "ringc/compiler/spec/Sha256.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/compiler/spec/TileConfig.h"

#include <memory>
#include <string>
#include <vector>

namespace ringc {

/// One source text, under the name that messages and specs use.
struct SourceText {
  std::string name;
  std::string text;
  bool operator==(const SourceText &) const = default;
};

/// All source text that a compile may read, the library's and the user's. It cannot change and
/// copies share it; its digest is computed once, so that a warm look-up reads no text.
class SourceSet {
public:
  SourceSet() : SourceSet(std::vector<SourceText>()) {}
  explicit SourceSet(std::vector<SourceText> texts);

  const std::vector<SourceText> &texts() const { return shared->texts; }
  /// Of all names and texts, in hexadecimal.
  const std::string &digest() const { return shared->digest; }

  bool operator==(const SourceSet &other) const {
    return shared == other.shared || digest() == other.digest();
  }

private:
  struct Shared {
    std::vector<SourceText> texts;
    std::string digest;
  };
  std::shared_ptr<const Shared> shared;
};

/// Everything that decides the bytes of a kernel, and nothing else.
struct KernelRequest {
  Spec spec;
  TileConfig config;
  SourceSet sources;
  std::string pipelineOptions; ///< canonical text
  Target target;
  std::string compilerBuild; ///< id of this build of the compiler
  std::string llvmVersion;

  bool operator==(const KernelRequest &) const = default;
};

template <FieldsOf<KernelRequest> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[spec, config, sources, pipelineOptions, target, compilerBuild, llvmVersion] = self;
  visit(Field{"spec"}, spec);
  visit(Field{"config"}, config);
  visit(Field{"sources"}, sources.digest());
  visit(Field{"pipeline_options"}, pipelineOptions);
  visit(Field{"target"}, target);
  visit(Field{"compiler_build"}, compilerBuild);
  visit(Field{"llvm_version"}, llvmVersion);
}

/// SHA-256 of the canonical JSON of all fields, in hexadecimal: equal for equal requests in any
/// process, and on any machine.
std::string cacheKey(const KernelRequest &request);

/// For tables within a process; microseconds.
struct KernelRequestHash {
  size_t operator()(const KernelRequest &request) const;
};

} // namespace ringc
