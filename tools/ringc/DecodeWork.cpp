#include "tools/ringc/DecodeWork.h"

#include "ringc/attention/shared/AlibiSlopes.h"
#include "tools/ringc/DecodeCase.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/ReferenceProblem.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <span>
#include <tuple>

namespace ringc::cli {

namespace {

AttentionOptions ofOneGroup(const AttentionOptions &whole) {
  AttentionOptions one = whole;
  one.heads = whole.heads / whole.kvHeads;
  one.kvHeads = 1;
  return one;
}

} // namespace

EndlessNumbers::EndlessNumbers(DType dtype, uint64_t seed) {
  std::mt19937_64 random(seed);
  some = repeatedTensor(dtype, {repeatedNumbers}, random);
}

void EndlessNumbers::copyTo(int64_t first, const Tensor &memory) const {
  auto *to = memory.dataAs<std::byte>();
  auto size = int64_t(sizeOf(some.dtype()));
  for (int64_t left = memory.elementCount(); left > 0;) {
    int64_t at = first % some.elementCount(), count = std::min(left, some.elementCount() - at);
    std::memcpy(to, some.dataAs<std::byte>() + at * size, size_t(count * size));
    to += count * size;
    first += count;
    left -= count;
  }
}

DecodeWork::DecodeWork(const DecodeOptions &given, const Shape &shape, int64_t pageSize)
    : options(given), batch(shape.batch), keys(shape.keys), page(pageSize),
      q(options.attention.dtype, {batch, 1, options.attention.heads, options.attention.headDim}),
      k(options.attention.dtype, 2), v(options.attention.dtype, 3) {
  EndlessNumbers(options.attention.dtype, 1).copyTo(0, q);
}

double DecodeWork::bytes() const {
  const AttentionOptions &of = options.attention;
  return double(batch) * double(keys) * double(of.kvHeads) * double(of.headDim + of.valueHeadDim) *
         double(sizeOf(of.dtype));
}

HostTensor DecodeWork::newOut() const {
  const AttentionOptions &attention = options.attention;
  return {attention.dtype, {batch, 1, attention.heads, attention.valueHeadDim}};
}

HostTensor DecodeWork::newLse() const { return {DType::F32, {batch, options.attention.heads, 1}}; }

DecodeWorkShare::DecodeWorkShare(const DecodeWork &work, int rank, int ranks)
    : of(work), lengths(filled(work.keys)) {
  if (of.page > 0)
    takePages(rank, ranks);
  else
    takeRows(rank, ranks);
}

HostTensor DecodeWorkShare::filled(int64_t length) const {
  HostTensor made(DType::I32, {of.batch});
  std::fill_n(made.dataAs<int32_t>(), of.batch, int32_t(length));
  return made;
}

void DecodeWorkShare::takeRows(int rank, int ranks) {
  std::vector<int64_t> cuts = evenCuts(of.keys, ranks);
  int64_t begin = cuts[size_t(rank)], rows = cuts[size_t(rank) + 1] - begin;
  const AttentionOptions &attention = of.options.attention;
  for (auto [numbers, dim, to] :
       {std::tuple(&of.k, attention.headDim, &k), {&of.v, attention.valueHeadDim, &v}}) {
    *to = HostTensor(attention.dtype, {of.batch, rows, attention.kvHeads, dim});
    for (int64_t entry = 0; entry < of.batch; ++entry)
      numbers->copyTo((entry * of.keys + begin) * attention.kvHeads * dim,
                      to->view().select(0, entry));
  }
  own.positions.first = begin;
  ownLengths = filled(rows);
}

void DecodeWorkShare::takePages(int rank, int ranks) {
  int64_t all = of.keys / of.page, each = std::max<int64_t>(all - rank + ranks - 1, 0) / ranks;
  table = HostTensor(DType::I32, {of.batch, each});
  std::span<int32_t> places(table.dataAs<int32_t>(), size_t(table.elementCount()));
  std::iota(places.begin(), places.end(), 0);
  std::ranges::shuffle(places, std::mt19937_64(uint64_t(rank) + 5));
  const AttentionOptions &attention = of.options.attention;
  for (auto [numbers, dim, to] :
       {std::tuple(&of.k, attention.headDim, &k), {&of.v, attention.valueHeadDim, &v}}) {
    *to = HostTensor(attention.dtype, {of.batch * each, of.page, attention.kvHeads, dim});
    for (int64_t entry = 0; entry < of.batch; ++entry)
      for (int64_t column = 0; column < each; ++column) {
        int64_t row = entry * of.keys + (column * ranks + rank) * of.page;
        numbers->copyTo(row * attention.kvHeads * dim,
                        to->view().select(0, places[size_t(entry * each + column)]));
      }
  }
  own = DecodeKeys::ofPages(rank, ranks, of.page);
  ownLengths = filled(each * of.page);
}

DecodeInputs DecodeWorkShare::inputs() const {
  DecodeInputs made{.q = of.q, .k = k, .v = v};
  made.lengths = lengths;
  if (of.page > 0)
    made.pageTable = table;
  return made;
}

DecodeWorkCheck::DecodeWorkCheck(const DecodeWork &work, int64_t most)
    : of(work), one(ofOneGroup(work.options.attention)), expected(one, 1) {
  int64_t kvHeads = of.options.attention.kvHeads, all = of.batch * kvHeads,
          each = std::max<int64_t>(of.keys * (one.headDim + one.valueHeadDim), 1),
          count = std::min(std::max<int64_t>(most / each, 1), all);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = (2 * i + 1) * all / (2 * count);
    groups.push_back({at / kvHeads, at % kvHeads});
    expected.add(problemOf(groups.back()));
  }
}

reference::Problem DecodeWorkCheck::problemOf(const Group &group) const {
  int64_t kvHeads = of.options.attention.kvHeads;
  HostTensor k(one.dtype, {1, of.keys, 1, one.headDim}),
      v(one.dtype, {1, of.keys, 1, one.valueHeadDim});
  for (int64_t key = 0; key < of.keys; ++key) {
    int64_t row = (group.entry * of.keys + key) * kvHeads + group.kvHead;
    of.k.copyTo(row * one.headDim, k.view().slice(1, key, 1));
    of.v.copyTo(row * one.valueHeadDim, v.view().slice(1, key, 1));
  }
  AttentionInputs inputs{.q = queriesOf(of.q, group), .k = k, .v = v};
  AttentionOptions options = one;
  if (options.alibi) {
    const AttentionOptions &whole = of.options.attention;
    std::vector<float> slopes =
        whole.alibiSlopes.empty() ? alibiSlopes(whole.heads) : whole.alibiSlopes;
    auto first = slopes.begin() + group.kvHead * one.heads;
    options.alibiSlopes.assign(first, first + one.heads);
  }
  return cli::problemOf(options, inputs, Tensor());
}

Tensor DecodeWorkCheck::queriesOf(const Tensor &whole, const Group &group) const {
  return whole.slice(0, group.entry, 1).slice(2, group.kvHead * one.heads, one.heads);
}

DecodeErrors DecodeWorkCheck::errorsOf(const Tensor &out, const Tensor &lse) const {
  auto count = int64_t(groups.size());
  HostTensor outs(one.dtype, {count, 1, one.heads, one.valueHeadDim}),
      lses(DType::F32, {count, one.heads, 1});
  for (int64_t at = 0; at < count; ++at) {
    const Group &group = groups[size_t(at)];
    copy(queriesOf(out, group), outs.view().slice(0, at, 1));
    copy(lse.slice(0, group.entry, 1).slice(1, group.kvHead * one.heads, one.heads),
         lses.view().slice(0, at, 1));
  }
  return expected.errorsOf(outs, lses);
}

} // namespace ringc::cli
