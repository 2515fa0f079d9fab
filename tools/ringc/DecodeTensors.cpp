#include "tools/ringc/DecodeTensors.h"

#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace ringc::cli {

namespace {

void fillWithNaN(const Tensor &tensor) {
  HostTensor nan(DType::F32, tensor.shape());
  std::fill_n(nan.dataAs<float>(), nan.elementCount(), std::numeric_limits<float>::quiet_NaN());
  convert(nan, tensor);
}

/// Blocks of rows that ranks get in turn, in a row.
HostTensor blocksOf(const DecodeCase &decode, const Tensor &whole, int rank) {
  std::vector<std::pair<int64_t, int64_t>> blocks; // begin, rows
  int64_t rows = 0;
  for (int64_t at = rank * decode.block; at < decode.rows; at += decode.ranks * decode.block) {
    blocks.emplace_back(at, std::min(decode.block, decode.rows - at));
    rows += blocks.back().second;
  }
  HostTensor made(whole.dtype(), {whole.dim(0), rows, whole.dim(2), whole.dim(3)});
  int64_t next = 0;
  for (auto [begin, count] : blocks) {
    copy(whole.slice(1, begin, count), made.view().slice(1, next, count));
    next += count;
  }
  return made;
}

} // namespace

DecodeTensors::DecodeTensors(const DecodeCase &of) : lengths(DType::I32, {of.batch()}), decode(of) {
  std::mt19937_64 random(of.seed);
  const AttentionOptions &options = of.options.attention;
  auto make = [&](int64_t rows, int64_t heads, int64_t dim) {
    return randomTensor(options.dtype, {of.batch(), rows, heads, dim}, random);
  };
  q = make(of.queries, options.heads, options.headDim);
  k = make(of.rows, options.kvHeads, options.headDim);
  v = make(of.rows, options.kvHeads, options.valueHeadDim);
  std::ranges::transform(of.lengths, lengths.dataAs<int32_t>(),
                         [](int64_t length) { return int32_t(length); });
  for (HostTensor *each : {&k, &v})
    for (int64_t entry = 0; entry < of.batch(); ++entry)
      fillWithNaN(
          each->view().select(0, entry).slice(0, lengthOf(entry), of.rows - lengthOf(entry)));
  if (of.page > 0)
    for (int64_t page = 0; page < of.batch() * pages(); ++page)
      missing.push_back(of.missingPages && random() % 4 == 0);
}

/// Pages in a random order, with NaN in the others and in what is no row of theirs.
void DecodeShare::addPages(const DecodeCase &decode, const DecodeTensors &whole, int rank) {
  int64_t batch = decode.batch(), ranks = decode.ranks, page = decode.page,
          own = std::max<int64_t>(whole.pages() - rank + ranks - 1, 0) / ranks,
          pool = batch * own + 3;
  std::vector<int64_t> order(static_cast<size_t>(pool));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, std::mt19937_64(decode.seed + uint64_t(rank)));
  table = HostTensor(DType::I32, {batch, own});
  for (auto [from, to] : {std::pair(&whole.k, &k), {&whole.v, &v}}) {
    *to = HostTensor(from->dtype(), {pool, page, from->dim(2), from->dim(3)});
    fillWithNaN(*to);
  }
  size_t next = 0;
  for (int64_t entry = 0; entry < batch; ++entry)
    for (int64_t column = 0; column < own; ++column) {
      int64_t number = column * ranks + rank, begin = number * page,
              count = std::clamp<int64_t>(whole.lengthOf(entry) - begin, 0, page);
      bool isThere = count > 0 && !whole.isMissing(entry, number);
      int64_t at = isThere ? order[next++] : -1;
      table.dataAs<int32_t>()[entry * own + column] = int32_t(at);
      if (!isThere)
        continue;
      for (auto [from, to] : {std::pair(&whole.k, &k), {&whole.v, &v}})
        copy(from->view().select(0, entry).slice(0, begin, count),
             to->view().select(0, at).slice(0, 0, count));
    }
  inputs.k = k;
  inputs.v = v;
  inputs.pageTable = table;
  keys = DecodeKeys::ofPages(rank, decode.ranks, page);
}

DecodeShare::DecodeShare(const DecodeCase &decode, const DecodeTensors &whole, int rank) {
  inputs.q = whole.q;
  inputs.lengths = whole.lengths;
  inputs.arguments = decode.arguments;
  if (decode.page > 0) {
    addPages(decode, whole, rank);
  } else if (decode.cuts.empty()) {
    k = blocksOf(decode, whole.k, rank);
    v = blocksOf(decode, whole.v, rank);
    inputs.k = k;
    inputs.v = v;
    keys = DecodeKeys::ofPages(rank, decode.ranks, decode.block);
  } else {
    int64_t begin = decode.cuts[size_t(rank)], end = decode.cuts[size_t(rank) + 1];
    inputs.k = whole.k.view().slice(1, begin, end - begin);
    inputs.v = whole.v.view().slice(1, begin, end - begin);
    keys.positions.first = begin;
  }
}

} // namespace ringc::cli
