#include "tests/ring/NaiveKernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringc::test {

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

template <typename T> T &at(const Tensor &tensor, std::initializer_list<int64_t> index) {
  return *reinterpret_cast<T *>(tensor.at(std::span(index.begin(), index.size())));
}

double dot(const Tensor &a, const Tensor &b, int64_t batch, int64_t rowA, int64_t headA,
           int64_t rowB, int64_t headB) {
  double sum = 0;
  for (int64_t c = 0; c < a.dim(3); ++c)
    sum += double(at<float>(a, {batch, rowA, headA, c})) * at<float>(b, {batch, rowB, headB, c});
  return sum;
}

/// Calls visit(b, h, row, kvHead, keyRow) for each visible pair, keys innermost.
template <typename Visit>
void forEachPair(const QueryShard &shard, const HopBlock &block, Visit &&visit) {
  const Tensor &k = block.keys[0], &keyMask = block.keys[2], &documents = block.keys[3];
  Positions keys = shard.keyPositions(block);
  int64_t group = shard.q.dim(2) / k.dim(2);
  for (int64_t b = 0; b < shard.q.dim(0); ++b)
    for (int64_t h = 0; h < shard.q.dim(2); ++h)
      for (int64_t row = 0; row < shard.q.dim(1); ++row)
        for (int64_t key = 0; key < block.rows; ++key)
          if (shard.mask.shows(shard.positions(row), keys(key)) && at<uint8_t>(keyMask, {b, key}) &&
              at<int32_t>(documents, {key}) == at<int32_t>(shard.documents, {row}))
            visit(b, h, row, h / group, key);
}

/// A block's sum once, as compiled kernels do: the order of additions is that of the blocks.
/// `part` is row-major, `sum` may be some rows of a larger tensor.
void addTo(const Tensor &sum, const std::vector<double> &part) {
  if (sum.isContiguous()) {
    for (size_t i = 0; i < part.size(); ++i)
      sum.dataAs<float>()[i] += float(part[i]);
    return;
  }
  size_t each = part.size() / size_t(sum.dim(0));
  for (int64_t first = 0; first < sum.dim(0); ++first)
    addTo(sum.select(0, first), {part.begin() + std::ptrdiff_t(size_t(first) * each),
                                 part.begin() + std::ptrdiff_t(size_t(first + 1) * each)});
}

} // namespace

void NaiveForward::run(const HopBlock &block) {
  const Tensor &q = shard.q, &k = block.keys[0], &v = block.keys[1];
  int64_t rows = q.dim(1), heads = q.dim(2), dv = shard.out.dim(3);
  if (block.begins)
    state.assign(size_t(q.dim(0) * heads * rows), {-inf, 0, std::vector<double>(size_t(dv), 0)});
  forEachPair(shard, block, [&](int64_t b, int64_t h, int64_t row, int64_t kv, int64_t key) {
    RowState &to = state[size_t((b * heads + h) * rows + row)];
    double s = shard.scale * dot(q, k, b, row, h, key, kv);
    double m = std::max(to.m, s), shrink = std::exp(to.m - m), p = std::exp(s - m);
    to.m = m;
    to.l = to.l * shrink + p;
    for (int64_t c = 0; c < dv; ++c)
      to.acc[size_t(c)] = to.acc[size_t(c)] * shrink + p * at<float>(v, {b, key, kv, c});
  });
  if (!block.ends)
    return;
  for (int64_t b = 0; b < q.dim(0); ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t row = 0; row < rows; ++row) {
        const RowState &from = state[size_t((b * heads + h) * rows + row)];
        at<float>(shard.lse, {b, h, row}) = float(from.m + std::log(from.l));
        for (int64_t c = 0; c < dv; ++c)
          at<float>(shard.out, {b, row, h, c}) =
              float(from.l > 0 ? from.acc[size_t(c)] / from.l : 0);
      }
}

void NaiveForward::runNothing() {
  for (int64_t i = 0; i < shard.out.elementCount(); ++i)
    shard.out.dataAs<float>()[i] = 0;
  for (int64_t i = 0; i < shard.lse.elementCount(); ++i)
    shard.lse.dataAs<float>()[i] = -std::numeric_limits<float>::infinity();
}

void NaiveBackward::run(const HopBlock &block) {
  const Tensor &q = shard.q, &k = block.keys[0], &v = block.keys[1];
  const Tensor &dk = block.gradients[0], &dv = block.gradients[1];
  int64_t rows = q.dim(1), heads = q.dim(2), d = q.dim(3);
  if (block.begins)
    dq.assign(size_t(q.elementCount()), 0);
  std::vector<double> dkOfBlock(size_t(dk.elementCount())), dvOfBlock(size_t(dv.elementCount()));
  forEachPair(shard, block, [&](int64_t b, int64_t h, int64_t row, int64_t kv, int64_t key) {
    double s = shard.scale * dot(q, k, b, row, h, key, kv);
    double p = std::exp(s - at<float>(shard.lse, {b, h, row}));
    double delta = dot(shard.dout, shard.out, b, row, h, row, h);
    double ds = p * (dot(shard.dout, v, b, row, h, key, kv) - delta) * shard.scale;
    for (int64_t c = 0; c < d; ++c) {
      dq[size_t(((b * rows + row) * heads + h) * d + c)] += ds * at<float>(k, {b, key, kv, c});
      dkOfBlock[size_t(((b * block.rows + key) * k.dim(2) + kv) * d + c)] +=
          ds * at<float>(q, {b, row, h, c});
    }
    for (int64_t c = 0; c < shard.dout.dim(3); ++c)
      dvOfBlock[size_t(((b * block.rows + key) * k.dim(2) + kv) * shard.dout.dim(3) + c)] +=
          p * at<float>(shard.dout, {b, row, h, c});
  });
  addTo(dk, dkOfBlock);
  addTo(dv, dvOfBlock);
  if (block.ends)
    std::ranges::transform(dq, shard.dq.dataAs<float>(), [](double x) { return float(x); });
}

void NaiveBackward::runNothing() {
  for (int64_t i = 0; i < shard.dq.elementCount(); ++i)
    shard.dq.dataAs<float>()[i] = 0;
}

} // namespace ringc::test
