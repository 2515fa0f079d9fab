#include "tools/ringc/Progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

namespace ringc::cli {

ProgressBar::ProgressBar(std::shared_ptr<const LaunchProgress> of, Shown shown)
    : progress(std::move(of)) {
  if (shown == Shown::Yes && isatty(STDERR_FILENO))
    drawer = std::thread([this] { draw(); });
}

ProgressBar::~ProgressBar() {
  if (!drawer.joinable())
    return;
  {
    std::lock_guard lock(mutex);
    over = true;
  }
  changed.notify_all();
  drawer.join();
}

void ProgressBar::draw() {
  using namespace std::chrono_literals;
  constexpr int width = 40;
  std::unique_lock lock(mutex);
  if (changed.wait_for(lock, 2s, [&] { return over; }))
    return;
  do {
    int64_t planned = std::max<int64_t>(progress->planned, 1);
    double part = std::min(1.0, double(progress->done) / double(planned));
    std::string bar(size_t(part * width), '#');
    bar.resize(width, '.');
    std::fprintf(stderr, "\r[%s] %3d %%", bar.c_str(), int(100 * part));
    std::fflush(stderr);
  } while (!changed.wait_for(lock, 200ms, [&] { return over; }));
  std::fprintf(stderr, "\r%*s\r", width + 8, "");
}

} // namespace ringc::cli
