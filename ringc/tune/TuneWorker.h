#pragma once

#include "ringc/tune/TuneRunner.h"

#include <chrono>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace ringc {

/// A process that runs candidates, made by fork(): where one crashes or does not come back in time,
/// it is ended and the next job gets a new one. The parent keeps off what does not survive a fork:
/// a CUDA driver that is initialised, MPI.
class TuneWorker {
public:
  /// What the process does: makes a runner, and hands it to its argument.
  using Body = std::function<void(const std::function<void(TuneRunner &)> &serve)>;

  struct Job {
    std::vector<Pass> passes; ///< a turn is one run of each, one after another
    TuneSetup setup, base;    ///< what is tried, and what it takes turns with
    bool check = true;
    uint64_t seed = 1;                ///< of the check's input
    int turns = 1;                    ///< runs of either, one of each that does not count before
    std::vector<TuneSetup> next = {}; ///< which will be tried soon: compiled meanwhile
    bool peak = false;                ///< of the machine, and nothing else
  };

  enum class Outcome {
    Done,
    Refused,  ///< does not compile, or not run: `what` says why
    TimedOut, ///< was ended
    Crashed,  ///< `what` says of what
  };
  struct Reply {
    Outcome outcome = Outcome::Done;
    std::string what;
    double error = 0;         ///< of the check, over what it may be
    std::vector<double> ms;   ///< of `setup`; none where the check failed
    std::vector<double> base; ///< of `base`, in turns with it
    MachinePeak peak = {};    ///< where it was asked for
  };

  /// Processes elsewhere that follow this one, and wait for its last word.
  struct Others {
    std::chrono::seconds wait = {}; ///< how long they may take to come; 0: there are none
    bool comeBack = true;           ///< after a crash
  };

  TuneWorker(Body ofProcess, Others ofOthers);
  explicit TuneWorker(Body ofProcess) : TuneWorker(std::move(ofProcess), Others()) {}
  /// Ends the process, which has a few seconds for what it has to say.
  ~TuneWorker();
  TuneWorker(const TuneWorker &) = delete;
  TuneWorker &operator=(const TuneWorker &) = delete;

  /// Whether a process has ended without which there is nothing more to run.
  bool isOver() const { return over; }

  /// `deadline` from now. Throws std::system_error where no process can be had.
  Reply run(const Job &job, std::chrono::steady_clock::duration deadline);

  /// As the process measures it; where that fails, `problem` says how.
  MachinePeak peak();

private:
  void start();
  void end();
  void leave();
  std::string obituary();

  Body body;
  Others others;
  bool over = false;
  pid_t process = -1;
  int jobs = -1, replies = -1; ///< ends of pipes
  std::string unread;
};

} // namespace ringc
