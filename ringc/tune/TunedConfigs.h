#pragma once

#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/ring/Plan.h"
#include "ringc/tune/TuneTable.h"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ringc {

/// The tile sizes that a kernel gets, and where they come from.
struct TunedConfig {
  std::optional<TileConfig> config; ///< of a table; absent: the compiler's, with sizes by hand
  std::string origin; ///< "by hand", "PATH, entry KEY", "shipped NAME, entry KEY", "the model"
};

/// The look-up that kernel sources make: sizes by hand, the table that the environment or a call
/// names, those that are shipped (tune.tables), the model. Tables are read once each. Safe to use
/// from many threads.
class TunedConfigs {
public:
  /// What a kernel's source says of its tile sizes (TileSpace).
  using TilesOf = SourceTiles(const Spec &, const SourceSet &);

  /// `usersTable` as tuneTablePath gives it: absent there is no table at all, unless a call names
  /// one. `tell` hears once of each kernel
  /// which sizes it gets, and where they come from; it may be null.
  TunedConfigs(std::optional<std::string> usersTable, TuneTable::Warn warn,
               std::function<TilesOf> tilesOfSource = {}, TuneTable::Warn tell = {});

  /// What a table has does not fit the kernel: a warning, and the compiler's choice.
  TunedConfig find(const Spec &spec, const SourceSet &sources, const Target &target,
                   const KernelWork &work);

  /// Of a ring of processes, where a table has it for this very layout.
  std::optional<Schedule> schedule(Pass pass, const Spec &forward, const SourceSet &sources,
                                   const Target &target, const KernelWork &work,
                                   const SequenceLayout &layout);

private:
  struct Query {
    Spec spec;
    std::string sources, target; ///< digest, name
    KernelWork work;
    bool operator==(const Query &) const = default;
  };
  struct QueryHash {
    size_t operator()(const Query &query) const;
  };

  struct Found {
    const TuneEntry *entry = nullptr;
    std::string table;
  };
  Found entryOf(TuneKey key, const KernelWork &work);
  TunedConfig search(const Spec &spec, const SourceSet &sources, const Target &target,
                     const KernelWork &work);
  TunedConfig of(const TuneEntry &entry, const std::string &table, const TileSpace &space) const;
  TileSpace spaceOf(const Spec &spec, const SourceSet &sources, const Target &target);
  const TuneTable &tableAt(const std::string &path);
  const std::vector<std::pair<std::string, TuneTable>> &shipped();

  std::optional<std::string> users;
  TuneTable::Warn warn, tell;
  std::function<TilesOf> tilesOfSource;
  std::mutex mutex;
  /// By the kernel's name and the sources' digest.
  std::map<std::pair<std::string, std::string>, SourceTiles> tiles;
  std::map<std::string, TuneTable> tables; ///< by path
  std::optional<std::vector<std::pair<std::string, TuneTable>>> ofLibrary;
  std::unordered_map<Query, TunedConfig, QueryHash> known;
  std::unordered_map<Query, std::optional<RingChoice>, QueryHash> rings; ///< `kernel` is the ring
};

} // namespace ringc
