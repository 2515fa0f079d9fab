#include "ringc/comm/Mpi.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

/// On the duplicated communicator. What one end takes a message for goes on a tag for the role that
/// this end has.
enum Tag { SenderSays = 1, ReceiverSays, Failure, FirstOfData };

int dataTag(const Exchange &exchange) {
  return FirstOfData + 2 * int(exchange.channel) + exchange.hop % 2;
}

/// Between two looks at what MPI has done: grows from a yield to a millisecond.
class Pause {
public:
  /// What is under way moves while one looks.
  void whileMoving() {
    polls = 0;
    std::this_thread::yield();
  }
  void operator()() {
    constexpr int yields = 64, sleepsOfEach = 16, doublings = 6;
    if (++polls <= yields)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(
          std::chrono::microseconds(16 << std::min((polls - yields) / sleepsOfEach, doublings)));
  }

private:
  int polls = 0;
};

void require(std::string_view call, int code) {
  if (code != MPI_SUCCESS)
    throw MpiError(call, code);
}

} // namespace

/// What a transport and its transfers share.
struct MpiLink {
  MpiLink(MPI_Comm communicator, const MpiOptions &given, std::shared_ptr<bool> sessionBroken)
      : options(given), broken(std::move(sessionBroken)) {
    require("MPI_Comm_rank", MPI_Comm_rank(communicator, &rank));
    require("MPI_Comm_size", MPI_Comm_size(communicator, &world));
    MPI_Request request;
    require("MPI_Comm_idup", MPI_Comm_idup(communicator, &comm, &request));
    Clock::time_point start = Clock::now();
    Pause pause;
    for (int done = 0; !done; pause()) {
      Clock::time_point now = Clock::now();
      require("MPI_Test of MPI_Comm_idup", MPI_Test(&request, &done, MPI_STATUS_IGNORE));
      if (!done && now - start > options.deadline) {
        *broken = true;
        throw MpiError("MPI_Comm_idup", "rank " + std::to_string(rank) + " of " +
                                            std::to_string(world) + " waited " + deadlineText() +
                                            " for all ranks to call it");
      }
    }
    require("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  }

  MpiLink(const MpiLink &) = delete;
  MpiLink &operator=(const MpiLink &) = delete;

  ~MpiLink() {
    int over = 0;
    MPI_Finalized(&over);
    if (!failed() && !over)
      MPI_Comm_free(&comm);
  }

  bool failed() const { return failedRank >= 0; }
  std::string failureText() const {
    return "rank " + std::to_string(failedRank) + " failed" +
           (failure.empty() ? "" : ": " + failure);
  }
  std::string deadlineText() const { return std::to_string(options.deadline.count()) + " ms"; }

  /// How long MPI may take to withdraw what is under way: a part of the deadline.
  Clock::duration withdrawal() const {
    return std::min<Clock::duration>(options.deadline / 10, std::chrono::seconds(1));
  }
  Clock::duration patience() const { return options.deadline - withdrawal(); }

  /// The first failure counts; tells all others when it is this rank's.
  void fail(int who, std::string_view reason) noexcept {
    if (failed())
      return;
    failedRank = who;
    *broken = true;
    withdrawnBy = Clock::now() + withdrawal();
    try {
      failure = reason;
      if (who == rank)
        tellOthers();
    } catch (...) { // out of memory: the others will find out by themselves
      failure.clear();
    }
  }

  /// Whether another rank has told this one that it failed.
  bool hearOfFailure() {
    int there = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, Failure, comm, &there, &status) != MPI_SUCCESS || !there)
      return false;
    std::array<char, longestReason> reason{};
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (MPI_Recv(reason.data(), int(reason.size()), MPI_BYTE, status.MPI_SOURCE, Failure, comm,
                 MPI_STATUS_IGNORE) != MPI_SUCCESS)
      bytes = 0;
    fail(status.MPI_SOURCE, {reason.data(), size_t(bytes)});
    return true;
  }

  const MpiOptions options;
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0, world = 1;
  int64_t sent = 0, received = 0;
  Clock::time_point withdrawnBy; ///< once failed

private:
  /// Short enough to leave without the receiver's help.
  static constexpr size_t longestReason = 1024;

  void tellOthers() {
    auto text = std::make_unique<std::string>(failure.substr(0, longestReason));
    std::vector<MPI_Request> sends;
    for (int other = 0; other < world; ++other)
      if (other != rank)
        MPI_Isend(text->data(), int(text->size()), MPI_BYTE, other, Failure, comm,
                  &sends.emplace_back(MPI_REQUEST_NULL));
    int left = 0;
    for (Pause pause; !left && Clock::now() < withdrawnBy; pause())
      if (MPI_Testall(int(sends.size()), sends.data(), &left, MPI_STATUSES_IGNORE) != MPI_SUCCESS)
        break;
    if (!left) [[maybe_unused]]
      std::string *kept = text.release(); // MPI may read it until the process ends
  }

  std::shared_ptr<bool> broken;
  int failedRank = -1;
  std::string failure;
};

namespace {

/// What one end of a message takes it for.
struct Header {
  int64_t hop, channel, bytes;

  bool operator==(const Header &) const = default;
  std::string text() const {
    bool known = channel >= 0 && channel <= int64_t(Channel::Plans);
    return std::to_string(bytes) + " bytes of " +
           (known ? std::string(nameOf(Channel(channel))) : "an unknown channel") + " at hop " +
           std::to_string(hop);
  }
};

struct Message {
  enum class Kind { Send, Receive };

  Kind kind;
  int peer;
  std::byte *bytes; ///< not written by a send
  Header here;
  Header there{};
  bool heard = false; ///< `there` has come
};

class MpiTransfer final : public Transfer {
public:
  MpiTransfer(std::shared_ptr<MpiLink> ownLink, const Exchange &given)
      : link(std::move(ownLink)), hop(given.hop), channel(given.channel), tag(dataTag(given)) {
    auto header = [&](size_t bytes) {
      return Header{hop, int64_t(channel), static_cast<int64_t>(bytes)};
    };
    for (const ReceivePart &part : given.receives)
      messages.push_back(
          {Message::Kind::Receive, part.peer, part.bytes.data(), header(part.bytes.size())});
    for (const SendPart &part : given.sends)
      messages.push_back({Message::Kind::Send, part.peer,
                          const_cast<std::byte *>(part.bytes.data()), header(part.bytes.size())});
  }

  /// Addresses of messages are shared from here on. Data is sent at once, but received only when
  /// it is known to fit: Open MPI 4 may write past the end of memory that is too small.
  void post() {
    for (Message &message : messages) {
      bool sends = message.kind == Message::Kind::Send;
      start(message, Part::TheirHeader, [&](MPI_Request *request) {
        return MPI_Irecv(&message.there, sizeof(Header), MPI_BYTE, message.peer,
                         sends ? ReceiverSays : SenderSays, link->comm, request);
      });
      start(message, Part::OwnHeader, [&](MPI_Request *request) {
        return MPI_Isend(&message.here, sizeof(Header), MPI_BYTE, message.peer,
                         sends ? SenderSays : ReceiverSays, link->comm, request);
      });
      if (sends)
        startPieces(message);
    }
  }

  ~MpiTransfer() override {
    if (underWay())
      withdraw();
  }

  void wait() override {
    if (messages.empty())
      return;
    Clock::time_point start = Clock::now();
    for (Pause pause;; moving() ? pause.whileMoving() : pause()) {
      Clock::time_point now = Clock::now(); // before looking: a paused process looks once more
      if (link->failed())
        throw error(late(), link->failureText());
      progress();
      // Also when all has come: a rank that failed may have given up what it had begun to send.
      if (link->hearOfFailure())
        throw error(late(), link->failureText());
      if (!underWay())
        break;
      if (now - start > link->patience())
        fail(late(), "nothing came within " + link->deadlineText());
    }
    for (const Message &message : messages)
      (message.kind == Message::Kind::Send ? link->sent : link->received) += message.here.bytes;
    messages.clear();
  }

private:
  enum class Part : uint8_t { TheirHeader, OwnHeader, Data };
  struct Started {
    size_t message;
    Part part;
  };

  template <typename Call> void start(Message &message, Part part, Call &&call) {
    started.push_back({size_t(&message - messages.data()), part});
    int code = call(&requests.emplace_back(MPI_REQUEST_NULL));
    if (code != MPI_SUCCESS)
      fail(message, mpiErrorText(code));
  }

  void startPieces(Message &message) {
    int64_t most = link->options.pieceBytes;
    for (int64_t from = 0; from < message.here.bytes; from += most) {
      std::byte *piece = message.bytes + from;
      int count = int(std::min(most, message.here.bytes - from));
      start(message, Part::Data, [&](MPI_Request *request) {
        return message.kind == Message::Kind::Send
                   ? MPI_Isend(piece, count, MPI_BYTE, message.peer, tag, link->comm, request)
                   : MPI_Irecv(piece, count, MPI_BYTE, message.peer, tag, link->comm, request);
      });
    }
  }

  bool underWay() const {
    return std::ranges::any_of(requests,
                               [](MPI_Request request) { return request != MPI_REQUEST_NULL; });
  }

  /// Whether a message under way has its other end posted.
  bool moving() const {
    for (size_t i = 0; i < requests.size(); ++i)
      if (requests[i] != MPI_REQUEST_NULL && messages[started[i].message].heard)
        return true;
    return false;
  }

  /// The first message that is not over, or else the first of all.
  const Message &late() const {
    for (size_t i = 0; i < requests.size(); ++i)
      if (requests[i] != MPI_REQUEST_NULL)
        return messages[started[i].message];
    return messages.front();
  }

  int test(int &count) {
    indices.resize(requests.size());
    statuses.resize(requests.size());
    return MPI_Testsome(int(requests.size()), requests.data(), &count, indices.data(),
                        statuses.data());
  }

  /// Lets MPI move what it can; throws where a message failed.
  void progress() {
    int count = 0;
    int code = test(count);
    if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS)
      fail(late(), mpiErrorText(code));
    if (count == MPI_UNDEFINED)
      return;
    for (int i = 0; i < count; ++i) {
      Started over = started[size_t(indices[size_t(i)])];
      Message &message = messages[over.message];
      if (code == MPI_ERR_IN_STATUS && statuses[size_t(i)].MPI_ERROR != MPI_SUCCESS)
        fail(message, mpiErrorText(statuses[size_t(i)].MPI_ERROR));
      if (over.part == Part::TheirHeader)
        compare(message);
    }
  }

  void compare(Message &message) {
    message.heard = true;
    if (message.there != message.here)
      fail(message, "the plans differ: " + message.here.text() + " here, " + message.there.text() +
                        " there");
    if (message.kind == Message::Kind::Receive)
      startPieces(message);
  }

  PeerError error(const Message &message, std::string_view what) const {
    return {link->rank, message.peer, hop, channel, what};
  }

  [[noreturn]] void fail(const Message &message, std::string_view what) {
    PeerError made = error(message, what);
    link->fail(link->rank, made.what());
    throw made;
  }

  bool isReceive(const Started &which) const {
    return which.part == Part::TheirHeader ||
           (which.part == Part::Data && messages[which.message].kind == Message::Kind::Receive);
  }

  /// Receives that nobody has sent to are cancelled; the rest may end by itself.
  void withdraw() noexcept {
    for (size_t i = 0; i < requests.size(); ++i)
      if (requests[i] != MPI_REQUEST_NULL && isReceive(started[i]))
        MPI_Cancel(&requests[i]);
    Clock::time_point end = link->failed() ? link->withdrawnBy : Clock::now() + link->withdrawal();
    for (Pause pause; underWay() && Clock::now() < end; pause()) {
      int count = 0;
      test(count);
    }
    if (!underWay())
      return;
    // Before the memory is used for anything else, all who could still read it know.
    try {
      link->fail(link->rank, error(late(), "given up").what());
    } catch (...) {
      link->fail(link->rank, {});
    }
    [[maybe_unused]] std::vector<Message> *kept =
        held.release(); // MPI may write their headers until the process ends
  }

  std::shared_ptr<MpiLink> link;
  int hop;
  Channel channel;
  int tag;
  std::unique_ptr<std::vector<Message>> held = std::make_unique<std::vector<Message>>();
  std::vector<Message> &messages = *held;
  std::vector<MPI_Request> requests;
  std::vector<Started> started; ///< by request
  std::vector<int> indices;
  std::vector<MPI_Status> statuses;
};

} // namespace

MpiTransport::MpiTransport(const MpiSession &session, MPI_Comm communicator,
                           const MpiOptions &options) {
  constexpr int64_t longestPiece = int64_t(1) << 30;
  if (options.deadline.count() <= 0)
    throw InputError("deadline", std::to_string(options.deadline.count()) + " ms", "above 0");
  if (options.pieceBytes < 1 || options.pieceBytes > longestPiece)
    throw InputError("piece bytes", std::to_string(options.pieceBytes), "1 to 2^30");
  link = std::make_shared<MpiLink>(communicator, options, session.brokenFlag);
}

MpiTransport::~MpiTransport() = default;

int MpiTransport::rank() const { return link->rank; }
int MpiTransport::world() const { return link->world; }

std::unique_ptr<Transfer> MpiTransport::post(const Exchange &exchange) {
  if (!exchange.empty() && (link->failed() || link->hearOfFailure()))
    throw PeerError(link->rank,
                    exchange.sends.empty() ? exchange.receives[0].peer : exchange.sends[0].peer,
                    exchange.hop, exchange.channel,
                    "this MPI transport is unusable since " + link->failureText());
  auto transfer = std::make_unique<MpiTransfer>(link, exchange);
  transfer->post();
  return transfer;
}

void MpiTransport::abort(std::string_view reason) noexcept { link->fail(link->rank, reason); }

int64_t MpiTransport::sentBytes() const { return link->sent; }
int64_t MpiTransport::receivedBytes() const { return link->received; }

} // namespace ringc
