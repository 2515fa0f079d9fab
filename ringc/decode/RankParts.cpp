#include "ringc/decode/RankParts.h"

namespace ringc {

namespace {

constexpr int64_t floatBytes = 4;

} // namespace

RankParts::RankParts(int world, const DecodeShape &shape)
    : ranks(world), of(shape), rows(shape.batch * shape.queries * shape.heads),
      pieceBytes(rows * (shape.valueHeadDim + 1) * floatBytes),
      distance((pieceBytes + alignment - 1) / alignment * alignment) {}

Tensor RankParts::parts(void *memory) const {
  int64_t row = of.valueHeadDim;
  return {memory, DType::F32,
          std::vector<int64_t>{ranks, of.batch, of.queries, of.heads, of.valueHeadDim},
          std::vector<int64_t>{distance / floatBytes, of.queries * of.heads * row, of.heads * row,
                               row, 1}};
}

Tensor RankParts::logs(void *memory) const {
  return {static_cast<std::byte *>(memory) + rows * of.valueHeadDim * floatBytes, DType::F32,
          std::vector<int64_t>{ranks, of.batch, of.heads, of.queries},
          std::vector<int64_t>{distance / floatBytes, of.heads * of.queries, of.queries, 1}};
}

Exchange RankParts::exchange(void *memory, int rank) const {
  Exchange made{.hop = 0, .channel = Channel::Results, .sends = {}, .receives = {}};
  auto piece = [&](int64_t owner) {
    return std::span(static_cast<std::byte *>(memory) + owner * distance, size_t(pieceBytes));
  };
  for (int peer = 0; pieceBytes > 0 && peer < int(ranks); ++peer)
    if (peer != rank) {
      made.sends.push_back({peer, piece(rank)});
      made.receives.push_back({peer, piece(peer)});
    }
  return made;
}

} // namespace ringc
