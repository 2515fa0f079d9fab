#include "ringc/comm/Bootstrap.h"

#include "ringc/comm/BootstrapDoor.h"
#include "ringc/comm/BootstrapMessages.h"
#include "ringc/comm/Socket.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <thread>

namespace ringc {

using namespace bootstrap;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds pause(50);
/// What rank 0 may take for a word once it is connected; and a port, to be free.
constexpr std::chrono::seconds patience(5);

template <typename Message>
std::optional<Message> receive(const Socket &socket, Clock::time_point end) {
  std::array<std::byte, Message::bytes> bytes{};
  if (!socket.receive(bytes, end))
    return std::nullopt;
  return Message::read(bytes);
}

class Fetch {
public:
  explicit Fetch(const ProcessRank &ofThis) : process(ofThis) {}

  NcclUniqueId operator()(Clock::time_point end) {
    for (; Clock::now() < end; std::this_thread::sleep_for(pause)) { // it may not be there yet
      std::optional<Socket> host = Socket::connect(process.masterAddress, process.masterPort, end);
      if (!host)
        continue;
      if (std::optional<NcclUniqueId> id = ask(*host, std::min(end, Clock::now() + patience)))
        return *id;
    }
    throw NcclError(self() + ": rank 0 did not answer in time at " + process.masterAddress + ":" +
                    std::to_string(process.masterPort) + (strange ? "; something else did" : ""));
  }

private:
  std::string self() const {
    return "rank " + std::to_string(process.rank) + " of " + std::to_string(process.world);
  }

  /// Nothing where it is not rank 0 that answers, or it is gone.
  std::optional<NcclUniqueId> ask(const Socket &host, Clock::time_point end) {
    std::optional<Welcome> welcome = receive<Welcome>(host, end);
    strange = !welcome;
    if (!welcome)
      return std::nullopt;
    Greeting greeting{.rank = uint32_t(process.rank),
                      .world = uint32_t(process.world),
                      .job = process.job.substr(0, jobBytes),
                      .nonce = newNonce()};
    if (welcome->version != bootstrap::version)
      refused(Verdict::OtherVersion, *welcome, greeting);
    greeting.proof = proofOfRank(process.token, *welcome, greeting);
    if (!host.send(greeting.wire(), end))
      return std::nullopt;
    std::optional<Answer> answer = receive<Answer>(host, end);
    if (!answer)
      return std::nullopt;
    if (answer->verdict != Verdict::Welcome)
      refused(answer->verdict, *welcome, greeting);
    if (welcome->world != greeting.world)
      refused(Verdict::OtherWorld, *welcome, greeting);
    if (welcome->job != greeting.job)
      refused(Verdict::OtherJob, *welcome, greeting);
    if (!same(answer->proof, proofOfHost(process.token, *welcome, greeting, answer->id)))
      refused(Verdict::OtherToken, *welcome, greeting);
    if (!host.send(Receipt::wire(), end))
      return std::nullopt;
    return answer->id;
  }

  [[noreturn]] void refused(Verdict verdict, const Welcome &welcome,
                            const Greeting &greeting) const {
    throw NcclError(self() + " has no place at " + process.masterAddress + ":" +
                    std::to_string(process.masterPort) + ": " +
                    reasonOf(verdict, welcome, greeting));
  }

  const ProcessRank &process;
  bool strange = false;
};

} // namespace

NcclUniqueId shareUniqueId(const NcclLibrary &library, const ProcessRank &process,
                           std::chrono::milliseconds deadline) {
  Clock::time_point end = Clock::now() + deadline;
  if (process.rank > 0 && !process.ncclFinds)
    return Fetch(process)(end);
  NcclUniqueId id{};
  library.check(library.functions().getUniqueId(&id), "ncclGetUniqueId");
  if (!process.ncclFinds && process.world > 1) {
    Clock::time_point soon = std::min(end, Clock::now() + patience);
    BootstrapDoor(Socket::listen(process.masterAddress, process.masterPort, soon), process, id)
        .serve(end);
  }
  return id;
}

} // namespace ringc
