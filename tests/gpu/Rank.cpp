#include "tests/gpu/Rank.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/ring/Sharding.h"
#include "tests/gpu/RankSelf.h"
#include "tests/gpu/RankTensors.h"
#include "tests/support/ReferenceAttention.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ringc::test {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int faulty = 1;

AttentionOptions optionsOf(DType dtype, const SequenceLayout &layout, int ringSize,
                           std::optional<Schedule> schedule = {}) {
  return {.heads = 4,
          .kvHeads = 2,
          .headDim = 64,
          .dtype = dtype,
          .causal = true,
          .layout = layout,
          .ringSize = ringSize,
          .schedule = schedule};
}

reference::Problem problemOf(const RingInputs &whole) {
  reference::Problem problem;
  problem.q = reference::arrayOf(whole.q);
  problem.k = reference::arrayOf(whole.k);
  problem.v = reference::arrayOf(whole.v);
  problem.dout = reference::arrayOf(whole.dout);
  problem.mask.causal = true;
  return problem;
}

/// The largest ratio of an error of this rank's own rows to what it may be.
double worstOf(const RankTensors &tensors, int rank, const RingInputs &whole, DType dtype,
               const AttentionOptions &options, int world) {
  reference::Problem problem = problemOf(whole);
  reference::Result exact = reference::attention(problem);
  std::optional<reference::Result> plain;
  if (dtype != DType::F32)
    plain = reference::plainAttention(problem, dtype);
  RankProblem own(completed(options), world, rank, tensors.shape());
  BatchRange batch = own.batch();
  double worst = 0;
  auto compare = [&](const HostTensor &all, const reference::Array &right,
                     const reference::Array *rounded, int rowAxis) {
    auto part = [&](const Tensor &tensor) {
      return reference::arrayOf(shard(tensor.slice(0, batch.begin, batch.count), rowAxis,
                                      options.layout, own.place(), own.rings.ringSize));
    };
    int axes = all.rank();
    HostTensor reference64 = reference::tensorOf(right, DType::F32, axes);
    double bar = 2e-5;
    if (rounded)
      bar = std::max(
          bar, 2 * reference::relativeError(part(reference::tensorOf(*rounded, DType::F32, axes)),
                                            part(reference64)) +
                   (dtype == DType::BF16 ? 0x1p-9 : 0x1p-12));
    worst = std::max(worst, reference::relativeError(part(all), part(reference64)) / bar);
  };
  HostAttentionRing::Forward forward = tensors.forward();
  HostAttentionRing::Gradients gradients = tensors.gradients();
  compare(forward.out, exact.out, plain ? &plain->out : nullptr, 1);
  compare(forward.lse, exact.lse, plain ? &plain->lse : nullptr, 2);
  compare(gradients.dq, exact.dq, plain ? &plain->dq : nullptr, 1);
  compare(gradients.dk, exact.dk, plain ? &plain->dk : nullptr, 1);
  compare(gradients.dv, exact.dv, plain ? &plain->dv : nullptr, 1);
  return worst;
}

struct Job {
  Job(Self &self, const AttentionOptions &given, int64_t batch, int64_t length)
      : options(given), rank(self.process.rank), whole(options, batch, length, length),
        tensors(options, self.process.world, whole,
                std::vector<DeviceContext>(size_t(self.process.world), self.context)),
        attention(options, *self.transport, self.context), stream(self.context.device) {}

  void forward() {
    const RankForward &own = tensors.forwards[size_t(rank)];
    attention.forward(stream, tensors.shape(), own.inputs, own.results);
  }
  void backward() {
    const RankBackward &own = tensors.backwards[size_t(rank)];
    attention.backward(stream, tensors.shape(), own.inputs, own.results, own.dout, own.gradients);
  }

  AttentionOptions options;
  int rank;
  RingInputs whole;
  RankTensors tensors;
  DeviceAttentionRank attention;
  CudaStream stream;
};

/// The largest ratio of an error to what it may be, of both passes, by calls and by a graph.
double worstOf(Self &self, const AttentionOptions &options) {
  Job job(self, options, 2, 203);
  auto error = [&] {
    job.attention.wait(job.stream);
    return worstOf(job.tensors, job.rank, job.whole, options.dtype, options, self.process.world);
  };
  job.forward();
  job.backward();
  double called = error();
  std::swap(job.whole.k, job.whole.v);
  job.tensors.refill(job.whole);
  CudaGraph graph = job.stream.capture([&] {
    job.forward();
    job.backward();
  });
  for (int again = 0; again < 3; ++again)
    graph.launch(job.stream);
  double replayed = error();
  std::printf("rank %d %s %s %s of %d: error %.2f of its bar, replayed %.2f\n", job.rank,
              std::string(nameOf(options.dtype)).c_str(), nameOf(options.layout).c_str(),
              nameOf(*options.schedule).c_str(), options.ringSize, called, replayed);
  return std::max(called, replayed);
}

/// Against double precision.
int numbers(std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  int world = self.process.world;
  double worst = 0;
  for (DType dtype : {DType::F32, DType::BF16})
    for (const SequenceLayout &layout :
         {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()})
      for (auto [ringSize, schedule] : {std::pair(world, Schedule::Ring),
                                        {world / 2, Schedule::Ring},
                                        {world, Schedule::AllGather}}) {
        bool once = dtype == DType::BF16 || layout.kind == SequenceLayout::Kind::Zigzag;
        if (ringSize != 0 && world % ringSize == 0 && once)
          worst = std::max(worst, worstOf(self, optionsOf(dtype, layout, ringSize, schedule)));
      }
  return worst <= 1 ? 0 : 1;
}

/// The same of each kind once, for many ranks and many ways to start them.
int fewNumbers(std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  int world = self.process.world, half = std::max(world / 2, 1);
  double worst = 0;
  for (const AttentionOptions &options :
       {optionsOf(DType::BF16, SequenceLayout::zigzag(), world, Schedule::Ring),
        optionsOf(DType::BF16, SequenceLayout::striped(), world, Schedule::AllGather),
        optionsOf(DType::F32, SequenceLayout::contiguous(), half, Schedule::Ring)})
    worst = std::max(worst, worstOf(self, options));
  return worst <= 1 ? 0 : 1;
}

/// Whether a number comes from the neighbour by messages of the user's own.
bool passesOn(const Self &self, NcclComm theirs, uint32_t number) {
  const NcclLibrary &nccl = *self.library;
  const NcclFunctions &functions = nccl.functions();
  int world = self.process.world, rank = self.process.rank;
  int right = (rank + 1) % world, left = (rank + world - 1) % world;
  constexpr int64_t count = 1 << 16;
  int64_t bytes = count * int64_t(sizeof(uint32_t));
  CudaStream stream(self.context.device);
  DeviceMemory out(self.context.device, bytes), in(self.context.device, bytes);
  stream.fill(out.data(), number + uint32_t(rank), count);
  {
    CudaCurrent current(*self.context.device);
    nccl.check(functions.groupStart(), "ncclGroupStart");
    nccl.check(
        functions.receive(in.data(), size_t(bytes), NcclType::Int8, left, theirs, stream.handle()),
        "ncclRecv");
    nccl.check(
        functions.send(out.data(), size_t(bytes), NcclType::Int8, right, theirs, stream.handle()),
        "ncclSend");
    nccl.check(functions.groupEnd(), "ncclGroupEnd");
  }
  std::vector<uint32_t> got(size_t{count});
  stream.download(got.data(), in.data(), bytes);
  stream.synchronize();
  bool whole = std::ranges::count(got, number + uint32_t(left)) == count;
  std::printf("rank %d of the user's communicator: %u from rank %d\n", rank,
              got[0] - uint32_t(left), left);
  return whole;
}

/// A communicator that the user has made serves rings one after another, and stays the user's.
int borrowed(std::chrono::milliseconds deadline) {
  Self self(deadline);
  const NcclLibrary &nccl = *self.library;
  int world = self.process.world;
  NcclUniqueId id = self.uniqueId();
  NcclComm theirs = nullptr;
  {
    CudaCurrent current(*self.context.device);
    nccl.check(nccl.functions().commInitRank(&theirs, world, id, self.process.rank),
               "ncclCommInitRank");
  }
  bool alive = passesOn(self, theirs, 1000);
  double worst = 0;
  for (uint32_t ring : {1, 2}) {
    self.borrow(theirs);
    DType dtype = ring == 1 ? DType::BF16 : DType::F32;
    worst = std::max(
        worst, worstOf(self, optionsOf(dtype, SequenceLayout::zigzag(), world, Schedule::Ring)));
    alive = passesOn(self, theirs, 2000 * ring) && alive; // beside the transport
    self.transport.reset();
    alive = passesOn(self, theirs, 2000 * ring + 1000) && alive;
  }
  CudaCurrent current(*self.context.device);
  NcclResult fault = NcclResult::InternalError;
  nccl.check(nccl.functions().commGetAsyncError(theirs, &fault), "ncclCommGetAsyncError");
  nccl.check(fault, "the user's communicator");
  nccl.check(nccl.functions().commDestroy(theirs), "ncclCommDestroy");
  return worst <= 1 && alive ? 0 : 1;
}

/// A pass for which the faulty rank has another option, and one once all have the same again.
int disagreement(const std::string &option, std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  auto options = [](const std::string &changed) {
    AttentionOptions made = optionsOf(DType::BF16, SequenceLayout::zigzag(), 0);
    if (changed == "window")
      made.window = {64, -1};
    else if (changed == "scale")
      made.scale = 0.5;
    else if (changed == "dtype")
      made.dtype = DType::F16;
    else if (changed == "prefix")
      made.prefix = 8;
    else if (changed == "backward")
      made.backward = BackwardForm::Fused;
    return made;
  };
  try {
    Job job(self, options(self.process.rank == faulty ? option : ""), 2, 203);
    job.forward();
    job.attention.wait(job.stream);
    std::printf("rank %d finished\n", job.rank);
    return 1;
  } catch (const PeerError &error) {
    std::printf("rank %d ended: %s\n", self.process.rank, error.what());
  }
  Job again(self, options(option), 2, 203);
  again.forward();
  again.attention.wait(again.stream);
  std::printf("rank %d goes on\n", again.rank);
  return 5;
}

/// Two passes that all have prepared, of which the faulty rank runs the other one, by a call or in
/// a graph.
int mixture(bool inGraph, std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  AttentionOptions options = optionsOf(DType::BF16, SequenceLayout::zigzag(), 0), other = options;
  other.window = {64, -1};
  Job one(self, options, 2, 203), two(self, other, 2, 203);
  for (Job *job : {&one, &two}) {
    job->forward();
    job->attention.wait(job->stream);
  }
  Job &called = self.process.rank == faulty ? two : one;
  std::optional<CudaGraph> graph;
  if (inGraph)
    graph.emplace(called.stream.capture([&] { called.forward(); }));
  try {
    for (int again = 0; again < 3; ++again) {
      if (graph)
        graph->launch(called.stream);
      else
        called.forward();
    }
    called.attention.wait(called.stream);
  } catch (const PeerError &error) {
    std::printf("rank %d ended: %s\n", called.rank, error.what());
    return 5;
  }
  std::printf("rank %d finished\n", called.rank);
  return 1;
}

/// A pass that the faulty rank spoils, and another in the same process, once all have a new
/// transport.
int fault(const std::string &mode, std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  bool spoils = self.process.rank == faulty;
  {
    // With zigzag every rank needs keys of every other.
    Job job(self, optionsOf(DType::BF16, SequenceLayout::zigzag(), 0), 2, 4096);
    job.forward(); // prepares, and connects
    job.attention.wait(job.stream);
    if (spoils && mode == "die")
      (void)raise(SIGKILL);
    if (spoils && mode == "late")
      std::this_thread::sleep_for(3 * deadline /
                                  2); // others wait as long again for a new transport
    Clock::time_point start = Clock::now();
    auto say = [&](const char *when, const std::exception &error) {
      std::printf("rank %d %s: %s\n", job.rank, when, error.what());
    };
    bool ended = false;
    try {
      if (mode == "shape") {
        Job other(self, job.options, 2, spoils ? 4096 + 64 : 4096 + 32);
        other.forward();
        other.attention.wait(other.stream);
      } else {
        job.forward();
        job.attention.wait(job.stream);
      }
    } catch (const std::exception &error) {
      ended = true;
      say("ended", error);
    }
    std::printf("rank %d took %.0f ms\n", job.rank,
                std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    if (!ended)
      return 1;
    try {
      job.forward();
    } catch (const PeerError &error) {
      say("later", error);
    }
    int64_t before = self.context.device->memory().freeBytes;
    self.transport.reset();
    std::printf("rank %d has %lld bytes more free without its transport\n", job.rank,
                static_cast<long long>(self.context.device->memory().freeBytes - before));
  }
  std::fflush(stdout);
  if (mode == "die")
    return 5;
  self.connect();
  Job again(self, optionsOf(DType::BF16, SequenceLayout::zigzag(), 0), 2, 203);
  again.forward();
  again.backward();
  again.attention.wait(again.stream);
  std::printf("rank %d goes on: error %.2f of its bar\n", again.rank,
              worstOf(again.tensors, again.rank, again.whole, DType::BF16, again.options,
                      self.process.world));
  return 5;
}

/// Times of a ring, for whoever reads them: b 1, heads 32/8, d 128, bf16, causal, zigzag.
int speed(std::chrono::milliseconds deadline) {
  Self self(deadline);
  self.connect();
  for (int64_t length : {8192, 32768}) {
    AttentionOptions options{.heads = 32,
                             .kvHeads = 8,
                             .headDim = 128,
                             .dtype = DType::BF16,
                             .causal = true,
                             .layout = SequenceLayout::zigzag()};
    Job job(self, options, 1, length);
    auto time = [&](const char *name, double flops, const std::function<void()> &body) {
      constexpr int times = 5;
      std::vector<double> device, host;
      for (int again = 0; again < times + 2; ++again) {
        CudaEvent start(self.context.device, CudaEvent::Timing::On),
            end(self.context.device, CudaEvent::Timing::On);
        start.record(job.stream);
        Clock::time_point begun = Clock::now();
        body();
        double micros = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
        end.record(job.stream);
        job.attention.wait(job.stream);
        if (again >= 2) {
          device.push_back(end.since(start));
          host.push_back(micros);
        }
      }
      std::ranges::sort(device);
      std::ranges::sort(host);
      std::printf("rank %d n %lld %s: %.3f ms, %.0f TFLOP/s a rank, host %.0f us\n", job.rank,
                  static_cast<long long>(length), name, device[times / 2],
                  flops / self.process.world / device[times / 2] * 1e-9, host[times / 2]);
    };
    double forward = 4.0 * 32 * double(length) * double(length) * 128 / 2;
    time("forward", forward, [&] { job.forward(); });
    time("backward", 2.5 * forward, [&] { job.backward(); });
  }
  return 0;
}

} // namespace

int runRank(int argc, char **argv) {
  std::string mode = argc > 2 ? argv[2] : "";
  std::chrono::milliseconds deadline(argc > 3 ? std::stoi(argv[3]) : 60'000);
  int code = 1;
  try {
    if (mode == "numbers")
      code = numbers(deadline);
    else if (mode == "few")
      code = fewNumbers(deadline);
    else if (mode == "borrowed")
      code = borrowed(deadline);
    else if (mode == "mixture" || mode == "mixture-graph")
      code = mixture(mode == "mixture-graph", deadline);
    else if (mode.starts_with("other-"))
      code = disagreement(mode.substr(6), deadline);
    else if (mode == "decode")
      code = decodes(deadline);
    else if (mode == "decode-other")
      code = otherDecode(deadline);
    else if (mode == "speed")
      code = speed(deadline);
    else
      code = fault(mode, deadline);
  } catch (const std::exception &error) {
    std::printf("unexpected: %s\n", error.what());
  }
  std::fflush(stdout);
  return code;
}

} // namespace ringc::test
