#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/ring/Plan.h"
#include "ringc/support/EnumNames.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringc {

template <> struct EnumNames<Pass> {
  static constexpr std::array<std::pair<Pass, std::string_view>, 2> table = {
      {{Pass::Forward, "forward"}, {Pass::Backward, "backward"}}};
};

} // namespace ringc

namespace ringc::c {

struct TuneOptions {
  AttentionOptions options = {};
  int64_t batch = 1, queryLength = 0, keyLength = 0;
  std::vector<Pass> passes = {Pass::Forward, Pass::Backward};
  int ranks = 1;
  int threads = 0;
  int64_t seed = 1;
  double seconds = 60;
  std::optional<std::string> table = {};
};

template <FieldsOf<TuneOptions> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[options, batch, queryLength, keyLength, passes, ranks, threads, seed, seconds, table] =
      self;
  visit(Field{"options", "of the attention"}, options);
  visit(Field{"batch", "entries"}, batch);
  visit(Field{"query_length", "of the unsharded sequence"}, queryLength);
  visit(Field{"key_length", "of the unsharded sequence; 0 is query_length"}, keyLength);
  visit(Field{"passes", "whose kernels"}, passes);
  visit(Field{"ranks", "threads of this process", 1, 1024}, ranks);
  visit(Field{"threads", "of all ranks together; 0 is OMP_NUM_THREADS, or all processors"},
        threads);
  visit(Field{"seed", "of the random input", 0}, seed);
  visit(Field{"seconds", "for all"}, seconds);
  visit(Field{"table", "path of the table for what is found; null is the user's, \"\" none"},
        table);
}

/// Throws InputError.
TuneOptions parseTuneOptions(std::string_view json);

} // namespace ringc::c
