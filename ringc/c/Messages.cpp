#include "ringc/c/Messages.h"

#include "ringc/c/Structs.h"

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringc::c {

namespace {

class MessagesCarrier final : public Carrier {
public:
  explicit MessagesCarrier(const ringc_messages &given) : messages(given) {}
  ~MessagesCarrier() override {
    if (messages.release)
      messages.release(messages.user);
  }

  Token post(MessageTag tag, std::span<const SendPart> sends,
             std::span<const ReceivePart> receives) override {
    std::vector<ringc_send> out;
    std::vector<ringc_receive> in;
    for (const SendPart &part : sends)
      out.push_back({part.peer, part.bytes.data(), part.bytes.size()});
    for (const ReceivePart &part : receives)
      in.push_back({part.peer, part.bytes.data(), part.bytes.size()});
    Token token = 0;
    checked("post", [&](char *error, size_t bytes) {
      return messages.post(messages.user, tag == MessageTag::Header ? 0 : 1, out.data(), out.size(),
                           in.data(), in.size(), &token, error, bytes);
    });
    return token;
  }

  void wait(Token token) override {
    checked("wait", [&](char *error, size_t bytes) {
      return messages.wait(messages.user, token, error, bytes);
    });
  }

  bool cancel(Token token) noexcept override { return messages.cancel(messages.user, token) == 0; }

  void abort(std::string_view reason) noexcept override try {
    if (messages.abort)
      messages.abort(messages.user, std::string(reason).c_str());
  } catch (...) { // out of memory
    messages.abort(messages.user, "");
  }

private:
  template <class Function> void checked(const char *name, Function &&function) {
    std::array<char, 1024> error{};
    int code = function(error.data(), error.size());
    if (code == 0)
      return;
    error.back() = 0;
    throw std::runtime_error(std::string("the caller's ") + name + " gave " + std::to_string(code) +
                             (error[0] ? ": " : "") + error.data());
  }

  ringc_messages messages;
};

} // namespace

std::unique_ptr<Carrier> carrierOf(const ringc_messages *messages) {
  auto given = readStruct("messages", messages);
  if (!given.post || !given.wait || !given.cancel)
    throw InputError("messages", "NULL", "functions post, wait and cancel");
  return std::make_unique<MessagesCarrier>(given);
}

} // namespace ringc::c
