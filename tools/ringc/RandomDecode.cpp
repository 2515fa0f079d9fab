#include "tools/ringc/RandomDecode.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <initializer_list>
#include <random>

namespace ringc::cli {

/// What is drawn, in this order: later flags do not change what earlier ones have given.
class RandomDecode::Draw {
public:
  Draw(const RandomDecode &ofFlags, uint64_t seed) : all(ofFlags), random(seed) {}

  DecodeCase draw(uint64_t seed, int least, int most) {
    DecodeCase made;
    made.seed = seed;
    made.arguments = all.arguments();
    made.options.attention = all.asked;
    made.ranks = int(from(least, most));
    drawSizes(made);
    drawFunctions(made);
    drawPlaces(made);
    return made;
  }

private:
  bool isGiven(const char *flag) const { return all.flags.isGiven(flag); }
  int64_t from(int64_t low, int64_t high) {
    return low + int64_t(random() % uint64_t(high - low + 1));
  }
  bool oneIn(int64_t many) { return from(1, many) == 1; }
  template <typename Value> Value oneOf(std::initializer_list<Value> values) {
    return values.begin()[from(0, int64_t(values.size()) - 1)];
  }

  void drawSizes(DecodeCase &made) {
    AttentionOptions &of = made.options.attention;
    int64_t batch = from(1, 4), group = oneOf<int64_t>({1, 1, 2, 3, 4, 7, 8, 16});
    DType dtype = oneOf({DType::F32, DType::F32, DType::BF16, DType::F16});
    made.queries = oneIn(2) ? 1 : from(1, 16);
    made.rows = oneOf({from(0, 70), from(1, 300), from(1, 300), from(1, 1500)});
    of.kvHeads = from(1, 3);
    of.heads = of.kvHeads * group;
    of.headDim = oneOf<int64_t>({64, 128, from(1, 128), from(1, 256)});
    of.valueHeadDim = oneIn(2) ? of.headDim : from(1, 128);
    if (!isGiven("--dtype"))
      of.dtype = dtype;
    if (all.shape) {
      batch = all.shape->batch;
      made.queries = all.shape->queries;
      made.rows = all.shape->keys;
      of.heads = all.shape->heads;
      of.kvHeads = all.shape->kvHeads;
      of.headDim = all.shape->headDim;
      of.valueHeadDim = all.shape->valueHeadDim;
    }
    made.lengths.clear();
    for (int64_t entry = 0; entry < batch; ++entry)
      made.lengths.push_back(oneIn(3)
                                 ? oneOf<int64_t>({0, std::min<int64_t>(made.rows, 1), made.rows})
                                 : from(0, made.rows));
  }

  void drawFunctions(DecodeCase &made) {
    AttentionOptions &of = made.options.attention;
    auto draw = [&](const char *flag, auto &into, auto value, bool taken) {
      if (taken && !isGiven(flag))
        into = value;
    };
    draw("--causal", of.causal, true, oneIn(2));
    draw("--window", of.window, Window{from(-1, 300), from(-1, 20)}, oneIn(4));
    draw("--prefix", of.prefix, from(1, 100), of.causal && oneIn(4));
    draw("--softcap", of.softcap, oneOf({1.0, 5.0, 30.0}), oneIn(4));
    draw("--alibi", of.alibi, true, oneIn(4) && !isGiven("--alibi-slopes"));
    draw("--scale", of.scale, oneOf({0.05, 0.3, -0.1}), oneIn(4));
    draw("--kv-head-map", of.headMap, HeadMap::Tiled, oneIn(2));
    setAlibiSlopes(all.session, all.flags.attention, of);
  }

  void drawPlaces(DecodeCase &made) {
    int64_t page = oneIn(2) ? 0 : oneOf<int64_t>({1, 7, 16, 24, 48, 64, 128, from(1, 200)}),
            split = oneIn(2) ? 0 : oneOf<int64_t>({64, 128, 320, 1024});
    made.page = all.flags.decode.page.value_or(page);
    made.options.split = all.flags.decode.split.value_or(split);
    made.missingPages = oneIn(4);
    made.block = oneOf<int64_t>({1, 5, 64});
    if (!oneIn(4))
      made.cuts = oneIn(2) ? evenCuts(made.rows, made.ranks) : randomCuts(made);
  }

  /// Some ranks have nothing.
  std::vector<int64_t> randomCuts(const DecodeCase &made) {
    std::vector<int64_t> cuts = {0, made.rows};
    for (int rank = 1; rank < made.ranks; ++rank)
      cuts.push_back(oneIn(3) ? cuts.back() : from(0, made.rows));
    std::ranges::sort(cuts);
    return cuts;
  }

  const RandomDecode &all;
  std::mt19937_64 random;
};

RandomDecode::RandomDecode(const Session &toTell, const VerifyFlags &given)
    : session(toTell), flags(given), asked(optionsOf(given.attention)),
      side(readSideInputs(toTell, given.attention)) {
  constexpr int64_t longest = 1 << 20;
  if (flags.decode.page)
    requireInteger("page", *flags.decode.page, 0, 4096);
  if (!flags.attention.dtype.empty())
    asked.dtype = parseFloatType(flags.attention.dtype);
  if (!flags.shape.empty()) {
    shape = parseShape(flags.shape);
    requireInteger("keys of an entry", shape->keys, 0, longest);
    asked.heads = shape->heads;
    asked.kvHeads = shape->kvHeads;
    asked.headDim = shape->headDim;
    asked.valueHeadDim = shape->valueHeadDim;
    setAlibiSlopes(session, flags.attention, asked);
    validate(asked);
  }
}

DecodeCase RandomDecode::draw(uint64_t seed, int least, int most) const {
  return Draw(*this, seed).draw(seed, least, most);
}

} // namespace ringc::cli
