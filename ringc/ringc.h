#pragma once

/// All that a user includes:
///
///                       a rank of a ring        all ranks of one process
///     on the CPU        HostAttentionRank       HostAttentionRing
///     on GPUs           DeviceAttentionRank     DeviceAttentionRing, OffloadedAttentionRing
///
/// A rank has its shard and a transport (InProcessWorld, InProcessDevices, NcclTransport,
/// MpiTransport in ringc/comm/Mpi.h); a ring deals. HostAttentionRing and OffloadedAttentionRing
/// take whole tensors of the host, DeviceAttentionRing the shards on the devices. hostContext() and
/// deviceContext() compile and keep kernels for all that share them. RingAttention is the attention
/// module around a rank of either kind: norm, projections, rotary embedding, weights, and all
/// gradients. RingTransformer is a model of such layers, AdamW trains it, and TokenDecoder
/// continues sequences with it. HostDecode and DeviceDecode are attention of a few queries to long
/// keys, of a rank or of several (DeviceDecodeRing: of one process), such as a KvCache holds.

#include "ringc/Env.h"
#include "ringc/Tensor.h"
#include "ringc/attention/Attention.h"
#include "ringc/attention/DeviceAttentionRank.h"
#include "ringc/attention/DeviceAttentionRing.h"
#include "ringc/attention/HostAttentionRank.h"
#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/OffloadedAttentionRing.h"
#include "ringc/attention/Rope.h"
#include "ringc/comm/Bootstrap.h"
#include "ringc/comm/InProcess.h"
#include "ringc/comm/InProcessDevices.h"
#include "ringc/comm/Nccl.h"
#include "ringc/comm/ProcessRank.h"
#include "ringc/comm/Transport.h"
#include "ringc/decode/Decode.h"
#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/decode/KvCache.h"
#include "ringc/decode/TreeAttnDecode.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/files/File.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/module/AutoShard.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/module/RingAttention.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/ring/Sharding.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/AdamW.h"
#include "ringc/transformer/RingTransformer.h"
#include "ringc/transformer/TokenDecoder.h"
#include "ringc/world/ModuleWorld.h"
#include "ringc/world/World.h"
