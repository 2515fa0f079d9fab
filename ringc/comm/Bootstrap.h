#pragma once

#include "ringc/comm/NcclLibrary.h"
#include "ringc/comm/ProcessRank.h"

#include <chrono>

namespace ringc {

/// One id for all processes: rank 0 makes it and gives it to the others over TCP, at the master's
/// address and port; or, with NCCL_COMM_ID, NCCL knows it by itself. Called by all; returns, at
/// rank 0, when all have it. Throws InputError for an address that is not one, and NcclError when
/// not all come within the deadline, or rank 0 refuses this one: another version of the protocol,
/// another world or job, a rank that somebody else has, another token.
///
/// Whom it trusts. Without a token: everybody who can connect to the port and speaks the protocol
/// can take a rank's place, so the port belongs into a network of trusted hosts; what is not the
/// protocol, strangers' and silent connections, is let go and delays nobody. With RINGC_JOB_TOKEN
/// both sides prove that they know it, by a keyed hash of numbers that are used once, before a
/// place or an id is given; the token itself is never sent. That keeps out jobs and people who do
/// not know it. It hides nothing: the id and all that NCCL sends later go over the network in the
/// clear, and somebody who can change packets on their way can still do harm.
NcclUniqueId shareUniqueId(const NcclLibrary &library, const ProcessRank &process,
                           std::chrono::milliseconds deadline);

} // namespace ringc
