#pragma once

#include "runtime/tune/TuneRunner.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/World.h"

#include <map>
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

  void compile(const TileSizes &tile, Pass pass) override;
  bool sharesProcessors() const override { return world.devices().empty(); }
  double error(const TileSizes &tile, Pass pass, uint64_t seed) override;
  double milliseconds(const TileSizes &tile, Pass pass) override;
  MachinePeak peak() override;

private:
  /// Tensors of the unsharded sequence.
  struct Data {
    HostTensor q, k, v, dout;
  };
  struct Ring {
    std::unique_ptr<WorldRing> ring;
    std::set<Pass> warm; ///< passes that have run
    int64_t used = 0;
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
  AttentionOptions with(const TileSizes &tile) const;
  Ring &ringOf(const TileSizes &tile);

  World &world;
  AttentionOptions options;
  Shape shape;
  SideInputs side;
  Shape small; ///< of the check
  AttentionContext context;
  Data data;
  AttentionInputs inputs;
  std::optional<Check> check;
  std::map<TileSizes, Ring> rings;
  int64_t uses = 0;
};

/// Options and lengths of what is tuned, checked. Throws InputError.
AttentionOptions tuneOptions(const Session &session, const AttentionFlags &flags,
                             const Shape &shape);

} // namespace ringc::cli
