#include "ringc/comm/BootstrapMessages.h"

#include "ringc/comm/Wire.h"

#include <algorithm>
#include <cassert>
#include <string_view>

namespace ringc::bootstrap {

namespace {

constexpr std::string_view welcomeMagic = "ringcwel", greetingMagic = "ringcgre",
                           answerMagic = "ringcans", receiptMagic = "ringcrec";

template <size_t count> void fill(std::array<std::byte, count> &to, WireReader &reader) {
  std::ranges::copy(reader.bytes(count), to.begin());
}

std::span<const std::byte> bytesOf(const NcclUniqueId &id) {
  return std::as_bytes(std::span(id.bytes));
}

bool begins(std::span<const std::byte> from, size_t size, std::string_view magic) {
  return from.size() == size && WireReader(from).text(magic.size()) == magic;
}

WireWriter proven(std::string_view role, const Welcome &welcome, const Greeting &greeting) {
  WireWriter message;
  message.text(role, 8).bytes(welcome.nonce).bytes(greeting.nonce);
  message.number(greeting.world).number(greeting.rank).text(greeting.job, jobBytes);
  return message;
}

} // namespace

std::vector<std::byte> Welcome::wire() const {
  return WireWriter()
      .text(welcomeMagic, 8)
      .number(version)
      .number(world)
      .text(job, jobBytes)
      .bytes(nonce)
      .result();
}

std::optional<Welcome> Welcome::read(std::span<const std::byte> from) {
  if (!begins(from, bytes, welcomeMagic))
    return std::nullopt;
  WireReader reader(from.subspan(8));
  Welcome made;
  made.version = reader.number<uint32_t>();
  made.world = reader.number<uint32_t>();
  made.job = reader.text(jobBytes);
  fill(made.nonce, reader);
  return made;
}

std::vector<std::byte> Greeting::wire() const {
  return WireWriter()
      .text(greetingMagic, 8)
      .number(version)
      .number(rank)
      .number(world)
      .text(job, jobBytes)
      .bytes(nonce)
      .bytes(proof)
      .result();
}

std::optional<Greeting> Greeting::read(std::span<const std::byte> from) {
  if (!begins(from, bytes, greetingMagic))
    return std::nullopt;
  WireReader reader(from.subspan(8));
  Greeting made;
  made.version = reader.number<uint32_t>();
  made.rank = reader.number<uint32_t>();
  made.world = reader.number<uint32_t>();
  made.job = reader.text(jobBytes);
  fill(made.nonce, reader);
  fill(made.proof, reader);
  return made;
}

std::vector<std::byte> Answer::wire() const {
  return WireWriter()
      .text(answerMagic, 8)
      .number(uint32_t(verdict))
      .bytes(proof)
      .bytes(bytesOf(id))
      .result();
}

std::optional<Answer> Answer::read(std::span<const std::byte> from) {
  if (!begins(from, bytes, answerMagic))
    return std::nullopt;
  WireReader reader(from.subspan(8));
  Answer made;
  auto verdict = reader.number<uint32_t>();
  if (verdict > uint32_t(Verdict::OtherToken))
    return std::nullopt;
  made.verdict = Verdict(verdict);
  fill(made.proof, reader);
  std::ranges::copy(reader.bytes(idBytes),
                    std::as_writable_bytes(std::span(made.id.bytes)).begin());
  return made;
}

std::vector<std::byte> Receipt::wire() { return WireWriter().text(receiptMagic, bytes).result(); }
bool Receipt::isOne(std::span<const std::byte> from) { return begins(from, bytes, receiptMagic); }

Proof proofOfRank(const std::string &token, const Welcome &welcome, const Greeting &greeting) {
  return proofOf(token, proven("rank", welcome, greeting).result());
}

Proof proofOfHost(const std::string &token, const Welcome &welcome, const Greeting &greeting,
                  const NcclUniqueId &id) {
  return proofOf(token, proven("host", welcome, greeting).bytes(bytesOf(id)).result());
}

std::string reasonOf(Verdict verdict, const Welcome &host, const Greeting &guest) {
  auto differs = [](const std::string &what, const std::string &there, const std::string &here) {
    return what + " " + (there.empty() ? "nothing" : there) + " at rank 0, " +
           (here.empty() ? "nothing" : here) + " here";
  };
  switch (verdict) {
  case Verdict::Welcome:
    return {};
  case Verdict::OtherVersion:
    return differs("the versions of its protocol:", std::to_string(host.version),
                   std::to_string(guest.version));
  case Verdict::OtherWorld:
    return differs("the ranks of the world:", std::to_string(host.world),
                   std::to_string(guest.world));
  case Verdict::OtherJob:
    return differs("the job:", host.job, guest.job);
  case Verdict::NoSuchRank:
    return "rank " + std::to_string(guest.rank) + " is none of 1 to " +
           std::to_string(host.world - 1);
  case Verdict::Taken:
    return "rank " + std::to_string(guest.rank) +
           " is there already: two processes say they are it";
  case Verdict::OtherToken:
    return "RINGC_JOB_TOKEN is not rank 0's";
  }
  assert(false && "not a Verdict");
  return {};
}

} // namespace ringc::bootstrap
