// One rank of a test that mpirun starts: `test-mpi-rank MODE [DEADLINE_MS]`; see mpi_test.py.

#include "ringc/comm/Mpi.h"
#include "ringc/ring/Executor.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int faulty = 1;

void require(bool condition, const std::string &what) {
  if (!condition)
    throw std::logic_error(what);
}

std::vector<std::byte> pattern(int from, int hop, Channel channel, size_t bytes) {
  std::vector<std::byte> made(bytes);
  for (size_t i = 0, next = size_t(from) * 7 + size_t(hop) * 13 + size_t(channel) * 101; i < bytes;
       ++i, next = next * 5 + 3)
    made[i] = std::byte(next >> 3);
  return made;
}

/// Nothing, less than a piece, whole pieces, many pieces.
size_t sizeOf(int hop, Channel channel) {
  constexpr size_t sizes[] = {0, 1, 9'999, 10'000, 10'001, 40'000, 500'000};
  return sizes[size_t(hop + 3 * int(channel)) % std::size(sizes)];
}

/// Sends to the right and receives from the left.
class Turn {
public:
  Turn(Transport &transport, int hop, Channel channel) : number(hop), kind(channel) {
    int self = transport.rank(), world = transport.world();
    left = (self + world - 1) % world;
    size_t bytes = sizeOf(hop, channel);
    out = pattern(self, hop, channel, bytes);
    in.resize(bytes);
    transfer = transport.post({.hop = hop,
                               .channel = channel,
                               .sends = {{(self + 1) % world, out}},
                               .receives = {{left, in}}});
  }

  void finish() {
    transfer->wait();
    require(in == pattern(left, number, kind, in.size()),
            "wrong bytes at hop " + std::to_string(number));
  }

private:
  int number, left;
  Channel kind;
  std::vector<std::byte> out, in;
  std::unique_ptr<Transfer> transfer;
};

void turnAround(Transport &transport, int hops) {
  int64_t bytes = 0;
  for (int hop = 0; hop < hops; ++hop) {
    Turn keys(transport, hop, Channel::Keys), gradients(transport, hop, Channel::Gradients);
    gradients.finish();
    keys.finish();
    bytes += int64_t(sizeOf(hop, Channel::Keys) + sizeOf(hop, Channel::Gradients));
  }
  require(transport.sentBytes() == bytes && transport.receivedBytes() == bytes, "bytes counted");
}

/// Two transports of one communicator at once, and one of half of the ranks.
void exchange(std::chrono::milliseconds deadline) {
  MpiSession session;
  MpiOptions options{.deadline = deadline, .pieceBytes = 10'000};
  MpiTransport first(session, MPI_COMM_WORLD, options), second(session);
  require(first.world() == second.world() && first.rank() == second.rank(), "one world");
  Turn early(first, 5, Channel::Keys);
  Turn other(second, 6, Channel::Keys);
  other.finish();
  early.finish();
  MpiTransport third(session, MPI_COMM_WORLD, options);
  turnAround(third, 50);

  MPI_Comm half = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, first.rank() % 2, 0, &half);
  MpiTransport ofHalf(session, half, options);
  MPI_Comm_free(&half);
  require(ofHalf.world() == (first.world() + 1 - first.rank() % 2) / 2, "half of the ranks");
  turnAround(ofHalf, 10);
}

/// MPI belongs to the program.
void guest(std::chrono::milliseconds deadline) {
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  for (int time = 0; time < 2; ++time) {
    MpiSession session;
    MpiTransport transport(session, MPI_COMM_WORLD, {.deadline = deadline});
    turnAround(transport, 5);
  }
  int over = 0;
  MPI_Finalized(&over);
  require(!over, "still running");
  MPI_Finalize();
  bool refused = false;
  try {
    MpiSession late;
  } catch (const MpiError &) {
    refused = true;
  }
  require(refused, "MPI is over");
}

class HookedKernels : public HopKernels {
public:
  explicit HookedKernels(std::function<void(const HopBlock &)> given) : hook(std::move(given)) {}
  void run(const HopBlock &block) override { hook(block); }
  void runNothing() override {}

private:
  std::function<void(const HopBlock &)> hook;
};

/// A forward pass in which one rank fails, or its shard has another shape.
void ring(const std::string &mode, std::chrono::milliseconds deadline, Transport &transport) {
  int self = transport.rank(), world = transport.world();
  int64_t rows = 100, width = mode == "shape" && self == faulty ? 2000 : 1000;
  RingProblem problem{.rings = {world, world},
                      .layout = {},
                      .queryLength = rows * world,
                      .keyLength = rows * world,
                      .bytesPerKey = 8 * width,
                      .gradientBytesPerKey = 0};
  if (mode == "length" && self == faulty)
    rows = problem.queryLength = problem.keyLength = 0;
  HostTensor k(DType::F32, {1, rows, 1, width}), v(DType::F32, {1, rows, 1, width});
  Plan plan =
      planRank(Pass::Forward, self, problem, [](int, int, int) { return Visibility::Full; });
  HookedKernels kernels([&](const HopBlock &block) {
    if (self != faulty || block.step != 0)
      return;
    if (mode == "die")
      (void)raise(SIGKILL);
    if (mode == "late")
      std::this_thread::sleep_for(3 * deadline);
    if (mode == "throw")
      throw std::runtime_error("kernel failed");
  });
  HopMemory memory;
  execute(plan, {.keys = {{k, 1}, {v, 1}}, .gradients = {}}, kernels, transport, memory);
}

/// Says how the pass ended, and what the transport has to say afterwards.
int fault(const std::string &mode, std::chrono::milliseconds deadline) {
  MpiSession session;
  MpiTransport(session).abort("another transport");
  MpiTransport transport(session, MPI_COMM_WORLD, {.deadline = deadline});
  auto say = [&](const char *when, const std::exception &error) {
    std::printf("rank %d %s: %s\n", transport.rank(), when, error.what());
    std::fflush(stdout);
  };
  bool ended = false;
  Clock::time_point start = Clock::now();
  try {
    ring(mode, deadline, transport);
  } catch (const std::exception &error) {
    ended = true;
    say("ended", error);
  }
  std::printf("rank %d took %.0f ms\n", transport.rank(),
              std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  if (!ended)
    return 0;
  try {
    turnAround(transport, 1);
  } catch (const PeerError &error) {
    say("later", error);
  }
  return 5;
}

/// A rank that makes no transport.
int missing(std::chrono::milliseconds deadline) {
  MpiSession session;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == faulty) {
    std::this_thread::sleep_for(2 * deadline);
    std::_Exit(0);
  }
  try {
    MpiTransport transport(session, MPI_COMM_WORLD, {.deadline = deadline});
  } catch (const MpiError &error) {
    std::printf("rank %d ended: %s\n", rank, error.what());
    return 5;
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  std::chrono::milliseconds deadline(argc > 2 ? std::stoi(argv[2]) : 60'000);
  try {
    if (mode == "exchange")
      exchange(deadline);
    else if (mode == "guest")
      guest(deadline);
    else if (mode == "missing")
      return missing(deadline);
    else
      return fault(mode, deadline);
  } catch (const std::exception &error) {
    std::printf("unexpected: %s\n", error.what());
    std::fflush(stdout);
    return 1;
  }
  return 0;
}
