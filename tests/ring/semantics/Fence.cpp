#include "tests/ring/semantics/Fence.h"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>

namespace ringc::test {

namespace {

constexpr int maxFences = 8, maxKernels = 4;
std::array<Fence *, maxFences> fences{};

/// A kernel's entry takes no context, so there is one function for each kernel of each fence.
template <int number>
void enterAt(const uint64_t *slots, int64_t p0, int64_t p1, int64_t head, int64_t batch,
             void *scratch) {
  Fence::enter(number / maxKernels, number % maxKernels, slots, p0, p1, head, batch, scratch);
}

template <int... numbers>
constexpr std::array<HostKernel, sizeof...(numbers)>
makeEntries(std::integer_sequence<int, numbers...>) {
  return {enterAt<numbers>...};
}
/// Memory that a rank's kernels share among themselves: what attention_delta makes, and the fused
/// backward's sum of dQ.
bool isOwnScratch(const CompiledKernel &kernel, const std::string &view) {
  return view == "delta" || view == "base" || view == "shift" ||
         (kernel.name == "attention_backward" && view == "dq") ||
         (kernel.name == "attention_backward_round" && view == "sum");
}

constexpr auto entries = makeEntries(std::make_integer_sequence<int, maxFences * maxKernels>());

} // namespace

Fence::Fence(std::shared_ptr<KernelSource> source) : behind(std::move(source)) {
  auto free = std::ranges::find(fences, nullptr);
  if (free == fences.end())
    throw std::logic_error("more fences than there are entries");
  *free = this;
  number = int(free - fences.begin());
}

Fence::~Fence() { fences[size_t(number)] = nullptr; }

void Fence::open(const void *data, size_t bytes) {
  std::lock_guard lock(mutex);
  auto *begin = static_cast<const std::byte *>(data);
  regions.push_back({begin, begin + bytes});
}

void Fence::open(const Exchange &exchange) {
  for (const ReceivePart &part : exchange.receives)
    open(part.bytes.data(), part.bytes.size());
  for (const SendPart &part : exchange.sends)
    open(part.bytes.data(), part.bytes.size());
}

int64_t Fence::outside() const {
  return std::ranges::count_if(views, [&](const std::byte *view) {
    return std::ranges::none_of(
        regions, [&](const auto &region) { return view >= region.first && view <= region.second; });
  });
}

SourceSet Fence::sources(std::vector<SourceText> user) { return behind->sources(std::move(user)); }

HostCode Fence::get(const Spec &spec, const SourceSet &from, const KernelWork &work) {
  HostCode code = behind->get(spec, from, work);
  std::lock_guard lock(mutex);
  auto known = std::ranges::find(codes, code.kernel, &HostCode::kernel);
  if (known == codes.end()) {
    if (codes.size() == maxKernels)
      throw std::logic_error("more kernels than there are entries");
    codes.reserve(maxKernels);
    known = codes.insert(codes.end(), code);
  }
  code.entry = entries[size_t(number * maxKernels + int(known - codes.begin()))];
  return code;
}

void Fence::enter(int fence, int kernel, const uint64_t *slots, int64_t p0, int64_t p1,
                  int64_t head, int64_t batch, void *scratch) {
  Fence &self = *fences[size_t(fence)];
  const HostCode &code = self.codes[size_t(kernel)];
  ++self.programs;
  {
    std::lock_guard lock(self.mutex);
    for (const KernelArgument &argument : code.kernel->arguments)
      if (argument.kind == KernelArgument::Kind::View && !isOwnScratch(*code.kernel, argument.name))
        self.views.insert(std::bit_cast<const std::byte *>(slots[argument.slot]));
  }
  if (self.aroundProgram)
    self.aroundProgram();
  code.entry(slots, p0, p1, head, batch, scratch);
  if (self.aroundProgram)
    self.aroundProgram();
}

} // namespace ringc::test
