#pragma once

#include "ringc/compiler/frontend/Ast.h"

#include <optional>
#include <span>
#include <string_view>

namespace ringc::frontend {

/// A function of the language.
struct BuiltinInfo {
  std::string_view name;
  Builtin builtin;
  int arguments;
  bool kernelOnly;   ///< works on tiles alone
  bool takesElement; ///< cast<T>, zeros<T>, full<T>, iota<T>
  bool takesShape;   ///< zeros<T>[R, C], full<T>[R, C], iota<T>[R, 1]
};

std::span<const BuiltinInfo> builtins();
const BuiltinInfo *findBuiltin(std::string_view name);
const BuiltinInfo &info(Builtin builtin);

/// LOG2E and LN2.
bool isLanguageConstant(std::string_view name);
/// B, H, Hkv, Nq, Nk.
bool isKnownExtent(std::string_view name);

} // namespace ringc::frontend
