#pragma once

#include "ringc/attention/Context.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace ringc::cli {

/// A bar on stderr for as long as it lives, drawn where stderr is a terminal and two seconds have
/// passed, and wiped in the end.
class ProgressBar {
public:
  enum class Shown { Yes, Never };

  ProgressBar(std::shared_ptr<const LaunchProgress> progress, Shown shown);
  ~ProgressBar();
  ProgressBar(const ProgressBar &) = delete;
  ProgressBar &operator=(const ProgressBar &) = delete;

private:
  void draw();

  std::shared_ptr<const LaunchProgress> progress;
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  std::thread drawer;
};

} // namespace ringc::cli
