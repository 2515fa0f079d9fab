#pragma once

#include "ringc/Env.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/ring/Plan.h"
#include "ringc/ring/Schedule.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/tune/KernelWork.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// What tile sizes were measured for: all that decides which are best, and nothing that decides
/// what is computed.
struct TuneKey {
  std::string chip;     ///< LLVM's name of a processor, or "sm_90"
  std::string features; ///< of a host, a digest of its instruction sets
  int64_t l1Bytes = 0;  ///< of a host's core
  int64_t l2Bytes = 0;
  std::string kernel;
  ElementType dtype = ElementType::F32;
  F32Products f32Products = F32Products::Tf32x3;
  int64_t headDim = 64;
  int64_t valueHeadDim = 64;
  int64_t groupSize = 1;
  std::vector<std::string> mask; ///< names; of the user's a digest of the file's text, too
  std::vector<std::string> score;
  LayoutKind queryLayout = LayoutKind::Any;
  LayoutKind keyLayout = LayoutKind::Any;
  int64_t length = 0; ///< of the keys, all ranks together, rounded to a power of two; 0: not known
  int64_t ranks = 1;
  // Of kernels that are no attention.
  std::map<std::string, int64_t> constants; ///< that the spec gives
  std::map<std::string, ElementType> types;
  std::map<std::string, int64_t> extents; ///< of the views, rounded to powers of two

  bool operator==(const TuneKey &) const = default;
};

template <FieldsOf<TuneKey> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[chip, features, l1Bytes, l2Bytes, kernel, dtype, f32Products, headDim, valueHeadDim,
         groupSize, mask, score, queryLayout, keyLayout, length, ranks, constants, types, extents] =
      self;
  visit(Field{"chip", "LLVM's name of a processor, or a GPU's sm_90"}, chip);
  visit(Field{"features", "of a host, a digest of its instruction sets"}, features);
  visit(Field{"l1_bytes", "data cache of a host's core", 0}, l1Bytes);
  visit(Field{"l2_bytes", "cache of a host's core", 0}, l2Bytes);
  visit(Field{"kernel", "as a spec names it"}, kernel);
  visit(Field{"dtype", "of q, k, v and out"}, dtype);
  visit(Field{"f32", "products of f32 on a GPU"}, f32Products);
  visit(Field{"head_dim", "of q and k", 1, 256}, headDim);
  visit(Field{"value_head_dim", "of v", 1, 256}, valueHeadDim);
  visit(Field{"group_size", "query heads for each key head", 1, 1024}, groupSize);
  visit(Field{"mask", "names; of the user's a digest of the file's text, too"}, mask);
  visit(Field{"score", "names, as of masks"}, score);
  visit(Field{"query_layout", "kind of the queries' layout"}, queryLayout);
  visit(Field{"key_layout", "kind of the keys' layout"}, keyLayout);
  visit(Field{"length", "of the keys, all ranks together, a power of two; 0: not known", 0},
        length);
  visit(Field{"ranks", "of the ring", 1, 1 << 20}, ranks);
  visit(Field{"constants", "integer constants that the spec gives"}, constants);
  visit(Field{"types", "type constants that the spec gives"}, types);
  visit(Field{"extents", "of the views of a kernel that is no attention, powers of two", 1},
        extents);
}

/// What was measured.
struct TuneEntry {
  TuneKey key;
  TileConfig config;              ///< of a kernel
  std::string layout;             ///< of the key "ring"
  std::string schedule;           ///< the same; empty: as AttentionOptions has it
  int64_t nanoseconds = 0;        ///< of a pass with them, median
  int64_t defaultNanoseconds = 0; ///< of the same with the model's choice, in turns
  std::string date;               ///< YYYY-MM-DD
  std::string version;            ///< of ringc

  bool operator==(const TuneEntry &) const = default;
};

template <FieldsOf<TuneEntry> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[key, config, layout, schedule, nanoseconds, defaultNanoseconds, date, version] = self;
  visit(Field{"key", "what was measured"}, key);
  visit(Field{"config", "of a kernel the best tile sizes"}, config);
  visit(Field{"layout", "of a ring the best, as --layout has it"}, layout);
  visit(Field{"schedule", "of a ring the best, as --schedule has it; empty: auto"}, schedule);
  visit(Field{"ns", "median of a pass with them", 0}, nanoseconds);
  visit(Field{"default_ns", "of the same with the model's choice, in turns", 0},
        defaultNanoseconds);
  visit(Field{"date", "YYYY-MM-DD"}, date);
  visit(Field{"version", "of ringc"}, version);
}

TuneKey tuneKeyOf(const Spec &spec, const SourceSet &sources, const Target &target,
                  const KernelWork &work);

/// How the ranks of a ring deal the sequence, and get keys from each other.
struct RingChoice {
  SequenceLayout layout;
  std::optional<Schedule> schedule; ///< absent: as AttentionOptions has it

  bool operator==(const RingChoice &) const = default;
};

/// Of a ring's way: which is best depends on all of its kernels, of one pass or of both, and on who
/// the ranks are. `forward` is the key of its forward kernel.
TuneKey ringKeyOf(TuneKey forward, std::optional<Pass> pass, bool processes);

/// What an entry of such a key has. Throws InputError where it is nothing that can be.
RingChoice ringChoiceOf(const TuneEntry &entry);

/// A digest in hexadecimal that --forget takes.
std::string nameOf(const TuneKey &key);

/// RINGC_TUNE_TABLE, nothing where that is "none"; else $XDG_DATA_HOME/ringc/tune.json, else
/// $HOME/.local/share/ringc/tune.json; empty without any, where only shipped tables are left.
std::optional<std::string> tuneTablePath(const Env &env);

/// A file of entries: {"version": 1, "entries": [...]}.
class TuneTable {
public:
  using Warn = std::function<void(const std::string &message)>;

  /// None where there is no file. What cannot be read, a file or an entry, costs a warning that
  /// names it.
  static TuneTable read(const std::string &path, const Warn &warn);
  /// The same of a text, which messages call `name`.
  static TuneTable of(const std::string &text, const std::string &name, const Warn &warn);

  const std::vector<TuneEntry> &entries() const { return all; }

  /// Of the same key; where there is no such length, or no such extents, that of the nearest: the
  /// powers of two that lie between them, all added up. What is not known counts as 1.
  const TuneEntry *find(const TuneKey &key) const;

  /// Replaces an entry of the same key.
  void put(TuneEntry entry);

  /// Changes the file at `path` while no other process does: it is locked, read, written under
  /// another name and renamed. Makes its folder. An unreadable file is not replaced: InputError.
  static void update(const std::string &path, const std::function<void(TuneTable &)> &change);

  /// Entries whose name begins with `prefix`; how many there were.
  int64_t forget(std::string_view prefix);

private:
  static TuneTable parse(const std::string &text, const std::string &path, const Warn &warn,
                         bool strict);
  std::string text() const;

  std::vector<TuneEntry> all;
};

} // namespace ringc
