#include "ringc/tune/TuneWorker.h"

#include "ringc/comm/Transport.h"
#include "ringc/support/Error.h"
#include "ringc/tune/TuneSetupJson.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <map>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace ringc {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

namespace {

/// A line at a time; nothing at the end.
class Lines {
public:
  explicit Lines(int descriptor) : from(descriptor) {}

  std::optional<std::string> next() {
    for (;;) {
      if (size_t end = unread.find('\n'); end != std::string::npos) {
        std::string line = unread.substr(0, end);
        unread.erase(0, end + 1);
        return line;
      }
      char part[4096];
      ssize_t got = read(from, part, sizeof part);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return std::nullopt;
      unread.append(part, size_t(got));
    }
  }

private:
  int from;
  std::string unread;
};

bool send(int to, const std::string &line) {
  std::string text = line + "\n";
  for (size_t sent = 0; sent < text.size();) {
    ssize_t now = write(to, text.data() + sent, text.size() - sent);
    if (now < 0 && errno == EINTR)
      continue;
    if (now <= 0)
      return false;
    sent += size_t(now);
  }
  return true;
}

/// Whatever bytes its strings have.
bool sendJson(int to, const json &what) {
  return send(to, what.dump(-1, ' ', false, json::error_handler_t::replace));
}

json jobJson(const TuneWorker::Job &job) {
  std::vector<json> next;
  for (const TuneSetup &each : job.next)
    next.push_back(toJson(each));
  std::vector<bool> backward;
  for (Pass pass : job.passes)
    backward.push_back(pass == Pass::Backward);
  return {{"backward", backward},
          {"setup", toJson(job.setup)},
          {"base", toJson(job.base)},
          {"check", job.check},
          {"seed", job.seed},
          {"turns", job.turns},
          {"next", next},
          {"peak", job.peak}};
}

json peakJson(const MachinePeak &peak) {
  return {{"flops", peak.flopsPerSecond},
          {"bytes", peak.bytesPerSecond},
          {"products", peak.products},
          {"memory", peak.memory},
          {"problem", peak.problem}};
}

MachinePeak peakOf(const json &text) {
  return {.flopsPerSecond = text["flops"],
          .bytesPerSecond = text["bytes"],
          .products = text["products"],
          .memory = text["memory"],
          .problem = text["problem"]};
}

/// Compilations side by side, ahead of what is asked for.
class Ahead {
public:
  explicit Ahead(TuneRunner &of) : runner(of) {}

  /// Returns when `setup` is compiled, and where compiling would disturb, the others are, too.
  /// Throws what its compilation has thrown.
  void compile(const TuneSetup &setup, const std::vector<TuneSetup> &next,
               const std::vector<Pass> &passes) {
    begin(setup, passes);
    for (const TuneSetup &each : next)
      begin(each, passes);
    std::string own = nameOf(setup, passes);
    std::shared_future<void> mine = running.at(own);
    if (runner.sharesProcessors())
      for (auto &[what, each] : running)
        each.wait();
    running.erase(own);
    mine.get();
  }

private:
  static std::string nameOf(const TuneSetup &setup, const std::vector<Pass> &passes) {
    std::string name = toJson(setup).dump();
    for (Pass pass : passes)
      name += std::to_string(int(pass));
    return name;
  }
  void begin(const TuneSetup &setup, const std::vector<Pass> &passes) {
    std::string name = nameOf(setup, passes);
    if (!running.contains(name))
      running.emplace(name, std::async(std::launch::async, [this, setup, passes] {
                              for (Pass pass : passes)
                                runner.compile(setup, pass);
                            }).share());
  }

  TuneRunner &runner;
  std::map<std::string, std::shared_future<void>> running; ///< by name
};

json answer(TuneRunner &runner, Ahead &ahead, const json &job) {
  if (job["peak"].get<bool>())
    return {{"peak", peakJson(runner.peak())}};
  std::vector<Pass> passes;
  for (bool backward : job["backward"])
    passes.push_back(backward ? Pass::Backward : Pass::Forward);
  TuneSetup setup = tuneSetupFromJson(job["setup"]), base = tuneSetupFromJson(job["base"]);
  std::vector<TuneSetup> next;
  for (const json &each : job["next"])
    next.push_back(tuneSetupFromJson(each));
  auto run = [&](const TuneSetup &with) {
    double ms = 0;
    for (Pass pass : passes)
      ms += runner.milliseconds(with, pass);
    return ms;
  };
  ahead.compile(setup, next, passes);
  int64_t spilled = 0, ofBase = 0;
  for (Pass pass : passes) {
    spilled += runner.spilledBytes(setup, pass);
    ofBase += setup == base ? 0 : runner.spilledBytes(base, pass);
  }
  if (setup != base && spilled > ofBase)
    return {{"refused", "spills " + std::to_string(spilled) + " bytes of a thread, the default " +
                            std::to_string(ofBase)}};
  double error = 0;
  if (job["check"].get<bool>())
    for (Pass pass : passes) {
      double own = runner.error(setup, pass, job["seed"]);
      error = own <= error ? error : own; // what is no number is the worst
    }
  std::vector<double> own, other;
  if (error <= 1) { // so is what is no number refused
    (void)run(base);
    (void)run(setup);
    for (int turn = 0; turn < job["turns"].get<int>(); ++turn) {
      bool first = turn % 2 == 0;
      double before = first ? run(base) : 0;
      own.push_back(run(setup));
      other.push_back(first ? before : run(base));
    }
  }
  return {{"error", error}, {"ms", own}, {"base", other}};
}

} // namespace

TuneWorker::TuneWorker(Body ofProcess, Others ofOthers)
    : body(std::move(ofProcess)), others(ofOthers) {}

TuneWorker::~TuneWorker() { leave(); }

void TuneWorker::start() {
  int down[2], up[2];
  if (pipe2(down, O_CLOEXEC) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe");
  if (pipe2(up, O_CLOEXEC) != 0) {
    int error = errno;
    close(down[0]);
    close(down[1]);
    throw std::system_error(error, std::generic_category(), "pipe");
  }
  pid_t parent = getpid();
  process = fork();
  if (process < 0) {
    int error = errno;
    for (int each : {down[0], down[1], up[0], up[1]})
      close(each);
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (process == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(0);
    (void)std::signal(SIGINT, SIG_IGN); // the parent ends this one
    (void)std::signal(SIGPIPE, SIG_DFL);
    close(down[1]);
    close(up[0]);
    int code = 0;
    try {
      body([&](TuneRunner &runner) {
        Lines lines(down[0]);
        Ahead ahead(runner);
        bool goesOn = true;
        while (goesOn) {
          std::optional<std::string> line = lines.next();
          if (!line)
            break;
          json reply;
          try {
            reply = answer(runner, ahead, json::parse(*line));
          } catch (const PeerError &failure) { // there is no working with the others any more
            reply = {{"crashed", failure.what()}};
            goesOn = false;
          } catch (const InputError &failure) {
            reply = {{"refused", failure.what()}};
          } catch (const std::exception &failure) { // of a device that may be unusable now
            reply = {{"refused", failure.what()}, {"last", true}};
            goesOn = false;
          }
          if (!sendJson(up[1], reply))
            break;
        }
        if (!goesOn)
          _exit(1);
      });
    } catch (const std::exception &error) {
      (void)sendJson(up[1], {{"failed", error.what()}});
      code = 1;
    }
    _exit(code);
  }
  close(down[0]);
  close(up[1]);
  jobs = down[1];
  replies = up[0];
  unread.clear();
}

void TuneWorker::end() {
  if (process < 0)
    return;
  close(jobs);
  close(replies);
  (void)kill(process, SIGKILL);
  while (waitpid(process, nullptr, 0) < 0 && errno == EINTR)
    ;
  process = -1;
  over = !others.comeBack;
}

void TuneWorker::leave() {
  if (process < 0 && others.wait.count() > 0 && !over) {
    try {
      start();
    } catch (const std::system_error &) {
      return; // the others see their deadline
    }
  }
  if (process < 0)
    return;
  close(jobs);
  jobs = open("/dev/null", O_WRONLY | O_CLOEXEC);
  // It may be in the middle of something, a compilation ahead say.
  Clock::time_point until = Clock::now() + std::chrono::seconds(2) + others.wait;
  while (Clock::now() < until) {
    if (waitpid(process, nullptr, WNOHANG) == process) {
      close(jobs);
      close(replies);
      process = -1;
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  end();
}

/// Of a process that has closed its end.
std::string TuneWorker::obituary() {
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR)
    ;
  close(jobs);
  close(replies);
  process = -1;
  over = !others.comeBack;
  if (WIFSIGNALED(status))
    return std::string("signal ") + std::to_string(WTERMSIG(status)) + " (" +
           strsignal(WTERMSIG(status)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

TuneWorker::Reply TuneWorker::run(const Job &job, Clock::duration deadline) {
  Clock::time_point until = Clock::now() + deadline;
  if (over)
    return {.outcome = Outcome::Crashed, .what = "the ranks are gone"};
  if (process < 0) {
    start();
    until += others.wait;
  }
  // A process that is gone is seen by reading.
  struct sigaction ignore{}, before{};
  ignore.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &ignore, &before);
  (void)send(jobs, jobJson(job).dump());
  (void)sigaction(SIGPIPE, &before, nullptr);
  for (;;) {
    if (size_t line = unread.find('\n'); line != std::string::npos) {
      json said = json::parse(unread.substr(0, line));
      unread.erase(0, line + 1);
      if (said.contains("failed")) {
        std::string what = said["failed"];
        (void)obituary();
        throw InputError(what);
      }
      if (said.contains("crashed")) {
        (void)obituary();
        return {.outcome = Outcome::Crashed, .what = said["crashed"]};
      }
      if (said.contains("last"))
        (void)obituary();
      if (said.contains("refused"))
        return {.outcome = Outcome::Refused, .what = said["refused"]};
      if (said.contains("peak"))
        return {.peak = peakOf(said["peak"])};
      // What is no number is null in JSON: it is not right.
      double error = said["error"].is_number() ? said["error"].get<double>() : 1e30;
      return {.error = error,
              .ms = said["ms"].get<std::vector<double>>(),
              .base = said["base"].get<std::vector<double>>()};
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) {
      end();
      return {.outcome = Outcome::TimedOut};
    }
    pollfd ready{replies, POLLIN, 0};
    int heard = poll(&ready, 1, int(std::min<int64_t>(left.count(), 1000)));
    if (heard <= 0)
      continue;
    char part[4096];
    ssize_t got = read(replies, part, sizeof part);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return {.outcome = Outcome::Crashed, .what = obituary()};
    unread.append(part, size_t(got));
  }
}

MachinePeak TuneWorker::peak() {
  MachinePeak none;
  try {
    constexpr auto deadline = std::chrono::seconds(60); // with all that a runner makes first
    Reply reply = run({.peak = true}, deadline);
    switch (reply.outcome) {
    case Outcome::Done:
      return reply.peak;
    case Outcome::TimedOut:
      none.problem = "it took more than " + std::to_string(deadline.count()) + " s";
      break;
    case Outcome::Refused:
    case Outcome::Crashed:
      none.problem = reply.what;
      break;
    }
  } catch (const std::exception &error) {
    none.problem = error.what();
  }
  return none;
}

} // namespace ringc
