#pragma once

#include <functional>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace ringc::testing {

/// What a process of its own may return for what it could not try.
inline constexpr int notTried = 77;

/// The exit status of `body` in a process of its own, which may change its user, limits and mounts.
inline int inChild(const std::function<int()> &body) {
  pid_t child = fork();
  if (child == 0)
    _exit(body());
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// `body` as a user for whom permissions count: root becomes nobody, who then owns these files.
/// notTried where that may not be.
inline int asPlainUser(std::initializer_list<std::string> files, const std::function<int()> &body) {
  return inChild([&] {
    constexpr uid_t nobody = 65534;
    if (geteuid() == 0) {
      for (const std::string &file : files)
        if (chown(file.c_str(), nobody, nobody) != 0)
          return notTried;
      if (setuid(nobody) != 0)
        return notTried;
    }
    return body();
  });
}

} // namespace ringc::testing
