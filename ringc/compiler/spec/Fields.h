#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace ringc {

/// One field of a struct, beside its value. From a struct's list of fields come its JSON both ways,
/// its hash, --set and its documentation, so that a field cannot be forgotten in one of them. The
/// list is an overload of
///
///     template <FieldsOf<Spec> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
///       auto &[kernel, headDim] = self; // a member that is missing here does not compile
///       visit(Field{"kernel", "the kernel to compile"}, kernel);
///       visit(Field{"head_dim", "elements of a row of q and k", 1, 256}, headDim);
///     }
struct Field {
  std::string_view name;               ///< in JSON and in --set
  std::string_view documentation = {}; ///< one phrase
  /// Least and greatest permitted: of an integer, or of each integer of a map.
  int64_t low = std::numeric_limits<int64_t>::min();
  int64_t high = std::numeric_limits<int64_t>::max();
};

/// `Type`, const or not.
template <class Self, class Type>
concept FieldsOf = std::is_same_v<std::remove_const_t<Self>, Type>;

struct AnyVisitor {
  template <class Value> void operator()(const Field &, Value &&) const {}
};

template <class Type>
concept HasFields = requires(Type &value) { visitFields(value, AnyVisitor{}); };

} // namespace ringc
