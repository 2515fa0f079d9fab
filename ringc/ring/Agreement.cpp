#include "ringc/ring/Agreement.h"

#include "ringc/comm/Wire.h"
#include "ringc/compiler/spec/Sha256.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

namespace ringc {

namespace {

constexpr uint64_t magic = 0x3165'6572'6761'6372; // "rcagree1"
constexpr size_t shownName = 64, shownValue = 160;

/// Names and values with their lengths, so that no two lists have one text.
std::string textOf(const Agreement::Field &field) {
  return std::to_string(field.name.size()) + " " + field.name + std::to_string(field.value.size()) +
         " " + field.value;
}

uint64_t digestOf(const Agreement::Field &field) {
  Sha256Digest whole = sha256(textOf(field));
  return WireReader(std::as_bytes(std::span(whole))).number<uint64_t>();
}

/// The first exchange. Odd, as no block of keys in 16 or 32 bits is: so where others send their
/// keys already, it does not fit.
struct Summary {
  Sha256Digest digest{};
  uint64_t fields = 0;
  bool goesOn = false; ///< whether its rank does not wait for the others'
  bool known = true;   ///< whether it is one

  static Summary of(const Agreement &agreement) {
    std::string text;
    for (const Agreement::Field &field : agreement.fields())
      text += textOf(field);
    return {.digest = sha256(text), .fields = agreement.fields().size()};
  }
  static Summary of(std::span<const std::byte> bytes) {
    WireReader reader(bytes);
    Summary made;
    made.known = reader.number<uint64_t>() == magic;
    made.fields = reader.number<uint64_t>();
    std::span<const std::byte> digest = reader.bytes(made.digest.size());
    std::memcpy(made.digest.data(), digest.data(), digest.size());
    made.goesOn = reader.number<uint8_t>() != 0;
    return made;
  }
  std::vector<std::byte> bytes() const {
    return WireWriter()
        .number(magic)
        .number(fields)
        .bytes(std::as_bytes(std::span(digest)))
        .number(uint8_t(goesOn))
        .result();
  }
};

/// As it is shown: a long one by its beginning and a digest.
std::string shown(const std::string &value) {
  if (value.size() <= shownValue)
    return value;
  std::string digest = " ... sha256 " + toHex(sha256(value)).substr(0, 16);
  return value.substr(0, shownValue - digest.size()) + digest;
}

/// The first field in which a place differs from place 0.
struct Difference {
  size_t field = 0, place = 0;
};

Difference firstDifference(const std::vector<std::vector<std::byte>> &digests) {
  size_t longest = std::ranges::max(digests, {}, &std::vector<std::byte>::size).size();
  for (size_t at = 0; at + sizeof(uint64_t) <= longest; at += sizeof(uint64_t))
    for (size_t place = 1; place < digests.size(); ++place)
      if (std::memcmp(&digests[0][at], &digests[place][at], sizeof(uint64_t)) != 0)
        return {at / sizeof(uint64_t), place};
  return {};
}

std::string describe(const Agreement::Field &field, int rank) {
  return (field.name.empty()    ? "nothing"
          : field.value.empty() ? "none"
                                : field.value) +
         " on rank " + std::to_string(rank);
}

DisagreementError error(const Agreement::Field &first, const Agreement::Field &other, int rank,
                        int firstRank, int otherRank) {
  const std::string &name = first.name.empty() ? other.name : first.name;
  return {rank, rank == otherRank ? firstRank : otherRank, 0, Channel::Plans,
          "the ranks do not agree: " + name + ": " + describe(first, firstRank) + ", " +
              describe(other, otherRank)};
}

} // namespace

Agreement &Agreement::add(std::string_view name, std::string value) {
  list.push_back({std::string(name), std::move(value)});
  return *this;
}

Agreement &Agreement::add(std::string_view name, double value) {
  std::array<char, 32> text{};
  char *end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return add(name, std::string(text.data(), end));
}

std::vector<std::byte> announcementOf(const Agreement &own) {
  Summary made = Summary::of(own);
  made.goesOn = true;
  return made.bytes();
}

void requireAgreement(const Agreement &own, int rank, std::span<const int> ranks,
                      const GatherBytes &gather) {
  Summary mine = Summary::of(own);
  uint64_t fields = mine.fields;
  bool differ = false;
  std::vector<std::vector<std::byte>> summaries = gather(mine.bytes());
  for (size_t place = 0; place < summaries.size(); ++place) {
    Summary theirs = Summary::of(summaries[place]);
    if (!theirs.known || theirs.goesOn)
      throw PeerError(rank, ranks[place], 0, Channel::Plans,
                      "it is in the middle of another call, or runs another version of ringc");
    fields = std::max(fields, theirs.fields);
    differ |= theirs.digest != mine.digest;
  }
  if (!differ)
    return;

  WireWriter digests;
  for (size_t i = 0; i < fields; ++i)
    digests.number(i < own.fields().size() ? digestOf(own.fields()[i]) : 0);
  Difference difference = firstDifference(gather(digests.result()));

  Agreement::Field field;
  if (difference.field < own.fields().size())
    field = own.fields()[difference.field];
  std::vector<std::vector<std::byte>> values = gather(
      WireWriter().text(field.name, shownName).text(shown(field.value), shownValue).result());
  auto valueAt = [&](size_t place) {
    WireReader reader(values[place]);
    std::string name = reader.text(shownName);
    return Agreement::Field{name, reader.text(shownValue)};
  };
  throw error(valueAt(0), valueAt(difference.place), rank, ranks[0], ranks[difference.place]);
}

void requireAgreement(std::span<const Agreement *const> all, std::span<const int> ranks) {
  for (size_t place = 1; place < all.size(); ++place) {
    const std::vector<Agreement::Field> &first = all[0]->fields(), &other = all[place]->fields();
    for (size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
      Agreement::Field a = i < first.size() ? first[i] : Agreement::Field(),
                       b = i < other.size() ? other[i] : Agreement::Field();
      if (a != b)
        throw error({a.name, shown(a.value)}, {b.name, shown(b.value)}, ranks[place], ranks[0],
                    ranks[place]);
    }
  }
}

/// Four lanes of 8 bytes, which do not wait for each other, each multiplied and turned.
uint64_t checksum(std::span<const std::byte> bytes) {
  constexpr uint64_t odd = 0x9e37'79b9'7f4a'7c15;
  std::array<uint64_t, 4> lanes = {1, 2, 3, bytes.size()};
  auto take = [](uint64_t &lane, uint64_t word) { lane = std::rotl((lane ^ word) * odd, 29); };
  constexpr size_t round = sizeof lanes;
  size_t at = 0;
  for (; at + round <= bytes.size(); at += round) {
    std::array<uint64_t, 4> words;
    std::memcpy(words.data(), bytes.data() + at, round);
    for (size_t lane = 0; lane < lanes.size(); ++lane)
      take(lanes[lane], words[lane]);
  }
  std::array<uint64_t, 4> rest{};
  std::ranges::copy(bytes.subspan(at), std::as_writable_bytes(std::span(rest)).begin());
  for (size_t lane = 0; lane < lanes.size(); ++lane)
    take(lanes[lane], rest[lane]);
  uint64_t sum = 0;
  for (uint64_t lane : lanes)
    take(sum, lane);
  return sum ^ sum >> 31;
}

} // namespace ringc
