#include "ringc/Env.h"
#include "ringc/c/Group.h"
#include "ringc/c/Messages.h"
#include "ringc/c/MpiGroup.h"
#include "ringc/comm/InProcess.h"
#include "ringc/comm/InProcessDevices.h"
#include "ringc/comm/Nccl.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

namespace ringc::c {

namespace {

/// Throws InputError.
std::optional<std::chrono::milliseconds> deadlineOf(int64_t milliseconds) {
  if (milliseconds < 0)
    throw InputError("deadline_ms", std::to_string(milliseconds), "0, or above");
  return milliseconds == 0 ? std::nullopt : std::optional(std::chrono::milliseconds(milliseconds));
}

void checkRank(int rank, int world) {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (rank < 0 || rank >= world)
    throw InputError("rank", std::to_string(rank), "0 to " + std::to_string(world - 1));
}

NcclOptions ncclOptionsOf(int64_t deadline) {
  NcclOptions options;
  options.deadline = deadlineOf(deadline).value_or(options.deadline);
  return options;
}

ringc_group *handleOf(std::shared_ptr<Group> group) { return new ringc_group{std::move(group)}; }

using Groups = std::vector<std::unique_ptr<ringc_group>>;

Groups threadsOfHost(const std::shared_ptr<Context> &context, int world, int64_t deadline) {
  InProcessOptions options;
  options.deadline = deadlineOf(deadline).value_or(options.deadline);
  auto ranks = std::make_shared<InProcessWorld>(world, options);
  Groups groups;
  for (int rank = 0; rank < world; ++rank)
    groups.push_back(std::make_unique<ringc_group>(std::make_shared<Group>(
        context, std::shared_ptr<Transport>(ranks, &ranks->at(rank)), Group::Aborts::OnAnyThread)));
  return groups;
}

/// The context of each rank.
Groups threadsOfDevices(const std::vector<std::shared_ptr<Context>> &contexts, int64_t deadline) {
  InProcessDevicesOptions options{.callers = InProcessDevicesOptions::Callers::EachRank};
  options.deadline = deadlineOf(deadline).value_or(options.deadline);
  std::vector<std::shared_ptr<const CudaDevice>> devices;
  for (const std::shared_ptr<Context> &context : contexts)
    devices.push_back(context->ofDevice("ringc_group_devices").device);
  auto ranks = std::make_shared<InProcessDevices>(std::move(devices), options);
  Groups groups;
  for (size_t rank = 0; rank < contexts.size(); ++rank)
    groups.push_back(std::make_unique<ringc_group>(std::make_shared<Group>(
        contexts[rank], std::shared_ptr<RemoteTransport>(ranks, &ranks->at(int(rank))))));
  return groups;
}

void give(Groups made, ringc_group **groups) {
  std::ranges::transform(made, groups, [](auto &group) { return group.release(); });
}

} // namespace

} // namespace ringc::c

using namespace ringc::c;
using ringc::Env;
using ringc::NcclLibrary;
using ringc::NcclTransport;

ringc_status ringc_group_alone(ringc_context *context, ringc_group **group) {
  return call([&] {
    required("group", group);
    *group = handleOf(std::make_shared<Group>(required("context", context)->self));
  });
}

ringc_status ringc_group_threads(ringc_context *context, int world, int64_t deadline_ms,
                                 ringc_group **groups) {
  return call([&] {
    required("groups", groups);
    const std::shared_ptr<Context> &of = required("context", context)->self;
    checkRank(0, world);
    give(of->isDevice() ? threadsOfDevices(std::vector(size_t(world), of), deadline_ms)
                        : threadsOfHost(of, world, deadline_ms),
         groups);
  });
}

ringc_status ringc_group_devices(ringc_context *const *contexts, int world, int64_t deadline_ms,
                                 ringc_group **groups) {
  return call([&] {
    required("groups", groups);
    required("contexts", contexts);
    checkRank(0, world);
    std::vector<std::shared_ptr<Context>> all;
    for (int rank = 0; rank < world; ++rank)
      all.push_back(required("context of rank " + std::to_string(rank), contexts[rank])->self);
    give(threadsOfDevices(all, deadline_ms), groups);
  });
}

ringc_status ringc_nccl_unique_id(ringc_context *context, uint8_t id[128]) {
  return call([&] {
    required("id", id);
    (void)required("context", context)->self->ofDevice("ringc_nccl_unique_id");
    auto library = NcclLibrary::open(Env::read().ncclLibrary);
    ringc::NcclUniqueId made{};
    library->check(library->functions().getUniqueId(&made), "ncclGetUniqueId");
    std::memcpy(id, made.bytes.data(), made.bytes.size());
  });
}

ringc_status ringc_group_nccl(ringc_context *context, int rank, int world, const uint8_t id[128],
                              int64_t deadline_ms, ringc_group **group) {
  return call([&] {
    required("group", group);
    required("id", id);
    const std::shared_ptr<Context> &of = required("context", context)->self;
    const auto &device = of->ofDevice("ringc_group_nccl").device;
    checkRank(rank, world);
    ringc::NcclUniqueId read{};
    std::memcpy(read.bytes.data(), id, read.bytes.size());
    auto transport =
        std::make_shared<NcclTransport>(NcclLibrary::open(Env::read().ncclLibrary), device, rank,
                                        world, read, ncclOptionsOf(deadline_ms));
    *group = handleOf(std::make_shared<Group>(of, std::move(transport)));
  });
}

ringc_status ringc_group_nccl_comm(ringc_context *context, void *nccl_comm, int64_t deadline_ms,
                                   ringc_group **group) {
  return call([&] {
    required("group", group);
    required("nccl_comm", nccl_comm);
    const std::shared_ptr<Context> &of = required("context", context)->self;
    const auto &device = of->ofDevice("ringc_group_nccl_comm").device;
    auto transport = std::make_shared<NcclTransport>(
        NcclLibrary::open(Env::read().ncclLibrary), device, static_cast<ringc::NcclComm>(nccl_comm),
        ncclOptionsOf(deadline_ms));
    *group = handleOf(std::make_shared<Group>(of, std::move(transport)));
  });
}

ringc_status ringc_group_mpi(ringc_context *context, int64_t communicator, int64_t deadline_ms,
                             ringc_group **group) {
  return call([&] {
    required("group", group);
    const std::shared_ptr<Context> &of = required("context", context)->self;
    (void)of->ofHost("ringc_group_mpi");
    MpiRank rank = mpiRank(communicator, deadlineOf(deadline_ms));
    *group = handleOf(std::make_shared<Group>(of, std::move(rank.transport),
                                              Group::Aborts::OnItsThread, std::move(rank.session)));
  });
}

ringc_status ringc_group_messages(ringc_context *context, int rank, int world,
                                  const ringc_messages *messages, ringc_group **group) {
  return call([&] {
    required("group", group);
    const std::shared_ptr<Context> &of = required("context", context)->self;
    (void)of->ofHost("ringc_group_messages");
    checkRank(rank, world);
    auto transport = std::make_shared<ringc::CarriedTransport>(carrierOf(messages), rank, world);
    *group =
        handleOf(std::make_shared<Group>(of, std::move(transport), Group::Aborts::OnItsThread));
  });
}

int ringc_group_rank(const ringc_group *group) { return group ? group->self->rank() : 0; }
int ringc_group_world(const ringc_group *group) { return group ? group->self->world() : 1; }

ringc_status ringc_group_abort(ringc_group *group, const char *reason) {
  return call([&] { required("group", group)->self->abort(textOf(reason)); });
}

ringc_status ringc_group_close(ringc_group *group) {
  return call([&] { required("group", group)->self->close(); });
}

void ringc_group_destroy(ringc_group *group) {
  if (!group)
    return;
  (void)call([&] { group->self->close(); });
  delete group;
}
