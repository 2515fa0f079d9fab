#pragma once

#include "ringc/compiler/spec/Fields.h"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ringc {

inline size_t combineHash(size_t seed, size_t hash) {
  return seed ^ (hash + 0x9e3779b97f4a7c15 + (seed << 6) + (seed >> 2));
}

inline size_t hashOf(const std::string &value) { return std::hash<std::string>()(value); }

template <class Value> size_t hashOf(const std::vector<Value> &values);
template <class Value> size_t hashOf(const std::map<std::string, Value> &values);

/// A quick hash of a struct with a list of fields, for look-ups within a process. It is not the key
/// of a file.
template <class Value> size_t hashOf(const Value &value) {
  if constexpr (HasFields<const Value>) {
    size_t hash = 0;
    visitFields(value, [&](const Field &, const auto &member) {
      hash = combineHash(hash, hashOf(member));
    });
    return hash;
  } else {
    return std::hash<Value>()(value);
  }
}

template <class Value> size_t hashOf(const std::vector<Value> &values) {
  size_t hash = values.size();
  for (const Value &value : values)
    hash = combineHash(hash, hashOf(value));
  return hash;
}

template <class Value> size_t hashOf(const std::map<std::string, Value> &values) {
  size_t hash = values.size();
  for (const auto &[name, value] : values)
    hash = combineHash(combineHash(hash, hashOf(name)), hashOf(value));
  return hash;
}

} // namespace ringc
