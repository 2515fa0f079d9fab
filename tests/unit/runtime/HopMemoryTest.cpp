#include "ringc/ring/HopMemory.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace ringc;

namespace {

/// K of 3 numbers a key, a mask of a byte a key; all see all.
struct Shard {
  Shard(int64_t length, int ranks)
      : keys{{Tensor(nullptr, DType::F32, {1, length / ranks, 1, 3}), 1},
             {Tensor(nullptr, DType::Bool, {1, length / ranks}), 1}},
        gradients{{Tensor(nullptr, DType::F32, {1, length / ranks, 1, 3}), 1}},
        plan(planRank(Pass::Backward, 0,
                      {.rings = {ranks, ranks},
                       .layout = {},
                       .queryLength = length,
                       .keyLength = length,
                       .bytesPerKey = bytesPerKey(keys),
                       .gradientBytesPerKey = bytesPerKey(gradients)},
                      [](int, int, int) { return Visibility::Full; })) {}

  std::vector<KeyIndexed> keys, gradients;
  Plan plan;
};

} // namespace

TEST_CASE("buffers cut from given room lie within it, aligned and apart") {
  Shard shard(99, 3);
  int64_t bytes = HopMemory::roomFor(shard.plan, shard.keys, shard.gradients);
  HostTensor memory(DType::Bool, {bytes + 256});
  auto start = reinterpret_cast<uintptr_t>(memory.data());
  auto *room = memory.dataAs<std::byte>() + (256 - start % 256) % 256;
  HopMemory hops({room, size_t(bytes)});
  hops.reserve(shard.plan, shard.keys, shard.gradients);
  CHECK(hops.bytes() == shard.plan.hopBufferBytes(Plan::OwnKeys::Contiguous));

  std::vector<std::pair<std::byte *, std::byte *>> spans;
  auto add = [&](const HopMemory::Buffer &buffer, std::span<const KeyIndexed> like) {
    for (const Tensor &tensor : buffer.views(like, 33)) {
      CHECK(reinterpret_cast<uintptr_t>(tensor.data()) % 256 == 0);
      spans.emplace_back(tensor.dataAs<std::byte>(),
                         tensor.dataAs<std::byte>() + tensor.byteCount());
    }
  };
  add(hops.keys[0], shard.keys);
  add(hops.keys[1], shard.keys);
  add(hops.gradients[0], shard.gradients);
  add(hops.gradients[1], shard.gradients);
  add(hops.home[0], shard.gradients);
  std::ranges::sort(spans);
  CHECK(spans.front().first >= room);
  CHECK(spans.back().second <= room + bytes);
  for (size_t i = 1; i < spans.size(); ++i)
    CHECK(spans[i - 1].second <= spans[i].first);
}

TEST_CASE("too little room is an error that says how much is needed") {
  Shard shard(99, 3);
  int64_t bytes = HopMemory::roomFor(shard.plan, shard.keys, shard.gradients);
  std::byte nothing;
  HopMemory hops({&nothing, 0});
  CHECK_THROWS_WITH_AS(
      hops.reserve(shard.plan, shard.keys, shard.gradients),
      ("room for hop buffers: got 0 bytes, allowed: " + std::to_string(bytes) + " or more").c_str(),
      InputError);
}
