#pragma once

#include "tools/ringc/Command.h"
#include "tools/ringc/VerifyFlags.h"

namespace ringc::cli {

/// Random decodes: out and lse of every rank against double precision. Prints a table. Throws
/// InputError for flags that cannot be.
int verifyDecode(const Session &session, World &world, const VerifyFlags &flags);

/// What assert_tree_attn of ring-attention-pytorch checks: one query an entry, whole K and V dealt
/// to ranks, and shards that they have, some empty; with a KV head for each head, and one for all.
int verifyTree(const Session &session, World &world, const VerifyFlags &flags);

} // namespace ringc::cli
