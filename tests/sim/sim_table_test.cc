#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/play.h"

// The tables of docs/protocol.md against what the simulation did.
namespace slipway::sim {
namespace {

constexpr std::uint64_t kSeeds = 5000;
constexpr const char* kDocument = SLIPWAY_SOURCE_DIR "/docs/protocol.md";

std::string Trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::vector<std::string> CellsOf(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) cells.push_back(Trimmed(cell));
  return cells;
}

// The table whose head begins with `head`: by message, the cells of the columns named as the crash
// points are.
using Table = std::map<std::string, std::map<CrashPoint, std::string>>;

Table ReadTable(const std::string& title) {
  std::ifstream in(kDocument);
  REQUIRE(in.good());
  Table table;
  std::map<std::size_t, CrashPoint> columns;
  std::string line;
  while (std::getline(in, line) && line != title) {
  }
  while (std::getline(in, line) && !line.starts_with("| message |")) {
  }
  REQUIRE(!line.empty());
  const std::vector<std::string> head = CellsOf(line);
  for (std::size_t p = 0; p < kCrashPoints; ++p) {
    const auto point = static_cast<CrashPoint>(p);
    const auto column = std::find(head.begin(), head.end(), Name(point));
    INFO(title << ": column " << Name(point));
    REQUIRE(column != head.end());
    columns[static_cast<std::size_t>(column - head.begin())] = point;
  }
  std::getline(in, line);
  while (std::getline(in, line) && line.starts_with('|')) {
    const std::vector<std::string> cells = CellsOf(line);
    for (const auto& [column, point] : columns) table[cells.at(0)][point] = cells.at(column);
  }
  return table;
}

const Summary& Played() {
  // More deaths between two actions, commits in doubt and looks at unknown publishes than
  // elsewhere, so that the narrow points are met as well.
  static const Summary sum = PlaySeeds(
      1, kSeeds, std::clamp(std::thread::hardware_concurrency(), 1U, 4U), [](std::uint64_t seed) {
        Scenario scenario = ScenarioOf(seed);
        scenario.faults.crash_between_actions = 0.02;
        if (seed % 4 == 0) scenario.faults.in_doubt = 0.1;
        scenario.looks = Millis(100);
        return scenario;
      });
  return sum;
}

bool Possible(const std::string& cell) { return cell != "–"; }

TEST_CASE("Protocol table: it names exactly the crash points that the simulation meets", "[sim]") {
  const CrashPoints& seen = Played().crash_points;
  Table table = ReadTable("## What is durable when: message × crash point");
  for (std::size_t m = 0; m < kMessages; ++m) {
    const auto message = static_cast<Message>(m);
    INFO("row " << Name(message));
    REQUIRE(table.contains(std::string(Name(message))));
    for (std::size_t p = 0; p < kCrashPoints; ++p) {
      const auto point = static_cast<CrashPoint>(p);
      INFO("column " << Name(point) << "; met " << seen.Count(message, point) << " times in "
                     << kSeeds << " seeds");
      CHECK(Possible(table[std::string(Name(message))][point]) == (seen.Count(message, point) > 0));
    }
  }
  CHECK(table.size() == kMessages);
}

// In both directions, with room for rare states between: what is listed was seen, and what was seen
// in a fifth of the cases is listed.
TEST_CASE("Protocol table: what it says is durable is what the simulation finds", "[sim]") {
  const CrashPoints& seen = Played().crash_points;
  if (std::getenv("SLIPWAY_TEST_ACCEPT") != nullptr) {
    std::cout << DurableTable(seen);
    return;
  }
  Table table = ReadTable("### Durable at that moment");
  for (std::size_t m = 0; m < kMessages; ++m) {
    for (std::size_t p = 0; p < kCrashPoints; ++p) {
      const auto message = static_cast<Message>(m);
      const auto point = static_cast<CrashPoint>(p);
      const std::string listed = ", " + table[std::string(Name(message))][point] + ",";
      for (std::size_t r = 0; r < kRowStates; ++r) {
        for (std::size_t j = 0; j < kJournalStates; ++j) {
          const auto row = static_cast<RowState>(r);
          const auto journal = static_cast<JournalState>(j);
          const std::string pair = std::string(Name(row)) + "/" + std::string(Name(journal));
          const bool named = listed.find(", " + pair + ",") != std::string::npos;
          const std::uint64_t count = seen.Count(message, point, row, journal);
          INFO(Name(message) << ", " << Name(point) << ": " << pair << " " << count << " of "
                             << seen.Count(message, point));
          if (named) CHECK(count > 0);
          if (!named) CHECK(count * 5 <= seen.Count(message, point));
        }
      }
    }
  }
  CHECK(table.size() == kMessages);
}

}  // namespace
}  // namespace slipway::sim
