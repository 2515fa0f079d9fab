#include "runtime/ring/PlanText.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace ringc {

namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

Json peer(const std::optional<int> &rank) { return rank ? Json(*rank) : Json(nullptr); }

std::string peerText(const std::optional<int> &rank) { return rank ? std::to_string(*rank) : "-"; }

Json stepJson(const Step &step) {
  return {{"step", step.step},
          {"owner", step.owner},
          {"rows", step.rows},
          {"visibility", nameOf(step.visibility)},
          {"compute", step.computes()},
          {"sendTo", peer(step.keysTo)},
          {"receiveFrom", peer(step.keysFrom)},
          {"gradientsTo", peer(step.gradientsTo)},
          {"gradientsFrom", peer(step.gradientsFrom)},
          {"homeFrom", peer(step.homeFrom)},
          {"sendBytes", step.sendBytes},
          {"receiveBytes", step.receiveBytes}};
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
             std::to_string(step.rows),
             std::string(nameOf(step.visibility)),
             peerText(step.keysTo),
             peerText(step.keysFrom)};
  if (plan.pass == Pass::Backward)
    row.insert(row.end(),
               {peerText(step.gradientsTo), peerText(step.gradientsFrom), peerText(step.homeFrom)});
  row.insert(row.end(), {std::to_string(step.sendBytes), std::to_string(step.receiveBytes)});
  return row;
}

/// Columns as wide as their widest cell, flushed right, two spaces apart.
std::string aligned(const std::vector<Row> &rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const Row &row : rows)
    for (size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], row[column].size());
  std::string text;
  for (const Row &row : rows) {
    for (size_t column = 0; column < row.size(); ++column)
      text +=
          std::string((column ? 2 : 0) + widths[column] - row[column].size(), ' ') + row[column];
    text += '\n';
  }
  return text;
}

} // namespace

std::string planTable(std::span<const Plan> plans) {
  if (plans.empty())
    return {};
  const Plan &any = plans[0];
  std::vector<Row> rows = {headings(any.pass)};
  int64_t computed = 0, hops = 0, sent = 0, held = 0;
  for (const Plan &plan : plans) {
    for (const Step &step : plan.steps) {
      rows.push_back(cells(plan, step));
      computed += step.computes();
      ++hops;
    }
    sent += plan.sentBytes();
    held = std::max(held, plan.hopBufferBytes(Plan::OwnKeys::Contiguous));
  }
  const RingProblem &problem = any.problem;
  return std::string(nameOf(any.pass)) + ", " + nameOf(problem.layout) + ", " +
         std::to_string(problem.queryLength) + " queries, " + std::to_string(problem.keyLength) +
         " keys, world " + std::to_string(problem.rings.world) + ", ring size " +
         std::to_string(problem.rings.ringSize) + ", schedule " +
         std::string(enumName(problem.schedule)) + "\n" + aligned(rows) + "computed " +
         std::to_string(computed) + " of " + std::to_string(hops) + " blocks, sent " +
         std::to_string(sent) + " bytes, hop buffers of up to " + std::to_string(held) +
         " bytes a rank\n";
}

std::string planJson(std::span<const Plan> plans) {
  if (plans.empty())
    return "{}\n";
  const RingProblem &problem = plans[0].problem;
  Json ranks = Json::array();
  for (const Plan &plan : plans) {
    Json steps = Json::array();
    for (const Step &step : plan.steps)
      steps.push_back(stepJson(step));
    ranks.push_back({{"rank", plan.rank},
                     {"queryRows", plan.queryRows},
                     {"steps", std::move(steps)},
                     {"sentBytes", plan.sentBytes()},
                     {"receivedBytes", plan.receivedBytes()},
                     {"hopBufferBytes", plan.hopBufferBytes(Plan::OwnKeys::Contiguous)}});
  }
  Json all = {{"pass", nameOf(plans[0].pass)},          {"world", problem.rings.world},
              {"ringSize", problem.rings.ringSize},     {"layout", nameOf(problem.layout)},
              {"schedule", enumName(problem.schedule)}, {"queryLength", problem.queryLength},
              {"keyLength", problem.keyLength},         {"ranks", std::move(ranks)}};
  return all.dump(2) + "\n";
}

} // namespace ringc
