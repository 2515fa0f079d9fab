#include "tools/ringc/DecodeCase.h"

#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/DecodeOnDevice.h"
#include "tools/ringc/DecodeTensors.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"

#include <algorithm>
#include <deque>

namespace ringc::cli {

namespace {

DecodeCase completed(DecodeCase given) {
  AttentionOptions &of = given.options.attention;
  if (of.kvHeads == 0)
    of.kvHeads = of.heads;
  if (of.valueHeadDim == 0)
    of.valueHeadDim = of.headDim;
  return given;
}

/// What the functions of masks and scores see as entry 0 is one of the case's.
void seesEntry(reference::Problem &problem, int64_t entry) {
  if (auto inner = problem.mask.predicate)
    problem.mask.predicate = [inner, entry](int, int h, int64_t i, int64_t j) {
      return inner(int(entry), h, i, j);
    };
  if (auto inner = problem.score)
    problem.score = [inner, entry](double s, int, int h, int64_t i, int64_t j) {
      return inner(s, int(entry), h, i, j);
    };
}

DecodeExpected expectedOf(const DecodeCase &decode, const DecodeTensors &whole) {
  const AttentionOptions &of = decode.options.attention;
  DecodeExpected expected(of, decode.queries);
  for (int64_t entry = 0; entry < decode.batch(); ++entry) {
    int64_t length = whole.lengthOf(entry);
    AttentionInputs inputs{.q = whole.q.view().slice(0, entry, 1),
                           .k = whole.k.view().slice(0, entry, 1).slice(1, 0, length),
                           .v = whole.v.view().slice(0, entry, 1).slice(1, 0, length)};
    inputs.arguments = decode.arguments;
    reference::Problem problem = problemOf(of, inputs, Tensor());
    Interpreter interpreter(of, inputs);
    interpreter.addTo(problem);
    seesEntry(problem, entry);
    if (decode.page > 0)
      for (int64_t row = 0; row < length; ++row)
        problem.mask.keyMask.push_back(!whole.isMissing(entry, row / decode.page));
    expected.add(problem);
  }
  return expected;
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
      : decode(completed(of)), whole(decode), expected(expectedOf(decode, whole)) {}

  DecodeShare shareOf(int rank) const { return {decode, whole, rank}; }

  DecodeErrors onHost(const AttentionContext &context, Transport &transport) const {
    DecodeShare share = shareOf(transport.rank());
    Made made(decode);
    HostDecode host(decode.options, context);
    if (transport.world() == 1)
      host.run(share.inputs, made.out, made.lse);
    else
      host.run(share.inputs, share.keys, transport, made.out, made.lse);
    return errorsOf(made.out, made.lse);
  }

  std::vector<DecodeErrors> onDevices(World &world) const {
    std::deque<DecodeShare> shares;
    std::deque<Made> made;
    std::vector<HostDecodeCall> calls;
    for (int rank : world.ranks()) {
      const DecodeShare &share = shares.emplace_back(shareOf(rank));
      const Made &own = made.emplace_back(decode);
      calls.push_back({share.inputs, share.keys, own.out, own.lse});
    }
    decodeOnDevices(world, decode.options, calls);
    std::vector<DecodeErrors> errors;
    for (const Made &own : made)
      errors.push_back(errorsOf(own.out, own.lse));
    return errors;
  }

  DecodeErrors errorsOf(const Tensor &out, const Tensor &lse) const {
    return expected.errorsOf(out, lse);
  }

private:
  struct Made {
    explicit Made(const DecodeCase &decode)
        : out(decode.options.attention.dtype,
              {decode.batch(), decode.queries, decode.options.attention.heads,
               decode.options.attention.valueHeadDim}),
          lse(DType::F32, {decode.batch(), decode.options.attention.heads, decode.queries}) {}
    HostTensor out, lse;
  };

  DecodeCase decode;
  DecodeTensors whole;
  DecodeExpected expected;
};

DecodeCheck::DecodeCheck(const DecodeCase &decode) : self(std::make_unique<Impl>(decode)) {}
DecodeCheck::~DecodeCheck() = default;
DecodeCheck::DecodeCheck(DecodeCheck &&) noexcept = default;
DecodeCheck &DecodeCheck::operator=(DecodeCheck &&) noexcept = default;

DecodeShare DecodeCheck::shareOf(int rank) const { return self->shareOf(rank); }
DecodeErrors DecodeCheck::errorsOf(const Tensor &out, const Tensor &lse) const {
  return self->errorsOf(out, lse);
}
DecodeErrors DecodeCheck::onHost(const AttentionContext &context, Transport &transport) const {
  return self->onHost(context, transport);
}
std::vector<DecodeErrors> DecodeCheck::onDevices(World &world) const {
  return self->onDevices(world);
}

} // namespace ringc::cli
