#pragma once

#include "ringc/compiler/spec/Spec.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace ringc {

/// Kernels of the library that were made already, by what they are compiled for.
template <class Kernel> class KernelShelf {
public:
  template <class Make> const Kernel &get(const Spec &spec, const Make &make) {
    std::string key = keyOf(spec);
    auto known = kernels.find(key);
    if (known == kernels.end())
      known = kernels.emplace(std::move(key), make()).first;
    return known->second;
  }

private:
  /// Of the fields that a module sets.
  static std::string keyOf(const Spec &spec) {
    std::string key = spec.kernel + " " + std::string(enumName(spec.dtype)) + " " +
                      std::string(enumName(spec.f32Products));
    for (const auto &[name, type] : spec.types)
      key += " " + name + "=" + std::string(enumName(type));
    for (const auto &[name, number] : spec.constants)
      key += " " + name + "=" + std::to_string(number);
    return key;
  }

  std::unordered_map<std::string, Kernel> kernels;
};

} // namespace ringc
