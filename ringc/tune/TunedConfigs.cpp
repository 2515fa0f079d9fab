#include "ringc/tune/TunedConfigs.h"

#include "ringc/compiler/spec/FieldsHash.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/support/Error.h"
#include "tune.tables/Library.h"

#include <algorithm>
#include <utility>

namespace ringc {

namespace {

constexpr const char *ofModel = "the model";

bool isByHand(const Spec &spec) {
  return std::ranges::any_of(spec.tile, [&](const auto &size) {
    return size.first.find('.') == std::string::npos || size.first.starts_with(spec.kernel + ".");
  });
}

std::string textOf(const TileConfig &config, const Target &target) {
  std::string text;
  for (const auto &[name, size] : config.tile)
    text += name + "=" + std::to_string(size) + ",";
  return text +
         (target.isGpu()
              ? "warps=" + std::to_string(config.warps) +
                    ",n_warps=" + std::to_string(config.nWarps)
              : "micro_rows=" + std::to_string(config.microRows) +
                    ",micro_vectors=" + std::to_string(config.microVectors) +
                    (config.microDepth ? ",micro_depth=" + std::to_string(config.microDepth) : ""));
}

} // namespace

size_t TunedConfigs::QueryHash::operator()(const Query &query) const {
  size_t hash = combineHash(hashOf(query.spec), hashOf(query.sources));
  return combineHash(combineHash(hash, hashOf(query.target)), hashOf(query.work.length));
}

TunedConfigs::TunedConfigs(std::optional<std::string> usersTable, TuneTable::Warn toWarn,
                           std::function<TilesOf> ofSource, TuneTable::Warn toTell)
    : users(std::move(usersTable)), warn(std::move(toWarn)), tell(std::move(toTell)),
      tilesOfSource(std::move(ofSource)) {}

TileSpace TunedConfigs::spaceOf(const Spec &spec, const SourceSet &sources, const Target &target) {
  if (TileSpace::knows(spec.kernel) || !tilesOfSource)
    return {spec, target};
  auto [ofSource, isNew] = tiles.try_emplace({spec.kernel, sources.digest()});
  if (isNew)
    try {
      ofSource->second = tilesOfSource(spec, sources);
    } catch (const InputError &) {
      ofSource->second = {}; // the compiler will say what is wrong
    }
  return {spec, target, ofSource->second};
}

const TuneTable &TunedConfigs::tableAt(const std::string &path) {
  auto read = tables.find(path);
  if (read == tables.end())
    read = tables.emplace(path, TuneTable::read(path, warn)).first;
  return read->second;
}

const std::vector<std::pair<std::string, TuneTable>> &TunedConfigs::shipped() {
  if (!ofLibrary) {
    ofLibrary.emplace();
    for (const EmbeddedTable &table : shippedTables())
      ofLibrary->emplace_back(
          table.name, TuneTable::of(std::string(table.text), std::string(table.name), warn));
  }
  return *ofLibrary;
}

TunedConfig TunedConfigs::of(const TuneEntry &entry, const std::string &table,
                             const TileSpace &space) const {
  std::string objection = space.objection(entry.config);
  if (objection.empty())
    return {entry.config, table + ", entry " + nameOf(entry.key)};
  warn(table + ": entry " + nameOf(entry.key) + ": " + entry.key.kernel + " cannot have " +
       objection + "; the compiler's own choice is taken");
  return {std::nullopt, ofModel};
}

TunedConfigs::Found TunedConfigs::entryOf(TuneKey key, const KernelWork &work) {
  const std::optional<std::string> &path = work.table ? work.table : users;
  if (!path || (work.table && work.table->empty()))
    return {};
  if (!path->empty())
    if (const TuneEntry *entry = tableAt(*path).find(key))
      return {entry, *path};
  for (const auto &[name, table] : shipped()) {
    // A host's caches and features differ between machines with one kind of processor.
    auto like = std::ranges::find(table.entries(), key.chip,
                                  [](const TuneEntry &entry) { return entry.key.chip; });
    if (like == table.entries().end())
      continue;
    key.features = like->key.features;
    key.l1Bytes = like->key.l1Bytes;
    key.l2Bytes = like->key.l2Bytes;
    if (const TuneEntry *entry = table.find(key))
      return {entry, "shipped " + name};
  }
  return {};
}

TunedConfig TunedConfigs::search(const Spec &spec, const SourceSet &sources, const Target &target,
                                 const KernelWork &work) {
  if (isByHand(spec))
    return {std::nullopt, "by hand"};
  auto [entry, table] = entryOf(tuneKeyOf(spec, sources, target, work), work);
  if (entry)
    return of(*entry, table, spaceOf(spec, sources, target));
  if (work.extents.empty())
    return {std::nullopt, ofModel};
  return {chooseTileConfig(spec, target, work.extents), ofModel};
}

std::optional<Schedule> TunedConfigs::schedule(Pass pass, const Spec &forward,
                                               const SourceSet &sources, const Target &target,
                                               const KernelWork &work,
                                               const SequenceLayout &layout) {
  Query query{forward, sources.digest(), target.name, work};
  query.spec.kernel = pass == Pass::Forward ? "ring_forward" : "ring_backward";
  std::lock_guard lock(mutex);
  auto asked = rings.find(query);
  if (asked == rings.end()) {
    std::optional<RingChoice> choice;
    for (bool ofBoth : {false, true}) {
      TuneKey key = ringKeyOf(tuneKeyOf(forward, sources, target, work),
                              ofBoth ? std::nullopt : std::optional(pass), /*processes=*/true);
      auto [entry, table] = entryOf(key, work);
      if (!entry)
        continue;
      try {
        choice = ringChoiceOf(*entry);
        if (tell)
          tell(entry->key.kernel + ": layout " + entry->layout + ", schedule " + entry->schedule +
               ", of " + table + ", entry " + nameOf(entry->key));
        break;
      } catch (const InputError &error) {
        warn(table + ": entry " + nameOf(entry->key) + ": " + error.what());
      }
    }
    asked = rings.emplace(std::move(query), choice).first;
  }
  const std::optional<RingChoice> &choice = asked->second;
  return choice && choice->layout == layout ? choice->schedule : std::nullopt;
}

TunedConfig TunedConfigs::find(const Spec &spec, const SourceSet &sources, const Target &target,
                               const KernelWork &work) {
  Query query{spec, sources.digest(), target.name, work};
  std::lock_guard lock(mutex);
  auto asked = known.find(query);
  if (asked == known.end()) {
    TunedConfig found = search(spec, sources, target, work);
    if (tell)
      tell(spec.kernel + ": " +
           textOf(found.config.value_or(chooseTileConfig(spec, target)), target) + ", of " +
           found.origin);
    asked = known.emplace(std::move(query), std::move(found)).first;
  }
  return asked->second;
}

} // namespace ringc
