#pragma once

#include "ringc/tune/TuneRunner.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/WorldCommand.h"

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace ringc::cli {

/// Both passes of a world's ring with any tile sizes, checked against double precision on a
/// smaller problem with the same options.
class WorldTuneRunner final : public TuneRunner {
public:
  WorldTuneRunner(World &world, const Session &session, const AttentionFlags &flags,
                  const Shape &shape);

  void compile(const TuneSetup &setup, Pass pass) override;
  bool sharesProcessors() const override { return world.devices().empty(); }
  int64_t spilledBytes(const TuneSetup &setup, Pass pass) override;
  double error(const TuneSetup &setup, Pass pass, uint64_t seed) override;
  double milliseconds(const TuneSetup &setup, Pass pass) override;
  MachinePeak peak() override;

private:
  /// What the source of a device's kernels is asked for.
  struct Asked {
    std::vector<Spec> specs;
    SourceSet sources;
    KernelWork work;
  };
  Asked kernelsOf(const TuneSetup &setup, Pass pass) const;

  /// Tensors of the unsharded sequence.
  struct Data {
    HostTensor q, k, v, dout;
  };
  struct Ring {
    TuneSetup setup;
    std::unique_ptr<WorldRing> ring;
    std::set<Pass> warm = {}; ///< passes that have run
  };

  /// A small problem of one seed, what is right, and how far from it a result may be.
  struct Check {
    uint64_t seed = 0;
    Data data;
    AttentionInputs inputs;
    AttentionOptions options;
    std::optional<ErrorMeasure> measure;
    std::vector<double> bars; ///< by tensor
  };

  Data random(const Shape &shape, uint64_t seed) const;
  const Check &checkOf(uint64_t seed);
  AttentionOptions with(const TuneSetup &setup) const;
  Ring &ringOf(const TuneSetup &setup);

  World &world;
  AttentionOptions options;
  Shape shape;
  SideInputs side;
  Shape small; ///< of the check
  AttentionContext context;
  Data data;
  AttentionInputs inputs;
  std::optional<Check> check;
  std::list<Ring> rings; ///< those used last, the latest first
};

/// Drives a runner of the same world in each of its processes: what the first one asks of its own,
/// all do.
class LeadingTuneRunner final : public TuneRunner {
public:
  LeadingTuneRunner(World &ofAll, TuneRunner &ofFirst) : world(ofAll), own(ofFirst) {}
  /// Lets the others go.
  ~LeadingTuneRunner() override;

  void compile(const TuneSetup &setup, Pass pass) override { own.compile(setup, pass); }
  bool sharesProcessors() const override { return own.sharesProcessors(); }
  int64_t spilledBytes(const TuneSetup &setup, Pass pass) override {
    return own.spilledBytes(setup, pass);
  }
  /// Of the first process's share, as often as there are such shares.
  MachinePeak peak() override;
  double error(const TuneSetup &setup, Pass pass, uint64_t seed) override;
  double milliseconds(const TuneSetup &setup, Pass pass) override;

private:
  World &world;
  TuneRunner &own;
};

/// Does what the first process asks for, until it lets go. Throws PeerError where it is gone.
void followTuneRunner(World &world, TuneRunner &own);

/// Options and lengths of what is tuned, checked. Throws InputError.
AttentionOptions tuneOptions(const Session &session, const AttentionFlags &flags,
                             const Shape &shape);

} // namespace ringc::cli
