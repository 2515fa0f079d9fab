#pragma once

#include "ringc/compiler/frontend/Program.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/compiler/spec/TileConfig.h"

#include <map>
#include <string>
#include <vector>

namespace ringc {

/// What a kernel's constants stand for in one compile, and what the launch fixes.
struct Bindings {
  std::map<std::string, int64_t> integers;
  std::map<std::string, ElementType> types; ///< F32, F16 or BF16
  /// Masks of a predicate (all must hold), scores of a function (applied in order).
  std::map<std::string, std::vector<const frontend::FunctionDecl *>> functions;
  /// What masks and scores are called in the names of arguments, where not by their own names:
  /// FILE:NAME, for a user's function where two that are applied share a name.
  std::map<const frontend::FunctionDecl *, std::string> qualifiedNames;

  std::string nameOf(const frontend::FunctionDecl &function) const;

  int64_t groupSize = 1;
  HeadMap headMap = HeadMap::Blocked;
  F32Products f32Products = F32Products::Tf32x3;
  LayoutKind queryLayout = LayoutKind::Any;
  LayoutKind keyLayout = LayoutKind::Any;
};

/// The kernel that the spec names. Throws InputError where there is none.
const frontend::KernelDecl &findKernel(const frontend::Program &program, const Spec &spec);

/// D and Dv are the spec's head dims, T its dtype, BQ and the like the decided tile sizes, `mask`
/// and `score` its lists; every other constant is in the spec's `constants` or `types`, or has a
/// default. Throws InputError naming what is missing or unknown.
Bindings bind(const frontend::KernelDecl &kernel, const frontend::Program &program,
              const Spec &spec, const TileConfig &config);

} // namespace ringc
