#include "tools/ringc/DecodeCase.h"

#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/DecodeOnDevice.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/ReferenceProblem.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <span>

namespace ringc::cli {

using reference::Array;

namespace {

DecodeCase completed(DecodeCase given) {
  AttentionOptions &of = given.options.attention;
  if (of.kvHeads == 0)
    of.kvHeads = of.heads;
  if (of.valueHeadDim == 0)
    of.valueHeadDim = of.headDim;
  return given;
}

int64_t batchOf(const DecodeCase &decode) { return int64_t(decode.lengths.size()); }

void fillWithNaN(const Tensor &tensor) {
  HostTensor nan(DType::F32, tensor.shape());
  std::fill_n(nan.dataAs<float>(), nan.elementCount(), std::numeric_limits<float>::quiet_NaN());
  convert(nan, tensor);
}

/// What all ranks work on together.
class Whole {
public:
  explicit Whole(const DecodeCase &of) : decode(of), lengths(DType::I32, {batchOf(of)}) {
    std::mt19937_64 random(of.seed);
    const AttentionOptions &options = of.options.attention;
    auto make = [&](int64_t rows, int64_t heads, int64_t dim) {
      return randomTensor(options.dtype, {batchOf(of), rows, heads, dim}, random);
    };
    q = make(of.queries, options.heads, options.headDim);
    k = make(of.rows, options.kvHeads, options.headDim);
    v = make(of.rows, options.kvHeads, options.valueHeadDim);
    std::ranges::transform(of.lengths, lengths.dataAs<int32_t>(),
                           [](int64_t length) { return int32_t(length); });
    for (HostTensor *each : {&k, &v})
      for (int64_t entry = 0; entry < batchOf(of); ++entry)
        fillWithNaN(
            each->view().select(0, entry).slice(0, lengthOf(entry), of.rows - lengthOf(entry)));
    if (of.page > 0)
      for (int64_t page = 0; page < batchOf(of) * pages(); ++page)
        missing.push_back(of.missingPages && random() % 4 == 0);
  }

  int64_t lengthOf(int64_t entry) const { return decode.lengths[size_t(entry)]; }
  int64_t pages() const { return (decode.rows + decode.page - 1) / decode.page; }
  bool isMissing(int64_t entry, int64_t page) const {
    return missing[size_t(entry * pages() + page)];
  }
  bool isVisible(int64_t entry, int64_t row) const {
    return decode.page == 0 || !isMissing(entry, row / decode.page);
  }

private:
  const DecodeCase &decode;
  std::vector<bool> missing;

public:
  HostTensor q, k, v, lengths;
};

/// What a rank has of them.
struct Share {
  DecodeInputs inputs;
  DecodeKeys keys;
  HostTensor k, v, table;
};

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

/// Pages in a random order, with NaN in the others and in what is no row of theirs.
void addPages(Share &share, const DecodeCase &decode, const Whole &whole, int rank) {
  int64_t batch = batchOf(decode), ranks = decode.ranks, page = decode.page,
          own = std::max<int64_t>(whole.pages() - rank + ranks - 1, 0) / ranks,
          pool = batch * own + 3;
  std::vector<int64_t> order(static_cast<size_t>(pool));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, std::mt19937_64(decode.seed + uint64_t(rank)));
  share.table = HostTensor(DType::I32, {batch, own});
  for (auto [from, to] : {std::pair(&whole.k, &share.k), {&whole.v, &share.v}}) {
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
      share.table.dataAs<int32_t>()[entry * own + column] = int32_t(at);
      if (!isThere)
        continue;
      for (auto [from, to] : {std::pair(&whole.k, &share.k), {&whole.v, &share.v}})
        copy(from->view().select(0, entry).slice(0, begin, count),
             to->view().select(0, at).slice(0, 0, count));
    }
  share.inputs.k = share.k;
  share.inputs.v = share.v;
  share.inputs.pageTable = share.table;
  share.keys = DecodeKeys::ofPages(rank, decode.ranks, page);
}

Share shareOf(const DecodeCase &decode, const Whole &whole, int rank) {
  Share made;
  made.inputs.q = whole.q;
  made.inputs.lengths = whole.lengths;
  made.inputs.arguments = decode.arguments;
  if (decode.page > 0) {
    addPages(made, decode, whole, rank);
  } else if (decode.cuts.empty()) {
    made.k = blocksOf(decode, whole.k, rank);
    made.v = blocksOf(decode, whole.v, rank);
    made.inputs.k = made.k;
    made.inputs.v = made.v;
    made.keys = DecodeKeys::ofPages(rank, decode.ranks, decode.block);
  } else {
    int64_t begin = decode.cuts[size_t(rank)], end = decode.cuts[size_t(rank) + 1];
    made.inputs.k = whole.k.view().slice(1, begin, end - begin);
    made.inputs.v = whole.v.view().slice(1, begin, end - begin);
    made.keys.positions.first = begin;
  }
  return made;
}

/// Of all entries, each by itself.
struct Expected {
  Expected(const DecodeCase &decode, const Whole &whole) {
    const AttentionOptions &of = decode.options.attention;
    exact.out = plain.out = Array({batchOf(decode), decode.queries, of.heads, of.valueHeadDim});
    exact.lse = plain.lse = Array({batchOf(decode), of.heads, decode.queries, 1});
    for (int64_t entry = 0; entry < batchOf(decode); ++entry)
      add(decode, whole, entry);
  }

  reference::Result exact, plain; ///< in double precision, and as an eager implementation has it
  double rows = 0;                ///< independentRows of all entries

private:
  void add(const DecodeCase &decode, const Whole &whole, int64_t entry) {
    const AttentionOptions &of = decode.options.attention;
    int64_t length = whole.lengthOf(entry);
    AttentionInputs inputs{.q = whole.q.view().slice(0, entry, 1),
                           .k = whole.k.view().slice(0, entry, 1).slice(1, 0, length),
                           .v = whole.v.view().slice(0, entry, 1).slice(1, 0, length)};
    inputs.arguments = decode.arguments;
    reference::Problem problem = problemOf(of, inputs, Tensor());
    Interpreter interpreter(of, inputs);
    interpreter.addTo(problem);
    // To the functions it is entry 0 of one.
    if (auto inner = problem.mask.predicate)
      problem.mask.predicate = [inner, entry](int, int h, int64_t i, int64_t j) {
        return inner(int(entry), h, i, j);
      };
    if (auto inner = problem.score)
      problem.score = [inner, entry](double s, int, int h, int64_t i, int64_t j) {
        return inner(s, int(entry), h, i, j);
      };
    if (decode.missingPages)
      for (int64_t row = 0; row < length; ++row)
        problem.mask.keyMask.push_back(whole.isVisible(entry, row));
    put(reference::attention(problem), exact, entry);
    put(of.dtype == DType::F32 ? reference::Result() : reference::plainAttention(problem, of.dtype),
        plain, entry);
    rows += independentRows(of, 1, decode.queries, length);
  }

  static void put(const reference::Result &one, reference::Result &whole, int64_t entry) {
    auto at = [&](const Array &from, Array &to) {
      std::ranges::copy(from.data, to.data.begin() + entry * int64_t(from.data.size()));
    };
    at(one.out, whole.out);
    at(one.lse, whole.lse);
  }
};

reference::Problem shapesOf(const DecodeCase &decode, const Whole &whole) {
  reference::Problem made;
  made.q = reference::arrayOf(whole.q);
  made.k = reference::arrayOf(whole.k);
  made.scale = decode.options.attention.scale;
  return made;
}

} // namespace

std::string DecodeCase::name() const {
  const AttentionOptions &of = options.attention;
  auto number = [](auto value) { return std::to_string(value); };
  std::string text = std::string(nameOf(of.dtype)) + " " + number(lengths.size()) + " x " +
                     number(queries) + "/" + number(rows) + ", heads " + number(of.heads) + "/" +
                     number(of.kvHeads) + " of " + number(of.headDim) + "/" +
                     number(of.valueHeadDim);
  if (page > 0)
    text += ", pages of " + number(page) + (missingPages ? " with gaps" : "");
  else if (cuts.empty())
    text += ", blocks of " + number(block);
  if (options.split > 0)
    text += ", split " + number(options.split);
  for (auto [given, what] : {std::pair(of.headMap == HeadMap::Tiled, ", tiled"),
                             {of.causal, ", causal"},
                             {of.causal && of.prefix > 0, ", prefix"},
                             {of.window != Window(), ", window"},
                             {of.softcap.has_value(), ", softcap"},
                             {of.alibi, ", ALiBi"},
                             {of.scale.has_value(), ", scale"},
                             {!of.masks.empty(), ", mask"},
                             {!of.scores.empty(), ", score"}})
    if (given)
      text += what;
  return text;
}

std::vector<int64_t> evenCuts(int64_t rows, int ranks) {
  int64_t each = (rows + ranks - 1) / ranks;
  std::vector<int64_t> cuts;
  for (int rank = 0; rank <= ranks; ++rank)
    cuts.push_back(std::min(each * rank, rows));
  return cuts;
}

class DecodeCheck::Impl {
public:
  explicit Impl(const DecodeCase &of)
      : decode(completed(of)), whole(decode), expected(decode, whole),
        measure(shapesOf(decode, whole), expected.exact) {}

  DecodeErrors onHost(const AttentionContext &context, Transport &transport) const {
    Share share = shareOf(decode, whole, transport.rank());
    Made made(decode);
    HostDecode host(decode.options, context);
    if (transport.world() == 1)
      host.run(share.inputs, made.out, made.lse);
    else
      host.run(share.inputs, share.keys, transport, made.out, made.lse);
    return errorsOf(made);
  }

  DecodeErrors onDevice(const DeviceContext &context) const {
    Share share = shareOf(decode, whole, 0);
    Made made(decode);
    decodeOnDevice(context, decode.options, share.inputs, made.out, made.lse);
    return errorsOf(made);
  }

private:
  struct Made {
    explicit Made(const DecodeCase &decode)
        : out(decode.options.attention.dtype,
              {batchOf(decode), decode.queries, decode.options.attention.heads,
               decode.options.attention.valueHeadDim}),
          lse(DType::F32, {batchOf(decode), decode.options.attention.heads, decode.queries}) {}
    HostTensor out, lse;
  };

  DecodeErrors errorsOf(const Made &made) const {
    const AttentionOptions &of = decode.options.attention;
    reference::Result result;
    result.out = reference::arrayOf(made.out);
    result.lse = reference::arrayOf(made.lse);
    Results ours(result), plain(expected.plain);
    Bars bars{of.dtype, of.f32Products, std::nullopt};
    DecodeErrors errors;
    for (size_t tensor = 0; tensor < errors.size(); ++tensor)
      errors[tensor] = {measure.whole(ours, tensor),
                        of.dtype == DType::F32
                            ? bars.ofF32()
                            : bars.against(measure.whole(plain, tensor), expected.rows)};
    return errors;
  }

  DecodeCase decode;
  Whole whole;
  Expected expected;
  ErrorMeasure measure;
};

DecodeCheck::DecodeCheck(const DecodeCase &decode) : self(std::make_unique<Impl>(decode)) {}
DecodeCheck::~DecodeCheck() = default;
DecodeCheck::DecodeCheck(DecodeCheck &&) noexcept = default;
DecodeCheck &DecodeCheck::operator=(DecodeCheck &&) noexcept = default;

DecodeErrors DecodeCheck::onHost(const AttentionContext &context, Transport &transport) const {
  return self->onHost(context, transport);
}
DecodeErrors DecodeCheck::onDevice(const DeviceContext &context) const {
  return self->onDevice(context);
}

} // namespace ringc::cli
