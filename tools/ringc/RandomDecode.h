#pragma once

#include "tools/ringc/DecodeCase.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/VerifyFlags.h"

#include <cstdint>
#include <optional>

namespace ringc::cli {

/// Random decodes, ordinary and at an edge, all of them as far as flags say it.
class RandomDecode {
public:
  /// Throws InputError for flags that cannot be.
  RandomDecode(const Session &session, const VerifyFlags &flags);

  /// That of a seed, of `least` to `most` ranks.
  DecodeCase draw(uint64_t seed, int least, int most) const;

  /// What all of them share.
  const AttentionOptions &options() const { return asked; }
  const std::map<std::string, ArgumentValue> &arguments() const { return side.inputs.arguments; }

private:
  class Draw;

  const Session &session;
  const VerifyFlags &flags;
  AttentionOptions asked;
  SideInputs side;
  std::optional<Shape> shape;
};

} // namespace ringc::cli
