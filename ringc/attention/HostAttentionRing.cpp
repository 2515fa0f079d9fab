#include "ringc/attention/HostAttentionRing.h"

#include "ringc/attention/HostAttentionRank.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/driver/HostMemory.h"
#include "ringc/ring/Sharding.h"
#include "ringc/support/Error.h"

#include <optional>
#include <span>
#include <utility>

namespace ringc {

namespace {

AttentionShape shapeOf(const AttentionInputs &inputs) {
  auto requireFour = [](const char *name, const Tensor &tensor) {
    if (tensor.rank() != 4)
      throw InputError(name, describe(tensor), "four axes: batch, sequence, heads, head dim");
  };
  requireFour("q", inputs.q);
  requireFour("k", inputs.k);
  requireFour("v", inputs.v);
  return {inputs.q.dim(0), inputs.q.dim(1), inputs.k.dim(1)};
}

/// Deals the parts of unsharded tensors to one rank, and holds them.
class Deal {
public:
  /// The copies lie in `memory`, which the deal has to itself while it lives.
  Deal(const RankProblem &ofRank, std::vector<KeptMemory> &memory)
      : problem(ofRank), kept(memory) {}

  /// The rank's part of a tensor with these axes: a view where there is one, else a copy.
  Tensor take(const Tensor &whole, std::optional<int> batchAxis, std::optional<int> rowAxis) {
    Tensor part = entries(whole, batchAxis);
    if (!rowAxis)
      return part;
    if (auto view = rowsOf(part, *rowAxis))
      return *view;
    Tensor local = ownRows(part, *rowAxis);
    shardInto(part, *rowAxis, problem.layout, problem.place(), problem.rings.ringSize, local);
    return local;
  }

  /// Where the rank writes its part of a result; `give` brings it home.
  Tensor place(const Tensor &whole, int rowAxis) {
    Tensor home = entries(whole, 0);
    if (auto view = rowsOf(home, rowAxis))
      return *view;
    Tensor local = ownRows(home, rowAxis);
    results.push_back({local, home, rowAxis});
    return local;
  }
  void give() const {
    for (const Result &result : results)
      unshardInto(result.local, result.rowAxis, problem.layout, problem.place(),
                  problem.rings.ringSize, result.home);
  }

private:
  /// Memory for the rank's rows of a tensor.
  Tensor ownRows(const Tensor &part, int rowAxis) {
    std::vector<int64_t> shape(part.shape().begin(), part.shape().end());
    shape[size_t(rowAxis)] =
        localLength(problem.layout, problem.place(), problem.rings.ringSize, part.dim(rowAxis));
    if (used == kept.size())
      kept.emplace_back();
    return kept[used++].tensor(part.dtype(), shape);
  }

  Tensor entries(const Tensor &whole, std::optional<int> batchAxis) const {
    BatchRange batch = problem.batch();
    return batchAxis ? whole.slice(*batchAxis, batch.begin, batch.count) : whole;
  }

  /// The rank's rows where they lie: consecutive ones and stripes of one row are views.
  std::optional<Tensor> rowsOf(const Tensor &part, int axis) const {
    int64_t length = part.dim(axis);
    int size = problem.rings.ringSize;
    int64_t rows = localLength(problem.layout, problem.place(), size, length);
    if (rows == 0)
      return part.slice(axis, 0, 0);
    Positions at = positions(problem.layout, problem.place(), size, length);
    if (rows == 1 || at.jump == at.block)
      return part.slice(axis, at.first, rows);
    if (at.block != 1)
      return std::nullopt;
    Tensor from = part.slice(axis, at.first, length - at.first);
    std::vector<int64_t> shape(part.shape().begin(), part.shape().end()),
        strides(part.strides().begin(), part.strides().end());
    shape[size_t(axis)] = rows;
    strides[size_t(axis)] *= at.jump;
    return Tensor(from.data(), part.dtype(), shape, strides);
  }

  struct Result {
    Tensor local, home;
    int rowAxis;
  };
  RankProblem problem;
  std::vector<KeptMemory> &kept;
  size_t used = 0;
  std::vector<Result> results;
};

/// The axis to slice of a view that may have one entry for all.
std::optional<int> batchAxisOf(const Tensor &tensor, std::optional<int> axis) {
  return axis && tensor.dim(*axis) == 1 ? std::nullopt : axis;
}

/// Shape alone, as `Attention::plan` needs it.
Tensor shapeOfPart(const Tensor &whole, int64_t batch, int64_t rows) {
  return Tensor(nullptr, whole.dtype(), {batch, rows, whole.dim(2), whole.dim(3)});
}

} // namespace

class HostAttentionRing::World {
public:
  World(AttentionOptions given, int world, AttentionContext shared)
      : options((validate(given), completed(std::move(given), hostProcessors()))), size(world),
        context(std::move(shared)), sources(context.kernels->sources(userSources(options))) {
    context.plans = std::make_shared<SharedPlans>();
    connect();
  }

  Forward forward(const AttentionInputs &inputs) {
    Problem problem(*this, inputs, "attention_forward");
    Forward made;
    made.out = HostTensor(options.dtype, {problem.shape.batch, problem.shape.queryLength,
                                          options.heads, options.valueHeadDim});
    for (HostTensor *rows : {&made.lse, &made.rowMax, &made.rowSum})
      *rows =
          HostTensor(DType::F32, {problem.shape.batch, options.heads, problem.shape.queryLength});
    run([&](int rank) {
      Deal deal = problem.dealFor(rank);
      AttentionInputs own = problem.take(deal);
      ForwardResults results{deal.place(made.out, 1), deal.place(made.lse, 2),
                             deal.place(made.rowMax, 2), deal.place(made.rowSum, 2)};
      reports[size_t(rank)] = ranks[size_t(rank)].forward(problem.shape, own, results);
      deal.give();
    });
    return made;
  }

  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout) {
    Problem problem(*this, inputs, backwardNames(*options.backward).keys);
    checkTensor(
        "dout", dout, options.dtype,
        {problem.shape.batch, problem.shape.queryLength, options.heads, options.valueHeadDim});
    Gradients made{HostTensor(options.dtype, inputs.q.shape()),
                   HostTensor(options.dtype, inputs.k.shape()),
                   HostTensor(options.dtype, inputs.v.shape())};
    run([&](int rank) {
      Deal deal = problem.dealFor(rank);
      AttentionInputs own = problem.take(deal);
      ForwardResults results{deal.take(forward.out, 0, 1), deal.take(forward.lse, 0, 2)};
      if (forward.rowMax.rank() != 0 && forward.rowSum.rank() != 0) {
        results.rowMax = deal.take(forward.rowMax, 0, 2);
        results.rowSum = deal.take(forward.rowSum, 0, 2);
      }
      GradientResults gradients{deal.place(made.dq, 1), deal.place(made.dk, 1),
                                deal.place(made.dv, 1)};
      reports[size_t(rank)] = ranks[size_t(rank)].backward(problem.shape, own, results,
                                                           deal.take(dout, 0, 1), gradients);
      deal.give();
    });
    return made;
  }

  void prepare(Pass pass, const AttentionInputs &inputs) { ranks[0].prepare(pass, inputs); }

  std::vector<Plan> plans(Pass pass, const AttentionInputs &inputs) {
    Problem problem(*this, inputs, "attention_forward");
    std::vector<Plan> made;
    for (int rank = 0; rank < size; rank += problem.ofRank(0).rings.ringSize) {
      Deal deal = problem.dealFor(rank);
      AttentionInputs own = problem.takeArguments(deal);
      RankProblem ofRank = problem.ofRank(rank);
      int64_t batch = ofRank.batch().count;
      own.q = shapeOfPart(inputs.q, batch, ofRank.queryRows());
      own.k = shapeOfPart(inputs.k, batch, ofRank.keyRows());
      own.v = shapeOfPart(inputs.v, batch, ofRank.keyRows());
      std::vector<Plan> ofRing = ranks[size_t(rank)].plans(pass, problem.shape, own);
      made.insert(made.end(), ofRing.begin(), ofRing.end());
    }
    return made;
  }

  std::vector<ExecutionReport> reports;

private:
  /// The whole, checked; what does not depend on the rank.
  struct Problem {
    Problem(World &world, const AttentionInputs &given, std::string_view kernel)
        : owner(world), whole(given), shape(shapeOf(given)) {
      Extents extents = Extents::ofWhole(shape);
      checkInputs(owner.options, shape, extents, whole);
      (void)ofRank(0);
      code = owner.context.kernels->get(
          specOf(owner.options, ofRank(0).rings.ringSize, whole, kernel), owner.sources,
          workOf(owner.options, ofRank(0).rings.ringSize, shape.keyLength));
      values = namedValues(code.kernel->arguments, owner.options, whole);
      Parameters::checkEntries(code.kernel->arguments, ofRank(0).rings);
      (void)Parameters(code.kernel->arguments, values, owner.options, extents);
    }

    RankProblem ofRank(int rank) const {
      return RankProblem(owner.options, owner.size, rank, shape);
    }
    Deal dealFor(int rank) const { return Deal(ofRank(rank), owner.shards[size_t(rank)]); }

    AttentionInputs take(Deal &deal) const {
      AttentionInputs own = takeArguments(deal);
      own.q = deal.take(whole.q, 0, 1);
      own.k = deal.take(whole.k, 0, 1);
      own.v = deal.take(whole.v, 0, 1);
      return own;
    }

    AttentionInputs takeArguments(Deal &deal) const {
      AttentionInputs own;
      NamedValues ofOptions = optionValues(owner.options, whole);
      own.cuSeqlens = whole.cuSeqlens;
      if (whole.keyMask)
        own.keyMask = deal.take(*whole.keyMask, 0, 1);
      if (whole.bias)
        own.bias = deal.take(*whole.bias, batchAxisOf(*whole.bias, 0), 2);
      for (const KernelArgument &argument : code.kernel->arguments) {
        auto value = values.find(argument.name);
        if (value == values.end() || ofOptions.contains(argument.name))
          continue;
        ArgumentValue part = value->second;
        if (auto *tensor = std::get_if<Tensor>(&part)) {
          std::optional<int> rows = axisOf(argument, "Nq");
          part = deal.take(*tensor, batchAxisOf(*tensor, axisOf(argument, "B")),
                           rows ? rows : travellingAxis(argument));
        }
        own.arguments.emplace(argument.name, part);
      }
      return own;
    }

    World &owner;
    const AttentionInputs &whole;
    AttentionShape shape;
    HostCode code;
    NamedValues values;
  };

  void connect() {
    ranks.clear();
    transports.emplace(size, InProcessOptions{.oneCaller = true});
    for (int rank = 0; rank < size; ++rank)
      ranks.emplace_back(options, transports->at(rank), context);
    reports.resize(size_t(size));
    shards.resize(size_t(size));
  }

  template <typename Body> void run(Body &&body) {
    context.plans->forget();
    bool inside = HostPool::isInside(); // the ranks' threads are as the one that waits for them
    try {
      runRanks(*transports, [&](int rank) {
        HostPool::Inside ofCaller(inside);
        body(rank);
      });
    } catch (...) { // an aborted world stays so
      connect();
      throw;
    }
  }

  AttentionOptions options;
  int size;
  AttentionContext context;
  SourceSet sources;
  std::optional<InProcessWorld> transports;
  std::vector<HostAttentionRank> ranks;
  std::vector<std::vector<KeptMemory>> shards; ///< of each rank
};

HostAttentionRing::HostAttentionRing(AttentionOptions options, int world, AttentionContext context)
    : self(std::make_unique<World>(std::move(options), world, std::move(context))) {}
HostAttentionRing::~HostAttentionRing() = default;
HostAttentionRing::HostAttentionRing(HostAttentionRing &&) noexcept = default;
HostAttentionRing &HostAttentionRing::operator=(HostAttentionRing &&) noexcept = default;

HostAttentionRing::Forward HostAttentionRing::forward(const AttentionInputs &inputs) {
  return self->forward(inputs);
}
HostAttentionRing::Gradients HostAttentionRing::backward(const AttentionInputs &inputs,
                                                         const Forward &forward,
                                                         const Tensor &dout) {
  return self->backward(inputs, forward, dout);
}
std::vector<Plan> HostAttentionRing::plans(Pass pass, const AttentionInputs &inputs) {
  return self->plans(pass, inputs);
}
void HostAttentionRing::prepare(Pass pass, const AttentionInputs &inputs) {
  self->prepare(pass, inputs);
}
const std::vector<ExecutionReport> &HostAttentionRing::reports() const { return self->reports; }

} // namespace ringc
