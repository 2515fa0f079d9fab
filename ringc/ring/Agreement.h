#pragma once

#include "ringc/comm/Transport.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What calls of several ranks must have in common before they send each other data, as text: which
/// field it is, and its value. A list within it, of names say, comes before what its entries add,
/// so that the first difference is one that can be read.
class Agreement {
public:
  struct Field {
    std::string name, value;
    bool operator==(const Field &) const = default;
  };

  Agreement &add(std::string_view name, std::string value);
  Agreement &add(std::string_view name, std::string_view value) {
    return add(name, std::string(value));
  }
  Agreement &add(std::string_view name, const char *value) { return add(name, std::string(value)); }
  Agreement &add(std::string_view name, bool value) { return add(name, value ? "yes" : "no"); }
  Agreement &add(std::string_view name, std::integral auto value) {
    return add(name, std::to_string(value));
  }
  /// All digits that it takes to tell it from others.
  Agreement &add(std::string_view name, double value);

  const std::vector<Field> &fields() const { return list; }
  bool operator==(const Agreement &) const = default;

private:
  std::vector<Field> list;
};

/// Ranks that do not agree; all of them throw it, and none has sent data.
class DisagreementError : public PeerError {
public:
  using PeerError::PeerError;
};

/// What `body` gives; where it throws, the other ranks are told that this one will not take part,
/// unless all have seen that their calls differ.
template <typename Body> auto guarded(Transport &transport, Body &&body) {
  try {
    return body();
  } catch (const DisagreementError &) {
    throw;
  } catch (const std::exception &error) {
    transport.abort(error.what());
    throw;
  }
}

/// What all ranks give to the same call, pieces of one size, by place.
using GatherBytes =
    std::function<std::vector<std::vector<std::byte>>(std::span<const std::byte> own)>;

/// Returns when all of `ranks` have called it with the same fields. Otherwise throws, on each of
/// them, a DisagreementError that names the first field that differs, its values, and on which
/// ranks; a PeerError where another rank said something else instead, or failed.
///
/// Digests alone are exchanged; where they differ, a digest of each field, and then the values of
/// one field.
void requireAgreement(const Agreement &own, int rank, std::span<const int> ranks,
                      const GatherBytes &gather);

/// The record of which `requireAgreement` exchanges one first, for a rank that goes on without
/// waiting for those of the others: whoever asks it meanwhile whether they agree learns so.
std::vector<std::byte> announcementOf(const Agreement &own);

/// The same, of ranks that one caller knows all of. Throws a DisagreementError.
void requireAgreement(std::span<const Agreement *const> all, std::span<const int> ranks);

/// A checksum of what lies in memory of the host, to be a part of a field's value: by it inputs
/// that were mixed up are found, not such as somebody has made to have the same.
uint64_t checksum(std::span<const std::byte> bytes);

} // namespace ringc
