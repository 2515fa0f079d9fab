#include "ringc/compiler/frontend/Builtins.h"

#include <algorithm>
#include <array>

namespace ringc::frontend {

namespace {

// In the order of the enum.
constexpr std::array table = {
    BuiltinInfo{"min", Builtin::Min, 2, false, false, false},
    BuiltinInfo{"max", Builtin::Max, 2, false, false, false},
    BuiltinInfo{"abs", Builtin::Abs, 1, false, false, false},
    BuiltinInfo{"tanh", Builtin::Tanh, 1, false, false, false},
    BuiltinInfo{"exp", Builtin::Exp, 1, false, false, false},
    BuiltinInfo{"exp2", Builtin::Exp2, 1, false, false, false},
    BuiltinInfo{"log", Builtin::Log, 1, false, false, false},
    BuiltinInfo{"log2", Builtin::Log2, 1, false, false, false},
    BuiltinInfo{"sqrt", Builtin::Sqrt, 1, false, false, false},
    BuiltinInfo{"sin", Builtin::Sin, 1, false, false, false},
    BuiltinInfo{"cos", Builtin::Cos, 1, false, false, false},
    BuiltinInfo{"erf", Builtin::Erf, 1, false, false, false},
    BuiltinInfo{"where", Builtin::Where, 3, false, false, false},
    BuiltinInfo{"fma", Builtin::Fma, 3, false, false, false},
    BuiltinInfo{"random", Builtin::Random, 5, false, false, false},
    BuiltinInfo{"shortcut", Builtin::Shortcut, 3, true, false, false},
    BuiltinInfo{"f32", Builtin::ToF32, 1, false, false, false},
    BuiltinInfo{"i32", Builtin::ToI32, 1, false, false, false},
    BuiltinInfo{"rowmax", Builtin::RowMax, 1, true, false, false},
    BuiltinInfo{"rowsum", Builtin::RowSum, 1, true, false, false},
    BuiltinInfo{"colmax", Builtin::ColMax, 1, true, false, false},
    BuiltinInfo{"colsum", Builtin::ColSum, 1, true, false, false},
    BuiltinInfo{"dot", Builtin::Dot, 2, true, false, false},
    BuiltinInfo{"cast", Builtin::Cast, 1, true, true, false},
    BuiltinInfo{"zeros", Builtin::Zeros, 0, true, true, true},
    BuiltinInfo{"full", Builtin::Full, 1, true, true, true},
    BuiltinInfo{"iota", Builtin::Iota, 0, true, true, true},
};

} // namespace

std::span<const BuiltinInfo> builtins() { return table; }

const BuiltinInfo *findBuiltin(std::string_view name) {
  auto found = std::ranges::find(table, name, &BuiltinInfo::name);
  return found == table.end() ? nullptr : &*found;
}

const BuiltinInfo &info(Builtin builtin) { return table[static_cast<size_t>(builtin)]; }

bool isLanguageConstant(std::string_view name) { return name == "LOG2E" || name == "LN2"; }

bool isKnownExtent(std::string_view name) {
  return name == "B" || name == "H" || name == "Hkv" || name == "Nq" || name == "Nk";
}

} // namespace ringc::frontend
