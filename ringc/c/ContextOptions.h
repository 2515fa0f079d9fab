#pragma once

#include "ringc/compiler/spec/Fields.h"

#include <optional>
#include <string>
#include <string_view>

namespace ringc::c {

struct ContextOptions {
  std::string device = "cpu"; ///< "cpu", "cuda", "cuda:N"
  int threads = 0;
  std::optional<std::string> tune = {};
};

template <FieldsOf<ContextOptions> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[device, threads, tune] = self;
  visit(Field{"device", "cpu, cuda or cuda:N"}, device);
  visit(Field{"threads", "on the host; 0 is OMP_NUM_THREADS, or all processors"}, threads);
  visit(Field{"tune", "path of a table of tuned tile sizes; \"\" is none, null the user's"}, tune);
}

/// Throws InputError.
ContextOptions parseContextOptions(std::string_view json);

} // namespace ringc::c
