#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/Context.h"
#include "ringc/attention/device/DeviceCode.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace ringc {

class CudaStream;
class RemoteTransport;
class Transport;

/// What a decode attends with, besides options: any strides, with a unit last one.
struct DecodeInputs {
  Tensor q; ///< [b, n_q, h, d]; of entry e query r is at the position lengths[e] - n_q + r

  /// k [b, n_k, h_kv, d] and v [b, n_k, h_kv, d_v]; with a page table, [pages, page size, h_kv, d]
  /// and [.., d_v], a page's rows without gaps to the next page's.
  Tensor k, v;

  /// i32 [b, pages of an entry]: where the rows p * page size and on of an entry are, -1: nowhere,
  /// which hides them.
  std::optional<Tensor> pageTable = {};

  /// i32 [b]: keys of each entry, of all ranks, the same on each; absent: as DecodeKeys say, else
  /// all rows, which over ranks have no positions then: for options without masks and scores of
  /// them. May exceed what is there: what no rank has is not attended to.
  std::optional<Tensor> lengths = {};

  /// Of masks and scores, as AttentionInputs has them; views with rows of queries or keys have
  /// [.., n_q] and [.., rows of keys].
  std::map<std::string, ArgumentValue> arguments = {};
};

/// Where the keys of this rank are in the sequence. Row l of an entry is at
/// first + (l / block) * jump + l % block; of pages dealt to ranks in turn,
/// {rank * page size, page size, ranks * page size}.
struct DecodeKeys {
  Positions positions = {0, int64_t(1) << 30, int64_t(1) << 30};
  std::optional<int64_t> length = {}; ///< of each entry, where DecodeInputs have none

  bool operator==(const DecodeKeys &) const = default;

  static DecodeKeys ofPages(int rank, int ranks, int64_t pageSize) {
    return {.positions = {rank * pageSize, pageSize, ranks * pageSize}};
  }
};

/// What one of several ranks works on, and where its results go.
struct RankDecode {
  DecodeInputs inputs;
  DecodeKeys keys;
  Tensor out, lse;
};

/// How a decode is computed.
struct DecodeOptions {
  /// Heads, dims, types, scale, masks (`causal` is what hides the later ones of several queries)
  /// and scores. Layout, ring size, schedule and backward do not matter.
  AttentionOptions attention = {};

  /// Keys that one program attends to, a multiple of 64. 0: so that the processors are filled,
  /// which depends on the other entries of the batch; with a number an entry's bits do not.
  int64_t split = 0;
};
/// Those of the attention, and its own.
template <FieldsOf<DecodeOptions> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[attention, split] = self;
  visitFields(attention, visit);
  visit(
      Field{"split", "keys that one program attends to, a multiple of 64; 0 fills the processors"},
      split);
}

/// Attention of a few queries to all keys of their entries, on the host (flash decoding: long
/// entries are cut into parts; arXiv 2408.04093 over ranks). Entries without keys give out = 0,
/// lse = -inf. One thread at a time calls it.
class HostDecode {
public:
  /// Throws InputError for options that cannot be.
  HostDecode(DecodeOptions options, AttentionContext context);
  ~HostDecode();
  HostDecode(HostDecode &&) noexcept;
  HostDecode &operator=(HostDecode &&) noexcept;

  /// out [b, n_q, h, d_v] in the type of q, lse f32 [b, h, n_q]. Throws InputError for inputs that
  /// do not agree, for a page that the pool lacks, a length below 0 or, without ranks, beyond the
  /// table.
  void run(const DecodeInputs &inputs, const Tensor &out, const Tensor &lse);

  /// The same of ranks that each have some of the keys, all of them the same q, lengths and
  /// options: one exchange of [b, n_q, h, d_v + 1] f32, merged in the order of ranks. Every rank
  /// gets the whole result, with the same bits. What must be the same is compared first: throws a
  /// DisagreementError on all ranks where something differs, and PeerError where a rank fails.
  void run(const DecodeInputs &inputs, const DecodeKeys &keys, Transport &transport,
           const Tensor &out, const Tensor &lse);

private:
  class Impl;
  std::unique_ptr<Impl> self;
};

/// The same on a device: all tensors lie in its memory, and work goes in the order of a stream.
/// What a table and lengths hold is not looked at: a page that the pool lacks is nowhere, and what
/// is beyond the table is not attended to. Calls with the same tensors and numbers after the first
/// neither allocate nor wait, for the device or for peers, and can be captured in a graph; what
/// tables and lengths hold may change in between. A graph keeps the addresses that it was captured
/// with: of the object's own memory, until a call needs more of it. One thread at a time calls it,
/// one stream at a time uses it.
class DeviceDecode {
public:
  /// Throws InputError for options that cannot be.
  DeviceDecode(DecodeOptions options, DeviceContext context);
  ~DeviceDecode();
  DeviceDecode(DeviceDecode &&) noexcept;
  DeviceDecode &operator=(DeviceDecode &&) noexcept;

  /// As HostDecode's. Throws InputError for inputs that do not agree, and CudaError.
  void run(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &out,
           const Tensor &lse);

  /// Of ranks, as HostDecode's, over a transport of the device, the same one each time, which must
  /// outlive it. The first call of a kind is compared with the other ranks' before anything is sent
  /// (of what lies on a device type and shape alone), and waits for them; others are announced in
  /// the order of the streams, those of a graph too: where ranks run different ones results are a
  /// mixture, and the transport's `wait`, or the next call, throws on each of them.
  void run(const CudaStream &stream, const DecodeInputs &inputs, const DecodeKeys &keys,
           RemoteTransport &transport, const Tensor &out, const Tensor &lse);

private:
  class Impl;
  std::unique_ptr<Impl> self;
};

/// The associative merge of two attentions of the same queries to different keys: out [b, n, h,
/// d_v] of one type, lse f32 [b, h, n], natural logarithm. An empty side (-inf) leaves the other as
/// it is. Results may lie where one side does.
void merge(const AttentionContext &context, const Tensor &outA, const Tensor &lseA,
           const Tensor &outB, const Tensor &lseB, const Tensor &out, const Tensor &lse);

} // namespace ringc
