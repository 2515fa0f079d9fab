#include "ringc/Env.h"
#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/jit/KernelFolder.h"
#include "ringc/support/Error.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Table.h"

#include <nlohmann/json.hpp>

#include <iostream>

namespace ringc::cli {

namespace {

struct CacheFlags {
  std::string what;
  std::string key;
};

KernelFolder folderOf(const Env &env) {
  auto path = kernelFolderPath(env);
  if (!path)
    throw InputError("cache folder", "none", "RINGC_CACHE_DIR, XDG_CACHE_HOME or HOME being set");
  return KernelFolder(*path, kernelFolderLimit(env));
}

int list(const KernelFolder &folder, const Session &session) {
  std::vector<std::vector<std::string>> rows = {{"key", "kernel", "bytes", "state"}};
  int64_t bytes = 0;
  for (const KernelFolder::Entry &entry : folder.list()) {
    rows.push_back({entry.key.substr(0, 16), entry.kernel ? entry.kernel->name : "-",
                    std::to_string(entry.bytes), entry.kernel ? "ok" : entry.problem});
    bytes += entry.bytes;
  }
  std::cout << table(rows);
  session.say(
      folder.path().string() + ": " + std::to_string(rows.size() - 1) + " kernels, " +
      std::to_string(bytes) + " bytes, " +
      (folder.limit() > 0 ? "at most " + std::to_string(folder.limit()) : std::string("no limit")) +
      " (RINGC_CACHE_BYTES)");
  return Ok;
}

int show(const KernelFolder &folder, const std::string &key) {
  KernelFolder::Entry entry = folder.find(key);
  if (!entry.kernel)
    throw InputError(entry.key + ": " + entry.problem);
  std::cout << toJson(*entry.kernel).dump(2) << '\n';
  return Ok;
}

int verify(const KernelFolder &folder, const Session &session) {
  int broken = 0, all = 0;
  for (const KernelFolder::Entry &entry : folder.list()) {
    ++all;
    if (entry.kernel)
      continue;
    ++broken;
    std::cout << entry.key << ": " << entry.problem << '\n';
  }
  session.say(folder.path().string() + ": " + std::to_string(all) + " kernels, " +
              std::to_string(broken) + " broken");
  return broken ? Wrong : Ok;
}

int cacheCommand(const Session &session, const CacheFlags &flags) {
  KernelFolder folder = folderOf(Env::read());
  if (flags.what == "list")
    return list(folder, session);
  if (flags.what == "show")
    return show(folder, flags.key);
  if (flags.what == "verify")
    return verify(folder, session);
  session.say(folder.path().string() + ": " + std::to_string(folder.clear()) + " kernels removed");
  return Ok;
}

} // namespace

void addCache(CLI::App &app, Session &session) {
  auto flags = std::make_shared<CacheFlags>();
  CLI::App *command = app.add_subcommand("cache", "The folder of compiled kernels");
  addCommon(*command, session);
  command->require_subcommand(1);
  auto add = [&](const char *name, const char *description) {
    CLI::App *sub = command->add_subcommand(name, description);
    addCommon(*sub, session);
    sub->callback([&session, flags, name] {
      flags->what = name;
      session.action = [&session, flags] { return cacheCommand(session, *flags); };
    });
    return sub;
  };
  add("list", "All kernels");
  add("show", "What a kernel was compiled from and how it is launched")
      ->add_option("key", flags->key, "The first letters of its key")
      ->required();
  add("verify", "Check every entry; exit 1 if one is broken");
  add("clear", "Remove all kernels");
}

} // namespace ringc::cli
