#include "ringc/Tensor.h"
#include "ringc/ring/SequenceLayout.h"
#include "ringc/support/Error.h"

#include <cstdio>

int main() {
  ringc::HostTensor q(ringc::DType::F32, {1, 7, 2, 64});
  auto last = ringc::positions(ringc::SequenceLayout::striped(), 3, 4, 7);
  std::printf("%s, rank 3 begins at %d\n", ringc::describe(q).c_str(), int(last(0)));
  try {
    ringc::parseLayout("spiral");
  } catch (const ringc::InputError &error) {
    std::printf("%s\n", error.what());
    return last(0) == 3 ? 0 : 1;
  }
  return 1;
}
