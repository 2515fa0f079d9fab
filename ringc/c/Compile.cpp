#include "ringc/Env.h"
#include "ringc/TileFile.h"
#include "ringc/c/Status.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/SourceError.h"
#include "ringc/tune/TunedConfigs.h"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringc::c {

namespace {

std::vector<SourceText> textsOf(const ringc_source *sources, size_t count) {
  std::vector<SourceText> texts;
  if (count > 0)
    required("sources", sources);
  for (size_t i = 0; i < count; ++i)
    texts.push_back({required("name of source " + std::to_string(i), sources[i].name),
                     required("text of source " + std::to_string(i), sources[i].text)});
  return texts;
}

/// Tile sizes are those of the user's table, as with `ringc compile`. Throws SourceError.
StageOutput compiled(const Spec &spec, std::vector<SourceText> known, const std::string &stage) {
  SourceSet sources = compilerSources(sourceTexts(spec, std::move(known)));
  Target target = compilerTarget(spec.target);
  TunedConfigs tables(tuneTablePath(Env::read()), KernelCache::warnOnStderr, compilerTiles);
  std::optional<TileConfig> config = tables.find(spec, sources, target, {}).config;
  StageOutput made = compileTo(stage, compilerRequest(spec, sources, target, config));
  if (!made.diagnostics.empty())
    throw SourceError(made.diagnostics);
  return made;
}

Spec specOf(const char *json, const char *target) {
  Spec spec = parseSpec(optionsText(json), "spec");
  if (target)
    spec.target = target;
  validate(spec);
  return spec;
}

} // namespace

} // namespace ringc::c

using namespace ringc::c;

ringc_status ringc_compile(const char *spec_json, const ringc_source *sources, size_t source_count,
                           const char *stage, const char *target, char **text, size_t *bytes,
                           char **provenance_json) {
  return call([&] {
    required("text", text);
    ringc::StageOutput made = compiled(specOf(spec_json, target), textsOf(sources, source_count),
                                       stage && *stage ? stage : "code");
    std::unique_ptr<char, void (*)(void *)> output(givenText(made.text), ringc_free);
    if (provenance_json && !made.provenance.empty())
      *provenance_json = givenText(made.provenance);
    if (bytes)
      *bytes = made.text.size();
    *text = output.release();
  });
}

ringc_status ringc_stage_names(const char *target, char **json) {
  return call([&] {
    required("json", json);
    nlohmann::json names =
        ringc::compilerStages(ringc::compilerTarget(target ? target : ringc::Spec().target));
    *json = givenText(names.dump());
  });
}
