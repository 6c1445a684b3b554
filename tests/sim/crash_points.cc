#include "tests/sim/crash_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace slipway::sim {
namespace {

constexpr std::array<std::string_view, kMessages> kMessageNames = {
    "submit (caller → C)", "`Inventory` A→C",     "`offer` C→A",         "`Accept` A→C",
    "`Refuse` A→C",        "`start` C→A",         "(container started)", "`keep` C→A",
    "`StepReport` A→C",    "`LogChunk` A→C",      "`LogAck` C→A",        "`ResultReport` A→C",
    "`forget` C→A",        "(deleted)",           "cancel (caller → C)", "resolve (caller → C)",
    "`cancel` C→A",        "`PermitRequest` A→C", "`Permit` C→A",        "(client started)",
    "`PermitDenied` C→A",
};
constexpr std::array<std::string_view, kCrashPoints> kPointNames = {
    "sender dies before", "sender dies after, or message lost",
    "receiver dies before its own record"};
constexpr std::array<std::string_view, kRowStates> kRowNames = {
    "–", "queued", "offered", "running", "unknown", "ended", "other attempt"};
constexpr std::array<std::string_view, kJournalStates> kJournalNames = {"–", "accepted", "running",
                                                                        "marker", "finished"};

}  // namespace

std::string_view Name(Message message) {
  return kMessageNames.at(static_cast<std::size_t>(message));
}
std::string_view Name(CrashPoint point) { return kPointNames.at(static_cast<std::size_t>(point)); }
std::string_view Name(RowState state) { return kRowNames.at(static_cast<std::size_t>(state)); }
std::string_view Name(JournalState state) {
  return kJournalNames.at(static_cast<std::size_t>(state));
}

void CrashPoints::Merge(const CrashPoints& other) {
  for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
    std::transform(cells_[cell].begin(), cells_[cell].end(), other.cells_[cell].begin(),
                   cells_[cell].begin(), std::plus<>());
  }
}

std::uint64_t CrashPoints::Count(Message message, CrashPoint point) const {
  const Cell& cell = At(message, point);
  return std::accumulate(cell.begin(), cell.end(), std::uint64_t{0});
}

std::string CrashPoints::Durable(Message message, CrashPoint point) const {
  const Cell& cell = At(message, point);
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] * 10 >= Count(message, point) && cell[i] > 0) order.emplace_back(cell[i], i);
  }
  std::sort(order.rbegin(), order.rend());
  std::string text;
  for (const auto& [count, i] : order) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{}/{}", Name(static_cast<RowState>(i / kJournalStates)),
                        Name(static_cast<JournalState>(i % kJournalStates)));
  }
  return text.empty() ? "" : text;
}

namespace {

template <typename CellText>
std::string TableOf(CellText text) {
  std::string out = "| message |";
  for (const std::string_view name : kPointNames) out += fmt::format(" {} |", name);
  out += "\n|---|---|---|---|\n";
  for (std::size_t m = 0; m < kMessages; ++m) {
    const auto message = static_cast<Message>(m);
    out += fmt::format("| {} |", Name(message));
    for (std::size_t p = 0; p < kCrashPoints; ++p) {
      out += fmt::format(" {} |", text(message, static_cast<CrashPoint>(p)));
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::string Print(const CrashPoints& points) {
  return TableOf([&](Message message, CrashPoint point) -> std::string {
    const std::uint64_t count = points.Count(message, point);
    if (count == 0) return "never";
    return fmt::format("{} times: {}", count, points.Durable(message, point));
  });
}

std::string DurableTable(const CrashPoints& points) {
  return TableOf([&](Message message, CrashPoint point) -> std::string {
    return points.Count(message, point) == 0 ? "" : points.Durable(message, point);
  });
}

}  // namespace slipway::sim
