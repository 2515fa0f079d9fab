// From batches to sequence shards and back, by brute force.

#include "ringc/module/AutoShard.h"
#include "ringc/comm/InProcess.h"
#include "ringc/comm/OrderedSum.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

struct Case {
  std::vector<int64_t> batches;
  int ringSize;
  int64_t length;
  SequenceLayout layout;
};

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const std::vector<int64_t> &batches : {std::vector<int64_t>{3},
                                              {1, 1},
                                              {0, 3},
                                              {2, 0, 1},
                                              {1, 2, 3, 4},
                                              {0, 0, 1, 0},
                                              {2, 1, 0, 3, 1, 1}})
    for (int ringSize = 1; ringSize <= int(batches.size()); ++ringSize)
      for (int64_t length : {0, 1, 2, 5, 31})
        for (const SequenceLayout &layout :
             {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::striped(3),
              SequenceLayout::zigzag()})
          if (batches.size() % size_t(ringSize) == 0)
            list.push_back({batches, ringSize, length, layout});
  return list;
}

/// A number that says which entry, row and column of the whole an element is.
float numberOf(int64_t entry, int64_t row, int64_t column) {
  return float(10000 * entry + 10 * row + column);
}

/// [batch, length, 3], beginning with this entry.
HostTensor ownOf(int64_t firstEntry, int64_t batch, int64_t length) {
  HostTensor made(DType::F32, {batch, length, 3});
  float *next = made.dataAs<float>();
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < length; ++i)
      for (int64_t c = 0; c < 3; ++c)
        *next++ = numberOf(firstEntry + b, i, c);
  return made;
}

bool same(const HostTensor &a, const HostTensor &b) {
  return std::ranges::equal(a.shape(), b.shape()) &&
         (a.byteCount() == 0 || std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0);
}

} // namespace

TEST_CASE("every rank gets the rows of its place, and gives them back") {
  for (const Case &test : cases()) {
    CAPTURE(nameOf(test.layout));
    CAPTURE(test.length);
    CAPTURE(test.ringSize);
    int size = int(test.batches.size());
    CAPTURE(size);
    InProcessWorld world(size);
    std::vector<uint8_t> right(size_t(size), 0);
    runRanks(world, [&](int rank) {
      Transport &transport = world.at(rank);
      BatchDeal deal =
          dealBatch(transport, test.batches[size_t(rank)], test.length, test.layout, test.ringSize);
      BatchRange mine = deal.entriesOfRank(rank);
      HostTensor own = ownOf(mine.begin, mine.count, test.length);
      HostTensor shard = autoShard(transport, own, deal);

      BatchRange held = batchOfRing(deal.batch(), size / test.ringSize, rank / test.ringSize);
      int place = rank % test.ringSize;
      Positions at = positions(test.layout, place, test.ringSize, test.length);
      int64_t rows = localLength(test.layout, place, test.ringSize, test.length);
      HostTensor expected(DType::F32, {held.count, rows, 3});
      float *next = expected.dataAs<float>();
      for (int64_t b = 0; b < held.count; ++b)
        for (int64_t l = 0; l < rows; ++l)
          for (int64_t c = 0; c < 3; ++c)
            *next++ = numberOf(held.begin + b, at(l), c);
      right[size_t(rank)] =
          same(shard, expected) && same(gatherSharded(transport, shard, deal), own);
    });
    CHECK(std::accumulate(right.begin(), right.end(), 0) == size);
  }
}

TEST_CASE("each is the other's gradient: <shard(x), y> is <x, gather(y)>") {
  for (const Case &test : cases()) {
    int size = int(test.batches.size());
    InProcessWorld world(size);
    std::vector<double> difference(size_t(size), 0);
    runRanks(world, [&](int rank) {
      Transport &transport = world.at(rank);
      BatchDeal deal =
          dealBatch(transport, test.batches[size_t(rank)], test.length, test.layout, test.ringSize);
      HostTensor x = randomNormal(DType::F32, {test.batches[size_t(rank)], test.length, 2},
                                  unsigned(rank)),
                 y = randomNormal(DType::F32,
                                  {deal.shardEntries(rank).count, deal.shardRows(rank), 2},
                                  unsigned(100 + rank));
      auto dot = [](const HostTensor &a, const HostTensor &b) {
        double sum = 0;
        for (int64_t i = 0; i < a.elementCount(); ++i)
          sum += double(a.dataAs<float>()[i]) * double(b.dataAs<float>()[i]);
        return sum;
      };
      difference[size_t(rank)] =
          dot(autoShard(transport, x, deal), y) - dot(x, gatherSharded(transport, y, deal));
    });
    CHECK(std::abs(std::accumulate(difference.begin(), difference.end(), 0.0)) < 1e-9);
  }
}

TEST_CASE("masks and further axes, of any strides") {
  InProcessWorld world(2);
  runRanks(world, [&](int rank) {
    Transport &transport = world.at(rank);
    HostTensor mask(DType::Bool, {7, 3}); // read as [3, 7]
    for (int64_t i = 0; i < 21; ++i)
      mask.dataAs<uint8_t>()[i] = uint8_t((i + rank) % 3 == 0);
    Tensor turned = mask.view().permute({1, 0});
    BatchDeal deal = dealBatch(transport, 3, 7, SequenceLayout::zigzag());
    HostTensor back = gatherSharded(transport, autoShard(transport, turned, deal), deal);
    CHECK(same(back, HostTensor::copyOf(turned)));
    HostTensor four = HostTensor(DType::F16, {3, 7, 2, 5});
    CHECK(autoShard(transport, four, deal).rank() == 4);
  });
}

TEST_CASE("lengths that differ are an error on all ranks") {
  InProcessWorld world(3, {.deadline = std::chrono::seconds(20)});
  std::vector<std::string> said(3);
  runRanks(world, [&](int rank) {
    said[size_t(rank)] = messageOf<DisagreementError>([&] {
      (void)dealBatch(world.at(rank), 1, rank == 1 ? 9 : 8, SequenceLayout::contiguous());
    });
  });
  for (const std::string &each : said)
    CHECK(each.find("rows of a sequence") != each.npos);
}

TEST_CASE("tensors and deals that do not fit") {
  InProcessWorld world(1);
  Transport &transport = world.at(0);
  BatchDeal deal = dealBatch(transport, 2, 5, SequenceLayout::contiguous());
  HostTensor wrong(DType::F32, {2, 6, 3});
  CHECK(messageOf<InputError>([&] { (void)autoShard(transport, wrong, deal); }) ==
        "batch to shard: got f32[2, 6, 3], allowed: two or more axes, the first 2 entries and 5 "
        "rows");
  CHECK(messageOf<InputError>([&] {
          (void)gatherSharded(transport, wrong, deal);
        }).starts_with("shard to gather: got f32[2, 6, 3]"));
  deal.batches.push_back(1);
  CHECK(messageOf<InputError>([&] { (void)autoShard(transport, wrong, deal); }) ==
        "deal: got 2 ranks, allowed: 1, those of the transport");
  CHECK(messageOf<InputError>(
            [&] { (void)dealBatch(transport, 1, 5, SequenceLayout::contiguous(), 2); }) != "");
}

TEST_CASE("sums over ranks have one order") {
  for (int size : {1, 2, 3, 5})
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<HostTensor> numbers;
      for (int rank = 0; rank < size; ++rank)
        numbers.push_back(randomNormal(DType::F32, {count}, unsigned(rank + 1)));
      std::vector<float> expected(size_t(count), 0.0f);
      for (const HostTensor &each : numbers)
        for (int64_t i = 0; i < count; ++i)
          expected[size_t(i)] += each.dataAs<float>()[i];
      InProcessWorld world(size);
      runRanks(world, [&](int rank) {
        orderedSum(world.at(rank), {numbers[size_t(rank)].dataAs<float>(), size_t(count)});
      });
      for (const HostTensor &each : numbers)
        CHECK(std::ranges::equal(expected, std::span(each.dataAs<float>(), size_t(count))));
    }
}
