// The library itself: see NcclFake.h.
#include "tests/unit/runtime/NcclFake.h"

#include "tests/unit/runtime/CudaFake.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

using namespace ringc;

namespace {

struct Message {
  bool sends = false;
  int peer = 0;
  void *bytes = nullptr;
  size_t count = 0;
  bool met = false;
};

struct World {
  int size = 0;
  std::set<int> joined;
  std::map<std::pair<int, int>, std::deque<Message *>> sends, receives; ///< from, to
};

struct Group {
  std::vector<Message> messages;
  bool arrived = false;
};

NcclFake fake;
std::recursive_mutex mutex;
std::map<std::string, std::shared_ptr<World>> worlds; ///< by id
thread_local std::vector<std::pair<NcclComm, std::pair<CudaStreamHandle, Message>>> grouped;

} // namespace

struct ncclComm {
  std::shared_ptr<World> world;
  int rank = 0;
  bool blocking = true;
  std::atomic<bool> aborted = false;
  std::atomic<int> inProgress = 0; ///< looks until the latest call is over
};

namespace {

std::map<NcclComm, std::shared_ptr<ncclComm>> communicators; ///< queued work outlives them

void record(const std::string &call) {
  std::lock_guard lock(mutex);
  fake.calls.push_back(call);
}

void waitForGraphs() {
  while (std::atomic_ref(fake.graphs) != 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Other sizes never meet: the group hangs, as NCCL's would.
void meet(ncclComm &comm, Group &group) {
  World &world = *comm.world;
  if (!group.arrived)
    for (Message &message : group.messages)
      (message.sends ? world.sends[{comm.rank, message.peer}]
                     : world.receives[{message.peer, comm.rank}])
          .push_back(&message);
  group.arrived = true;
  for (auto &[lane, sends] : world.sends) {
    std::deque<Message *> &receives = world.receives[lane];
    while (!sends.empty() && !receives.empty() && sends.front()->count == receives.front()->count) {
      std::memcpy(receives.front()->bytes, sends.front()->bytes, sends.front()->count);
      sends.front()->met = receives.front()->met = true;
      sends.pop_front();
      receives.pop_front();
    }
  }
}

bool isOver(ncclComm &comm, Group &group) {
  std::lock_guard lock(mutex);
  if (comm.aborted) {
    for (auto *lanes : {&comm.world->sends, &comm.world->receives})
      for (auto &[lane, waiting] : *lanes)
        std::erase_if(waiting, [&](const Message *message) {
          return std::ranges::any_of(group.messages,
                                     [&](const Message &own) { return &own == message; });
        });
    return true;
  }
  meet(comm, group);
  return std::ranges::all_of(group.messages, &Message::met);
}

NcclResult begun(ncclComm &comm) {
  if (comm.blocking)
    return NcclResult::Success;
  comm.inProgress = 2;
  return NcclResult::InProgress;
}

} // namespace

extern "C" {

NcclFake *ringcNcclFake() { return &fake; }

NcclResult ncclGetVersion(int *version) {
  *version = 22809;
  return NcclResult::Success;
}
const char *ncclGetErrorString(NcclResult) { return "something went wrong"; }
const char *ncclGetLastError(NcclComm) { return ""; }
NcclResult ncclGetUniqueId(NcclUniqueId *id) {
  static std::atomic<int> number = 0;
  *id = {};
  std::string text = "id" + std::to_string(++number);
  std::copy(text.begin(), text.end(), id->bytes.begin());
  return NcclResult::Success;
}
NcclResult ncclCommInitRankConfig(NcclComm *comm, int count, NcclUniqueId id, int rank,
                                  NcclConfig *config) {
  std::lock_guard lock(mutex);
  std::shared_ptr<World> &world = worlds[id.bytes.data()];
  if (!world) {
    world = std::make_shared<World>();
    world->size = count;
  }
  world->joined.insert(rank);
  auto made = std::make_shared<ncclComm>();
  made->world = world;
  made->rank = rank;
  made->blocking = !config || config->blocking != 0;
  communicators[made.get()] = made;
  ++fake.liveCommunicators;
  *comm = made.get();
  return begun(*made);
}
NcclResult ncclCommInitRank(NcclComm *comm, int count, NcclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, count, id, rank, nullptr);
}
NcclResult ncclCommCount(NcclComm comm, int *count) {
  *count = comm->world->size;
  return NcclResult::Success;
}
NcclResult ncclCommUserRank(NcclComm comm, int *rank) {
  *rank = comm->rank;
  return NcclResult::Success;
}
NcclResult ncclCommCuDevice(NcclComm comm, int *device) {
  *device = comm->rank;
  return NcclResult::Success;
}
NcclResult ncclCommFinalize(NcclComm comm) {
  record("ncclCommFinalize");
  return begun(*comm);
}
NcclResult ncclCommDestroy(NcclComm comm) {
  record("ncclCommDestroy");
  waitForGraphs();
  std::lock_guard lock(mutex);
  communicators.erase(comm);
  --fake.liveCommunicators;
  return NcclResult::Success;
}
NcclResult ncclCommAbort(NcclComm comm) {
  record("ncclCommAbort");
  comm->aborted = true;
  waitForGraphs();
  std::lock_guard lock(mutex);
  --fake.liveCommunicators;
  return NcclResult::Success;
}
NcclResult ncclCommGetAsyncError(NcclComm comm, NcclResult *error) {
  std::lock_guard lock(mutex);
  if (comm->inProgress > 0)
    --comm->inProgress;
  bool waits = comm->inProgress > 0;
  *error = comm->rank == fake.failingRank                                 ? fake.failure
           : waits || int(comm->world->joined.size()) < comm->world->size ? NcclResult::InProgress
                                                                          : NcclResult::Success;
  return NcclResult::Success;
}
NcclResult ncclGroupStart() {
  grouped.clear();
  return NcclResult::Success;
}
NcclResult ncclGroupEnd() {
  if (grouped.empty())
    return NcclResult::Success;
  NcclComm comm = grouped.front().first;
  CudaStreamHandle stream = grouped.front().second.first;
  std::vector<Message> messages;
  for (auto &[of, message] : grouped)
    messages.push_back(message.second);
  grouped.clear();
  std::shared_ptr<ncclComm> owner;
  {
    std::lock_guard lock(mutex);
    owner = communicators.at(comm);
  }
  // Without the lock: work is looked at under the driver's, and takes this one.
  CudaFakeWork work{.begin = [owner, messages] {
    auto group = std::make_shared<Group>(Group{messages, false});
    return [owner, group] { return isOver(*owner, *group); };
  }};
  ringcCudaFakeEnqueue(stream, &work);
  return begun(*comm);
}
NcclResult ncclSend(const void *bytes, size_t count, NcclType, int peer, NcclComm comm,
                    CudaStreamHandle stream) {
  record("ncclSend " + std::to_string(count) + " to " + std::to_string(peer));
  grouped.push_back({comm, {stream, {true, peer, const_cast<void *>(bytes), count, false}}});
  return NcclResult::Success;
}
NcclResult ncclRecv(void *bytes, size_t count, NcclType, int peer, NcclComm comm,
                    CudaStreamHandle stream) {
  record("ncclRecv " + std::to_string(count) + " from " + std::to_string(peer));
  grouped.push_back({comm, {stream, {false, peer, bytes, count, false}}});
  return NcclResult::Success;
}

} // extern "C"
