#include "tools/ringc/VerifyTable.h"

#include "tools/ringc/Table.h"

#include <iostream>
#include <utility>

namespace ringc::cli {

std::vector<std::vector<RankError>> gatherErrors(World &world,
                                                 const std::vector<std::vector<RankError>> &own) {
  std::vector<double> numbers;
  for (const std::vector<RankError> &ofRank : own)
    for (const RankError &each : ofRank)
      numbers.insert(numbers.end(), {each.error, each.bar});
  numbers = world.gather(numbers);
  size_t ofRank = own.front().size();
  std::vector<std::vector<RankError>> all;
  if (world.isFirst())
    all.resize(size_t(world.size()));
  for (size_t rank = 0; rank < all.size(); ++rank)
    for (size_t i = 0; i < ofRank; ++i) {
      const double *at = &numbers[2 * (rank * ofRank + i)];
      all[rank].push_back({at[0], at[1]});
    }
  return all;
}

VerifyTable::VerifyTable(std::vector<std::string> columns) : rows{std::move(columns)} {
  rows.front().insert(rows.front().end(), {"error", "bar", "result"});
}

void VerifyTable::add(std::vector<std::string> line, const RankError &found) {
  bool good = found.error <= found.bar;
  line.insert(line.end(), {number(found.error), number(found.bar), good ? "pass" : "FAIL"});
  rows.push_back(std::move(line));
  passed &= good;
}

int VerifyTable::tell(const Session &session) const {
  std::cout << table(rows);
  session.say(passed ? "all within their bars" : "an error is above its bar");
  return passed ? Ok : Wrong;
}

} // namespace ringc::cli
