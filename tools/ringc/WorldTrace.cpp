#include "tools/ringc/WorldTrace.h"

#include "ringc/files/File.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <utility>

namespace ringc::cli {

namespace {

constexpr size_t numbersOfSpan = 6;
constexpr double noRank = -1;

/// `count` spans as numbers that a world can gather; those that are missing have no rank.
std::vector<double> numbersOf(const std::vector<Span> &spans, size_t count) {
  std::vector<double> numbers;
  for (const Span &span : spans)
    numbers.insert(numbers.end(),
                   {double(span.rank), double(span.pass), double(span.hop), double(span.kind),
                    double(span.start.count()), double(span.end.count())});
  numbers.resize(count * numbersOfSpan, noRank);
  return numbers;
}

std::vector<Span> spansOf(const std::vector<double> &numbers) {
  std::vector<Span> spans;
  for (size_t i = 0; i < numbers.size(); i += numbersOfSpan)
    if (numbers[i] != noRank)
      spans.push_back({.pass = Pass(int(numbers[i + 1])),
                       .rank = int(numbers[i]),
                       .hop = int(numbers[i + 2]),
                       .kind = SpanKind(int(numbers[i + 3])),
                       .start = std::chrono::nanoseconds(int64_t(numbers[i + 4])),
                       .end = std::chrono::nanoseconds(int64_t(numbers[i + 5]))});
  return spans;
}

} // namespace

WorldTrace::WorldTrace(World &ofWorld, std::string path) : world(ofWorld), file(std::move(path)) {
  if (!file.empty() && !file.ends_with(".json"))
    throw InputError("trace", "\"" + file + "\"", "FILE.json");
  if (isAsked() && world.isFirst())
    checkWritable(file);
}

std::vector<Span> WorldTrace::record(const std::function<void()> &passes) {
  (void)world.largest(0); // all start together
  trace->start();
  passes();
  std::vector<Span> own = trace->stop();
  auto most = size_t(world.largest(double(own.size())));
  std::vector<Span> spans = spansOf(world.gather(numbersOf(own, most)));
  if (!isAsked())
    return spans;
  std::chrono::nanoseconds over{0};
  for (const Span &span : recorded)
    over = std::max(over, span.end);
  for (Span span : spans) {
    span.start += over;
    span.end += over;
    recorded.push_back(span);
  }
  return spans;
}

void WorldTrace::write() const {
  if (!isAsked() || !world.isFirst())
    return;
  OutputFile output(file);
  output.write(traceJson(recorded));
  output.close();
  output.publish();
}

void addTraceOption(CLI::App &command, std::string &file) {
  command
      .add_option("--trace", file,
                  "Writes what each rank did in each hop, for chrome://tracing or Perfetto")
      ->type_name("FILE.json");
}

} // namespace ringc::cli
