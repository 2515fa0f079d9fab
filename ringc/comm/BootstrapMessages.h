#pragma once

#include "ringc/comm/JobToken.h"
#include "ringc/comm/NcclLibrary.h"
#include "ringc/comm/ProcessRank.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ringc {

/// What rank 0 and another rank say to each other at the master's port, in this order. Each message
/// has one size, and numbers one width, the least significant byte first:
///
///     rank 0   Welcome   magic, version, world, job, nonce
///     other    Greeting  magic, version, rank, world, job, nonce, proof
///     rank 0   Answer    magic, verdict, proof, the id
///     other    Receipt   magic
///
/// A proof is that of the token over the role, both nonces, the world, the rank and the id. So it
/// is of no use a second time, nor to anybody else, and each of the two proves itself to the other.
namespace bootstrap {

constexpr uint32_t version = 2;
constexpr size_t jobBytes = 64, idBytes = sizeof(NcclUniqueId::bytes);

struct Welcome {
  static constexpr size_t bytes = 8 + 4 + 4 + jobBytes + sizeof(Nonce);
  uint32_t version = bootstrap::version, world = 0;
  std::string job;
  Nonce nonce{};

  std::vector<std::byte> wire() const;
  /// Nothing where it is something else.
  static std::optional<Welcome> read(std::span<const std::byte> from);
};

struct Greeting {
  static constexpr size_t bytes = 8 + 4 + 4 + 4 + jobBytes + sizeof(Nonce) + sizeof(Proof);
  uint32_t version = bootstrap::version, rank = 0, world = 0;
  std::string job;
  Nonce nonce{};
  Proof proof{};

  std::vector<std::byte> wire() const;
  static std::optional<Greeting> read(std::span<const std::byte> from);
};

enum class Verdict : uint32_t {
  Welcome,
  OtherVersion,
  OtherWorld,
  OtherJob,
  NoSuchRank,
  Taken,
  OtherToken
};

struct Answer {
  static constexpr size_t bytes = 8 + 4 + sizeof(Proof) + idBytes;
  Verdict verdict = Verdict::Welcome;
  Proof proof{};
  NcclUniqueId id{};

  std::vector<std::byte> wire() const;
  static std::optional<Answer> read(std::span<const std::byte> from);
};

struct Receipt {
  static constexpr size_t bytes = 8;
  static std::vector<std::byte> wire();
  static bool isOne(std::span<const std::byte> from);
};

Proof proofOfRank(const std::string &token, const Welcome &welcome, const Greeting &greeting);
Proof proofOfHost(const std::string &token, const Welcome &welcome, const Greeting &greeting,
                  const NcclUniqueId &id);

/// Why rank 0 refuses: "the world: 3 ranks at rank 0, 4 here", as the refused rank says it.
std::string reasonOf(Verdict verdict, const Welcome &host, const Greeting &guest);

} // namespace bootstrap

} // namespace ringc
