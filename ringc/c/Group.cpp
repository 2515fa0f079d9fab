#include "ringc/c/Group.h"

#include <string>
#include <vector>

namespace ringc::c {

Group::Group(std::shared_ptr<Context> of, std::shared_ptr<Transport> made, Aborts how,
             std::shared_ptr<void> keptWith)
    : context(std::move(of)), kept(std::move(keptWith)), transport(std::move(made)), aborts(how),
      ownRank(transport->rank()), ranks(transport->world()) {}

Group::Group(std::shared_ptr<Context> of, std::shared_ptr<RemoteTransport> made)
    : context(std::move(of)), transport(made), remote(made.get()), ownRank(made->rank()),
      ranks(made->world()) {}

std::shared_ptr<Group> Group::of(const ringc_context &context, const ringc_group *group) {
  if (!group)
    return std::make_shared<Group>(context.self);
  if (group->self->context != context.self)
    throw InputError("group", "of another context", "one that was made with this context");
  return group->self;
}

void Group::abort(std::string_view reason) {
  std::optional<OneUser::Hold> hold;
  if (aborts == Aborts::OnItsThread)
    hold.emplace(user);
  std::lock_guard lock(mutex);
  if (closed)
    throw ClosedError();
  if (transport)
    transport->abort(reason);
}

void Group::close() {
  OneUser::Hold hold(user);
  std::lock_guard lock(mutex);
  {
    std::vector<std::unique_ptr<OneUser::Hold>> all;
    for (OnGroup *object : objects)
      all.push_back(std::make_unique<OneUser::Hold>(object->user));
    closed = true;
    for (OnGroup *object : objects)
      object->end();
  }
  transport.reset();
  remote = nullptr;
  kept.reset();
}

void Group::add(OnGroup &object) {
  std::lock_guard lock(mutex);
  if (closed)
    throw ClosedError();
  objects.insert(&object);
}

void Group::remove(OnGroup &object) {
  std::lock_guard lock(mutex);
  objects.erase(&object);
}

void OnGroup::requireOpen() const {
  std::lock_guard lock(group->mutex);
  if (group->closed)
    throw ClosedError();
}

} // namespace ringc::c
