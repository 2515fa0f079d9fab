#pragma once

#include "ringc/c/Context.h"
#include "ringc/c/OneUser.h"
#include "ringc/comm/StreamTransport.h"
#include "ringc/ring/Agreement.h"

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace ringc::c {

class OnGroup;

/// One rank of a world, for the objects on it: lives until the last of them is gone.
class Group {
public:
  /// Whether `abort` may be called while another thread is using the transport.
  enum class Aborts : uint8_t { OnItsThread, OnAnyThread };

  /// A rank alone.
  explicit Group(std::shared_ptr<Context> of) : context(std::move(of)) {}
  /// `keptWith` is what the transport needs, such as a session.
  Group(std::shared_ptr<Context> of, std::shared_ptr<Transport> transport, Aborts aborts,
        std::shared_ptr<void> keptWith = {});
  /// Of devices.
  Group(std::shared_ptr<Context> of, std::shared_ptr<RemoteTransport> transport);

  /// What a function's group and context arguments mean. Throws InputError where the group is of
  /// another context.
  static std::shared_ptr<Group> of(const ringc_context &context, const ringc_group *group);

  const std::shared_ptr<Context> context;

  int rank() const { return ownRank; }
  int world() const { return ranks; }
  /// Null for a rank alone, and for one of the other kind.
  Transport *host() const { return remote ? nullptr : transport.get(); }
  RemoteTransport *device() const { return remote; }

  void abort(std::string_view reason);
  /// Throws BusyError where a call is under way.
  void close();

  /// While an object is made on it.
  OneUser::Hold hold() { return OneUser::Hold(user); }

private:
  friend class OnGroup;

  void add(OnGroup &object);
  void remove(OnGroup &object);

  std::shared_ptr<void> kept;
  std::shared_ptr<Transport> transport; ///< null: alone, or closed
  RemoteTransport *remote = nullptr;    ///< `transport`, of devices
  Aborts aborts = Aborts::OnAnyThread;
  int ownRank = 0, ranks = 1;
  OneUser user{"group"};
  std::mutex mutex; ///< of what follows
  std::set<OnGroup *> objects;
  bool closed = false;
};

/// An object that a group may outlive, or end.
class OnGroup {
public:
  OnGroup(std::shared_ptr<Group> of, const char *handle) : group(std::move(of)), user(handle) {
    group->add(*this);
  }
  virtual ~OnGroup() { leave(); }
  OnGroup(const OnGroup &) = delete;
  OnGroup &operator=(const OnGroup &) = delete;

  const std::shared_ptr<Group> group;

protected:
  /// Drops what the group's transport was given to.
  virtual void end() noexcept = 0;

  /// In a destructor, before what `end` needs is gone.
  void leave() { group->remove(*this); }

  /// The only call that uses the object, and its transport. Where the body throws, the group's
  /// other ranks are told.
  template <class Body> auto alone(Body &&body) {
    OneUser::Hold own(user);
    std::optional<OneUser::Hold> shared;
    if (group->world() > 1)
      shared.emplace(group->user);
    requireOpen();
    if (group->world() > 1)
      return guarded(*group->transport, std::forward<Body>(body));
    return std::forward<Body>(body)();
  }

private:
  friend class Group;
  void requireOpen() const;

  OneUser user;
};

} // namespace ringc::c

struct ringc_group {
  std::shared_ptr<ringc::c::Group> self;
};
