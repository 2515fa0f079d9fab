#pragma once

#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"

#include <array>
#include <string_view>
#include <utility>

namespace ringc {

/// The names of an enum's values as users write them. A specialisation holds
///     static constexpr std::array<std::pair<Enum, std::string_view>, N> table
/// with every value once.
template <class Enum> struct EnumNames;

template <class Enum> constexpr std::string_view enumName(Enum value) {
  for (const auto &[candidate, name] : EnumNames<Enum>::table)
    if (candidate == value)
      return name;
  return {};
}

/// "causal, striped, ...".
template <class Enum> std::string enumNames() {
  std::string all;
  for (const auto &entry : EnumNames<Enum>::table)
    all += (all.empty() ? "" : ", ") + std::string(entry.second);
  return all;
}

/// The value called `name`. Throws InputError naming `field`, `name` and the names that exist.
template <class Enum> Enum parseEnum(std::string_view field, std::string_view name) {
  for (const auto &[value, candidate] : EnumNames<Enum>::table)
    if (candidate == name)
      return value;
  std::array<std::string_view, EnumNames<Enum>::table.size()> names;
  for (size_t index = 0; index < names.size(); ++index)
    names[index] = EnumNames<Enum>::table[index].second;
  throw InputError(field, name, enumNames<Enum>() + didYouMean(name, names));
}

} // namespace ringc
