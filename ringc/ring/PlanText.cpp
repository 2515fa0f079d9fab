#include "ringc/ring/PlanText.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <ostream>
#include <sstream>
#include <string_view>
#include <vector>

namespace ringc {

namespace {

using Row = std::vector<std::string>;

std::string peerText(const std::optional<int> &rank) { return rank ? std::to_string(*rank) : "-"; }

/// JSON as it is written: a plan of 1024 ranks has two million steps, each of which would take
/// kilobytes as a tree. Names that are written here need no escapes.
class JsonWriter {
public:
  explicit JsonWriter(int indent) : depth(size_t(indent)) {}

  /// What has been written since the last call.
  std::string_view take() {
    taken.swap(text);
    text.clear();
    return taken;
  }

  void open(char bracket) {
    text += bracket;
    depth += 2;
    first = true;
  }
  void close(char bracket) {
    depth -= 2;
    newLine();
    text += bracket;
    first = false;
  }
  /// Before each element of an array.
  void next() {
    if (!first)
      text += ',';
    first = false;
    newLine();
  }
  void key(std::string_view name) {
    next();
    text.append(1, '"').append(name).append("\": ");
  }
  void member(std::string_view name, std::string_view word) {
    key(name);
    text.append(1, '"').append(word).append(1, '"');
  }
  void member(std::string_view name, int64_t number) {
    key(name);
    char digits[20];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  }
  void member(std::string_view name, const std::optional<int> &peer) {
    if (peer)
      return member(name, int64_t(*peer));
    key(name);
    text += "null";
  }
  void truth(std::string_view name, bool value) {
    key(name);
    text += value ? "true" : "false";
  }

private:
  void newLine() { text.append(1, '\n').append(depth, ' '); }

  std::string text, taken;
  size_t depth;
  bool first = true;
};

void write(JsonWriter &json, const Step &step) {
  json.open('{');
  json.member("step", int64_t(step.step));
  json.member("hop", int64_t(step.hop));
  json.member("owner", int64_t(step.owner));
  json.member("firstRow", step.firstRow);
  json.member("rows", step.rows);
  json.member("visibility", nameOf(step.visibility));
  json.truth("compute", step.computes());
  json.member("sendTo", step.keysTo);
  json.member("receiveFrom", step.keysFrom);
  json.member("gradientsTo", step.gradientsTo);
  json.member("gradientsFrom", step.gradientsFrom);
  json.member("homeFrom", step.homeFrom);
  json.member("sendBytes", step.sendBytes);
  json.member("receiveBytes", step.receiveBytes);
  json.close('}');
}

void write(JsonWriter &json, const Plan &plan) {
  json.open('{');
  json.member("rank", int64_t(plan.rank));
  json.member("queryRows", plan.queryRows);
  json.key("steps");
  json.open('[');
  for (const Step &step : plan.steps) {
    json.next();
    write(json, step);
  }
  json.close(']');
  json.member("sentBytes", plan.sentBytes());
  json.member("receivedBytes", plan.receivedBytes());
  json.member("hopBufferBytes", plan.hopBufferBytes(Plan::OwnKeys::Contiguous));
  json.close('}');
}

Row headings(Pass pass) {
  Row row = {"rank", "step", "owner", "keys", "visible", "send", "receive"};
  if (pass == Pass::Backward)
    row.insert(row.end(), {"grad to", "grad from", "home from"});
  row.insert(row.end(), {"bytes out", "bytes in"});
  return row;
}

Row cells(const Plan &plan, const Step &step) {
  Row row = {std::to_string(plan.rank),
             std::to_string(step.step),
             std::to_string(step.owner),
             std::to_string(step.rows) + (plan.problem.schedule.chunks > 1
                                              ? " from " + std::to_string(step.firstRow)
                                              : std::string()),
             std::string(nameOf(step.visibility)),
             peerText(step.keysTo),
             peerText(step.keysFrom)};
  if (plan.pass == Pass::Backward)
    row.insert(row.end(),
               {peerText(step.gradientsTo), peerText(step.gradientsFrom), peerText(step.homeFrom)});
  row.insert(row.end(), {std::to_string(step.sendBytes), std::to_string(step.receiveBytes)});
  return row;
}

/// Widths of columns as wide as their widest cell.
void widen(std::vector<size_t> &widths, const Row &row) {
  widths.resize(row.size(), 0);
  for (size_t column = 0; column < row.size(); ++column)
    widths[column] = std::max(widths[column], row[column].size());
}

/// Flushed right, two spaces apart.
void writeAligned(std::ostream &out, const Row &row, const std::vector<size_t> &widths) {
  std::string line;
  for (size_t column = 0; column < row.size(); ++column)
    line.append((column ? 2 : 0) + widths[column] - row[column].size(), ' ').append(row[column]);
  out << line << '\n';
}

} // namespace

void writePlanTable(std::ostream &out, std::span<const Plan> plans) {
  if (plans.empty())
    return;
  const Plan &any = plans[0];
  std::vector<size_t> widths;
  widen(widths, headings(any.pass));
  for (const Plan &plan : plans)
    for (const Step &step : plan.steps)
      widen(widths, cells(plan, step));
  const RingProblem &problem = any.problem;
  out << nameOf(any.pass) << ", " << nameOf(problem.layout) << ", " << problem.queryLength
      << " queries, " << problem.keyLength << " keys, world " << problem.rings.world
      << ", ring size " << problem.rings.ringSize << ", schedule " << nameOf(problem.schedule)
      << '\n';
  writeAligned(out, headings(any.pass), widths);
  int64_t computed = 0, hops = 0, sent = 0, held = 0;
  for (const Plan &plan : plans) {
    for (const Step &step : plan.steps) {
      writeAligned(out, cells(plan, step), widths);
      computed += step.computes();
      ++hops;
    }
    sent += plan.sentBytes();
    held = std::max(held, plan.hopBufferBytes(Plan::OwnKeys::Contiguous));
  }
  out << "computed " << computed << " of " << hops << " blocks, sent " << sent
      << " bytes, hop buffers of up to " << held << " bytes a rank\n";
}

std::string planTable(std::span<const Plan> plans) {
  std::ostringstream text;
  writePlanTable(text, plans);
  return text.str();
}

void writePlanJson(std::ostream &out, std::span<const Plan> plans, int indent) {
  if (plans.empty()) {
    out << "{}";
    return;
  }
  const RingProblem &problem = plans[0].problem;
  JsonWriter json(indent);
  json.open('{');
  json.member("pass", nameOf(plans[0].pass));
  json.member("world", int64_t(problem.rings.world));
  json.member("ringSize", int64_t(problem.rings.ringSize));
  json.member("layout", nameOf(problem.layout));
  json.member("schedule", nameOf(problem.schedule));
  json.member("queryLength", problem.queryLength);
  json.member("keyLength", problem.keyLength);
  json.key("ranks");
  json.open('[');
  for (const Plan &plan : plans) {
    json.next();
    write(json, plan);
    out << json.take();
  }
  json.close(']');
  json.close('}');
  out << json.take();
}

std::string planJson(std::span<const Plan> plans) {
  std::ostringstream text;
  writePlanJson(text, plans);
  text << '\n';
  return text.str();
}

} // namespace ringc
