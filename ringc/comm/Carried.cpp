#include "ringc/comm/Carried.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringc {

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

enum class Direction : uint8_t { Send, Receive };

/// One end of a message.
struct Message {
  Direction direction;
  int peer;
  std::byte *bytes; ///< the caller's; not written by a send
  Header here;
};

/// All memory that a carrier may touch for one exchange.
struct Room {
  std::vector<Header> here, there;
  std::vector<std::vector<std::byte>> data;
};

} // namespace

/// What a transport and its transfers share.
struct CarriedLink {
  CarriedLink(std::unique_ptr<Carrier> by, int ofRank, int ranks)
      : carrier(std::move(by)), rank(ofRank), world(ranks) {}

  class CarriedTransfer;

  bool failed() const { return failure.has_value(); }

  /// The first failure counts.
  void fail(std::string_view reason) noexcept {
    if (failed())
      return;
    try {
      failure.emplace(reason);
    } catch (...) { // out of memory
      failure.emplace();
    }
    carrier->abort(reason);
  }

  std::unique_ptr<Carrier> carrier;
  const int rank, world;
  int64_t sent = 0, received = 0;
  std::list<CarriedTransfer *> underWay; ///< in the order in which they were posted
  std::optional<std::string> failure;
};

class CarriedLink::CarriedTransfer final : public Transfer {
public:
  CarriedTransfer(std::shared_ptr<CarriedLink> ownLink, const Exchange &given)
      : link(std::move(ownLink)), hop(given.hop), channel(given.channel) {
    auto add = [&](Direction direction, int peer, const std::byte *bytes, size_t count) {
      messages.push_back({direction, peer, const_cast<std::byte *>(bytes),
                          Header{hop, int64_t(channel), int64_t(count)}});
    };
    for (const ReceivePart &part : given.receives)
      add(Direction::Receive, part.peer, part.bytes.data(), part.bytes.size());
    for (const SendPart &part : given.sends)
      add(Direction::Send, part.peer, part.bytes.data(), part.bytes.size());
  }

  /// Its headers, both ways.
  void post() {
    if (messages.empty())
      return;
    room = std::make_unique<Room>();
    room->there.resize(messages.size());
    for (const Message &message : messages)
      room->here.push_back(message.here);
    std::vector<SendPart> sends;
    std::vector<ReceivePart> receives;
    // Between two ranks those of messages one way come before those of the other on both ends.
    auto addAll = [&](Direction direction, bool sending) {
      for (size_t i = 0; i < messages.size(); ++i) {
        if (messages[i].direction != direction)
          continue;
        if (sending)
          sends.push_back({messages[i].peer, std::as_bytes(std::span(&room->here[i], 1))});
        else
          receives.push_back(
              {messages[i].peer, std::as_writable_bytes(std::span(&room->there[i], 1))});
      }
    };
    addAll(Direction::Send, true);
    addAll(Direction::Receive, true);
    addAll(Direction::Receive, false);
    addAll(Direction::Send, false);
    start(sends, receives, Stage::Headers);
    place = link->underWay.insert(link->underWay.end(), this);
  }

  ~CarriedTransfer() override {
    if (!isOver())
      withdraw();
  }

  void wait() override {
    if (isOver())
      return;
    for (CarriedTransfer *each : std::vector(link->underWay.begin(), link->underWay.end())) {
      each->postData();
      if (each == this)
        break;
    }
    finish();
    for (size_t i = 0; i < messages.size(); ++i) {
      const Message &message = messages[i];
      if (message.direction == Direction::Receive && message.here.bytes > 0)
        std::memcpy(message.bytes, room->data[i].data(), room->data[i].size());
      (message.direction == Direction::Send ? link->sent : link->received) += message.here.bytes;
    }
    end();
  }

private:
  enum class Stage : uint8_t { Headers, Data };

  bool isOver() const { return !room; }

  void end() {
    if (place)
      link->underWay.erase(*place);
    place.reset();
    room.reset();
  }

  /// Once what both ends take the messages for is known, and the same.
  void postData() {
    if (stage == Stage::Data)
      return;
    finish();
    for (size_t i = 0; i < messages.size(); ++i)
      if (room->there[i] != messages[i].here)
        fail(messages[i].peer, "the plans differ: " + messages[i].here.text() + " here, " +
                                   room->there[i].text() + " there");
    std::vector<SendPart> sends;
    std::vector<ReceivePart> receives;
    for (const Message &message : messages) {
      std::vector<std::byte> &data = room->data.emplace_back(size_t(message.here.bytes));
      if (data.empty())
        continue;
      if (message.direction == Direction::Send) {
        std::memcpy(data.data(), message.bytes, data.size());
        sends.push_back({message.peer, data});
      } else {
        receives.push_back({message.peer, data});
      }
    }
    start(sends, receives, Stage::Data);
  }

  void start(std::span<const SendPart> sends, std::span<const ReceivePart> receives, Stage next) {
    stage = next;
    if (!sends.empty() || !receives.empty())
      token = carried([&] {
        return link->carrier->post(next == Stage::Data ? MessageTag::Data : MessageTag::Header,
                                   sends, receives);
      });
  }

  void finish() {
    if (!token)
      return checkLink();
    carried([&] { link->carrier->wait(*token); });
    token.reset();
  }

  template <typename Body> std::invoke_result_t<Body> carried(Body &&body) {
    checkLink();
    try {
      return body();
    } catch (const std::exception &error) {
      fail(messages.front().peer, error.what());
    }
  }

  void checkLink() const {
    if (link->failed())
      throw PeerError(link->rank, messages.front().peer, hop, channel,
                      "this transport is unusable since: " + *link->failure);
  }

  [[noreturn]] void fail(int peer, std::string_view what) {
    PeerError made(link->rank, peer, hop, channel, what);
    link->fail(made.what());
    throw made;
  }

  /// Who still counts on it learns so; memory that may be touched yet is kept.
  void withdraw() noexcept {
    bool free = !token || link->carrier->cancel(*token);
    link->fail("an exchange was given up");
    if (!free) [[maybe_unused]]
      Room *kept = room.release();
    end();
  }

  std::shared_ptr<CarriedLink> link;
  int hop;
  Channel channel;
  std::vector<Message> messages;
  std::unique_ptr<Room> room; ///< until it is over
  Stage stage = Stage::Headers;
  std::optional<Carrier::Token> token; ///< of what is under way
  std::optional<std::list<CarriedTransfer *>::iterator> place;
};

CarriedTransport::CarriedTransport(std::unique_ptr<Carrier> carrier, int rank, int world) {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (rank < 0 || rank >= world)
    throw InputError("rank", std::to_string(rank), "0 to " + std::to_string(world - 1));
  link = std::make_shared<CarriedLink>(std::move(carrier), rank, world);
}

CarriedTransport::~CarriedTransport() = default;

int CarriedTransport::rank() const { return link->rank; }
int CarriedTransport::world() const { return link->world; }

std::unique_ptr<Transfer> CarriedTransport::post(const Exchange &exchange) {
  auto transfer = std::make_unique<CarriedLink::CarriedTransfer>(link, exchange);
  transfer->post();
  return transfer;
}

void CarriedTransport::abort(std::string_view reason) noexcept { link->fail(reason); }

int64_t CarriedTransport::sentBytes() const { return link->sent; }
int64_t CarriedTransport::receivedBytes() const { return link->received; }

} // namespace ringc
