// One id for all ranks over real sockets, whoever else comes to the port.

#include "ringc/comm/Bootstrap.h"

#include "ringc/comm/BootstrapMessages.h"
#include "ringc/comm/Socket.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace ringc;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// A port that nobody has now, outside of those that the system gives to connections.
uint16_t freePort() {
  static uint16_t next = uint16_t(20000 + getpid() % 8000);
  for (;;) {
    try {
      (void)Socket::listen("127.0.0.1", ++next, Clock::now());
      return next;
    } catch (const InputError &) {
    }
  }
}

template <typename Body> std::string messageOf(Body &&body) {
  try {
    body();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "nothing thrown";
}

/// Ranks of one job as threads.
struct Job {
  explicit Job(int ranks)
      : world(ranks), ids(size_t(ranks)), said(size_t(ranks)), took(size_t(ranks)) {}

  ProcessRank process(int rank) const {
    ProcessRank made;
    made.rank = rank;
    made.world = world;
    made.masterPort = port;
    made.token = token;
    made.job = "job";
    return made;
  }
  void start(int rank) { start(rank, process(rank)); }
  void start(int slot, const ProcessRank &process) {
    threads.emplace_back([this, slot, process] {
      Clock::time_point begin = Clock::now();
      std::string text =
          messageOf([&] { ids[size_t(slot)] = shareUniqueId(*library, process, deadline).bytes; });
      said[size_t(slot)] = text;
      took[size_t(slot)] = Clock::now() - begin;
    });
  }
  void join() { threads.clear(); }

  /// Whether all have one id.
  bool agrees() {
    join();
    for (size_t rank = 0; rank < size_t(world); ++rank) {
      CHECK(said[rank] == "nothing thrown");
      if (ids[rank][0] == 0 || ids[rank] != ids[0])
        return false;
    }
    return true;
  }

  int world;
  std::shared_ptr<const NcclLibrary> library = NcclLibrary::open(RINGC_FAKE_NCCL);
  uint16_t port = freePort();
  std::string token;
  std::chrono::milliseconds deadline = 30s;
  std::vector<std::array<char, 128>> ids;
  std::vector<std::string> said;
  std::vector<Clock::duration> took;
  std::vector<std::jthread> threads;
};

/// A connection to rank 0, once it is there.
Socket visit(const Job &job) {
  Clock::time_point end = Clock::now() + 10s;
  for (;;) {
    if (auto socket = Socket::connect("127.0.0.1", job.port, end))
      return std::move(*socket);
    REQUIRE(Clock::now() < end);
    std::this_thread::sleep_for(5ms);
  }
}

bootstrap::Welcome welcomeOf(const Socket &socket) {
  std::array<std::byte, bootstrap::Welcome::bytes> bytes{};
  REQUIRE(socket.receive(bytes, Clock::now() + 10s));
  return bootstrap::Welcome::read(bytes).value();
}

std::optional<bootstrap::Answer> answerTo(const Socket &socket, const bootstrap::Greeting &said) {
  REQUIRE(socket.send(said.wire(), Clock::now() + 10s));
  std::array<std::byte, bootstrap::Answer::bytes> bytes{};
  if (!socket.receive(bytes, Clock::now() + 10s))
    return std::nullopt;
  return bootstrap::Answer::read(bytes);
}

bootstrap::Greeting greetingOf(const Job &job, const bootstrap::Welcome &welcome, uint32_t rank,
                               const std::string &token) {
  bootstrap::Greeting made{
      .rank = rank, .world = uint32_t(job.world), .job = "job", .nonce = newNonce()};
  made.proof = proofOfRank(token, welcome, made);
  return made;
}

std::span<const std::byte> bytesOf(const std::string &text) {
  return std::as_bytes(std::span(text));
}

} // namespace

TEST_CASE("all ranks get rank 0's id, whoever comes first") {
  for (const char *token : {"", "secret"}) {
    Job job(5);
    job.token = token;
    for (int rank = job.world - 1; rank >= 0; --rank) {
      job.start(rank);
      std::this_thread::sleep_for(20ms);
    }
    CHECK(job.agrees());
  }
}

TEST_CASE("four guests that say nothing, and one that says half, delay nobody") {
  Job job(3);
  job.start(0);
  std::vector<Socket> silent;
  for (int guest = 0; guest < 4; ++guest)
    silent.push_back(visit(job));
  silent.push_back(visit(job));
  REQUIRE(silent.back().send(bytesOf("ringcgre"), Clock::now() + 1s));
  Clock::time_point begin = Clock::now();
  job.start(1);
  job.start(2);
  CHECK(job.agrees());
  CHECK(Clock::now() - begin < 2s);
}

TEST_CASE("strangers, and who leaves early, take no place") {
  Job job(3);
  job.start(0);
  REQUIRE(visit(job).send(bytesOf("GET / HTTP/1.1\r\n\r\n"), Clock::now() + 1s));
  (void)visit(job).send(bytesOf(std::string(100'000, 'x')), Clock::now() + 1s);
  REQUIRE(
      visit(job).send(bytesOf(std::string(bootstrap::Greeting::bytes, '\0')), Clock::now() + 1s));
  (void)visit(job);
  {
    // Rank 1 is given the id, and dies before it says so.
    Socket dying = visit(job);
    auto answer = answerTo(dying, greetingOf(job, welcomeOf(dying), 1, ""));
    CHECK(answer->verdict == bootstrap::Verdict::Welcome);
  }
  job.start(1);
  job.start(2);
  CHECK(job.agrees());
}

TEST_CASE(
    "a rank that is there twice, none, or of another world, job, version or token is refused, "
    "and the job goes on") {
  Job job(3);
  job.token = "secret";
  job.start(0);
  Socket first = visit(job);
  CHECK(answerTo(first, greetingOf(job, welcomeOf(first), 1, "secret"))->verdict ==
        bootstrap::Verdict::Welcome);
  auto verdict = [&](const std::function<void(bootstrap::Greeting &)> &change,
                     const char *token = "secret") {
    Socket guest = visit(job);
    bootstrap::Welcome welcome = welcomeOf(guest);
    CHECK(welcome.world == 3);
    bootstrap::Greeting greeting = greetingOf(job, welcome, 2, token);
    change(greeting);
    greeting.proof = proofOfRank(token, welcome, greeting);
    auto answer = answerTo(guest, greeting);
    REQUIRE(answer.has_value());
    if (answer->verdict != bootstrap::Verdict::Welcome)
      CHECK(answer->id.bytes == NcclUniqueId{}.bytes); // nothing is told
    return answer->verdict;
  };
  using bootstrap::Verdict;
  CHECK(verdict([](auto &said) { said.rank = 1; }) == Verdict::Taken);
  CHECK(verdict([](auto &said) { said.rank = 0; }) == Verdict::NoSuchRank);
  CHECK(verdict([](auto &said) { said.rank = 3; }) == Verdict::NoSuchRank);
  CHECK(verdict([](auto &said) { said.rank = 0xffffffff; }) == Verdict::NoSuchRank);
  CHECK(verdict([](auto &said) { said.world = 4; }) == Verdict::OtherWorld);
  CHECK(verdict([](auto &said) { said.job = "other"; }) == Verdict::OtherJob);
  CHECK(verdict([](auto &said) { said.version = 1; }) == Verdict::OtherVersion);
  CHECK(verdict([](auto &) {}, "guess") == Verdict::OtherToken);
  CHECK(verdict([](auto &) {}, "") == Verdict::OtherToken);
  REQUIRE(first.send(bootstrap::Receipt::wire(), Clock::now() + 1s));
  job.start(2);
  job.join();
  CHECK(job.said[0] == "nothing thrown");
  CHECK(job.said[2] == "nothing thrown");
}

TEST_CASE("a refused rank says why at once") {
  auto refusal = [](const std::function<void(ProcessRank &)> &change, int twice = 0) {
    Job job(2 + twice);
    job.deadline = 1s;
    job.start(0);
    Socket holder = visit(job);
    bootstrap::Greeting greeting = greetingOf(job, welcomeOf(holder), 1, "");
    if (twice)
      REQUIRE(answerTo(holder, greeting).has_value());
    ProcessRank process = job.process(1);
    change(process);
    Clock::time_point begin = Clock::now();
    std::string said = messageOf([&] { (void)shareUniqueId(*job.library, process, 20s); });
    CHECK(Clock::now() - begin < 2s);
    job.join();
    size_t at = said.find(" has no place at 127.0.0.1:" + std::to_string(job.port) + ": ");
    REQUIRE_MESSAGE(at != said.npos, said);
    std::string why = said.substr(said.find(": ", at) + 2);
    CHECK(job.said[0].find("; refused: one that says it is rank 1 of " +
                           std::to_string(process.world) + " (" + why + ")") != std::string::npos);
    return why;
  };
  CHECK(refusal([](ProcessRank &process) { process.world = 4; }) ==
        "the ranks of the world: 2 at rank 0, 4 here");
  CHECK(refusal([](ProcessRank &process) { process.job = "other"; }) ==
        "the job: job at rank 0, other here");
  CHECK(refusal([](ProcessRank &process) { process.token = "guess"; }) ==
        "RINGC_JOB_TOKEN is not rank 0's");
  CHECK(refusal([](ProcessRank &) {}, 1) ==
        "rank 1 is there already: two processes say they are it");
}

TEST_CASE("a rank 0 that does not know the token is not believed") {
  Job job(2);
  job.deadline = 1s;
  job.start(0);
  ProcessRank process = job.process(1);
  process.token = "secret";
  CHECK(messageOf([&] {
          (void)shareUniqueId(*job.library, process, 20s);
        }).ends_with("RINGC_JOB_TOKEN is not rank 0's"));
  job.join();
  // Nor one that says yes to everything.
  Socket door = Socket::listen("127.0.0.1", job.port, Clock::now() + 1s);
  std::jthread impostor([&] {
    std::optional<Socket> guest;
    for (Clock::time_point end = Clock::now() + 10s; !guest && Clock::now() < end;
         std::this_thread::sleep_for(5ms))
      guest = door.accept().socket;
    bootstrap::Welcome welcome{.world = 2, .job = "job", .nonce = newNonce()};
    (void)guest->send(welcome.wire(), Clock::now() + 5s);
    std::array<std::byte, bootstrap::Greeting::bytes> greeting{};
    (void)guest->receive(greeting, Clock::now() + 5s);
    bootstrap::Answer answer;
    answer.id.bytes[0] = 'x';
    (void)guest->send(answer.wire(), Clock::now() + 5s);
  });
  CHECK(messageOf([&] {
          (void)shareUniqueId(*job.library, process, 20s);
        }).ends_with("RINGC_JOB_TOKEN is not rank 0's"));
}

TEST_CASE("a proof is of no use to another connection, rank or role") {
  bootstrap::Welcome here{.world = 2, .job = "", .nonce = newNonce()}, later = here;
  later.nonce = newNonce();
  bootstrap::Greeting rank1{.rank = 1, .world = 2, .job = "", .nonce = newNonce()}, rank2 = rank1;
  rank2.rank = 2;
  NcclUniqueId id{}, other{};
  other.bytes[7] = 1;
  Proof proof = proofOfRank("secret", here, rank1);
  CHECK(same(proof, proofOfRank("secret", here, rank1)));
  CHECK_FALSE(same(proof, proofOfRank("guess", here, rank1)));
  CHECK_FALSE(same(proof, proofOfRank("secret", later, rank1)));
  CHECK_FALSE(same(proof, proofOfRank("secret", here, rank2)));
  CHECK_FALSE(
      same(proofOfHost("secret", here, rank1, id), proofOfHost("secret", here, rank1, other)));
  CHECK_FALSE(same(proof, proofOfHost("secret", here, rank1, id)));
}

TEST_CASE("keyed hashes are HMAC-SHA256 (RFC 4231)") {
  auto hex = [](const Proof &proof) {
    std::string text;
    for (std::byte each : proof)
      for (int nibble : {int(each) >> 4, int(each) & 15})
        text += "0123456789abcdef"[nibble];
    return text;
  };
  CHECK(hex(proofOf("Jefe", bytesOf("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(proofOf(std::string(131, char(0xaa)),
                    bytesOf("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("numbers go over the wire in one width and order") {
  std::vector<std::byte> wire =
      bootstrap::Greeting{.version = 2, .rank = 0x01020304, .world = 5, .job = "j"}.wire();
  CHECK(wire.size() == bootstrap::Greeting::bytes);
  const std::array<int, 20> begin = {'r', 'i', 'n', 'g', 'c', 'g', 'r', 'e', 2, 0,
                                     0,   0,   4,   3,   2,   1,   5,   0,   0, 0};
  for (size_t i = 0; i < begin.size(); ++i)
    CHECK(int(wire[i]) == begin[i]);
  CHECK(bootstrap::Greeting::read(wire)->rank == 0x01020304);
  wire[0] = std::byte('R');
  CHECK_FALSE(bootstrap::Greeting::read(wire).has_value());
}

TEST_CASE("who does not come is named within the deadline") {
  Job job(3);
  job.deadline = 300ms;
  job.start(0);
  job.join();
  std::string at = "127.0.0.1:" + std::to_string(job.port);
  CHECK(job.said[0] == "rank 0 at " + at + ": these ranks of 3 did not come in time: 1, 2");
  job.start(2);
  job.join();
  CHECK(job.said[2] == "rank 2 of 3: rank 0 did not answer in time at " + at);
  CHECK(std::ranges::max(job.took) < 2s);
}

TEST_CASE("a rank that comes late is still in time") {
  Job job(2);
  job.start(0);
  std::this_thread::sleep_for(700ms);
  job.start(1);
  CHECK(job.agrees());
}

TEST_CASE("what listens at the port is no rank 0") {
  Job job(2);
  job.deadline = 500ms;
  Socket other = Socket::listen("127.0.0.1", job.port, Clock::now());
  std::jthread speaks([&] {
    for (Clock::time_point end = Clock::now() + 1s; Clock::now() < end;
         std::this_thread::sleep_for(5ms))
      if (auto guest = other.accept().socket)
        (void)guest->send(bytesOf("SSH-2.0-OpenSSH_9.2p1" + std::string(200, '.')),
                          Clock::now() + 1s);
  });
  job.start(1);
  job.join();
  CHECK(job.said[1] == "rank 1 of 2: rank 0 did not answer in time at 127.0.0.1:" +
                           std::to_string(job.port) + "; something else did");
}

TEST_CASE("a rank does not take itself for rank 0") {
  // A port of those that the system gives to connections: sooner or later it gives that very one.
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  int low = 0, high = 0;
  file >> low >> high;
  REQUIRE(low > 0);
  uint16_t port = uint16_t(low + (high - low) / 4 * 2); // it begins with those of low's parity
  Clock::time_point end = Clock::now() + 10s;
  for (int tries = 0; Clock::now() < end && tries <= high - low; ++tries)
    REQUIRE_FALSE(Socket::connect("127.0.0.1", port, end).has_value());
}

TEST_CASE("where the system has no more descriptors, ranks come in once others leave") {
  Job job(2);
  job.deadline = 20s;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  job.start(0);
  std::vector<Socket> silent;
  silent.push_back(visit(job));
  std::this_thread::sleep_for(50ms);
  // From here on there are as many descriptors as are in use, and the ones that clients take.
  int lowest = dup(0);
  close(lowest);
  std::vector<int> taken;
  rlimit few = before;
  few.rlim_cur = rlim_t(lowest + 4);
  setrlimit(RLIMIT_NOFILE, &few);
  for (int next = dup(0); next >= 0; next = dup(0))
    taken.push_back(next);
  close(taken.back()); // one for a client, none for rank 0's side of it
  taken.pop_back();
  rusage begin{}, end{};
  getrusage(RUSAGE_SELF, &begin);
  Socket guest = visit(job);
  std::this_thread::sleep_for(500ms);
  getrusage(RUSAGE_SELF, &end);
  auto cpuOf = [](const rusage &used) {
    return double(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * double(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  CHECK(cpuOf(end) - cpuOf(begin) < 0.25); // it does not spin
  for (int each : taken)
    close(each);
  setrlimit(RLIMIT_NOFILE, &before);
  job.start(1);
  CHECK(job.agrees());
}

TEST_CASE("an address that is none, a port that is taken") {
  auto library = NcclLibrary::open(RINGC_FAKE_NCCL);
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 1, .world = 2, .masterAddress = "no such host"}, 100ms);
        }).starts_with("MASTER_ADDR: got no such host ("));
  uint16_t port = freePort();
  Socket taken = Socket::listen("127.0.0.1", port, Clock::now());
  CHECK(messageOf([&] {
          shareUniqueId(*library, {.rank = 0, .world = 2, .masterPort = port}, 100ms);
        }) == "MASTER_PORT: got " + std::to_string(port) +
                  " (Address already in use), allowed: a port that nobody uses");
}
