#include "common/status/remedies.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/cord.h"
#include "common/status/remedy_table.h"
#include "common/status/status.h"

namespace slipway {
namespace {

constexpr char kRemedyZhUrl[] = "slipway/remedy-zh";
constexpr char kRetryAfterUrl[] = "slipway/retry-after-ms";

// Of what passes by itself. A queue takes longer to get shorter than a database to answer.
struct Pause {
  std::string_view reason;
  std::chrono::milliseconds wait;
};
constexpr Pause kPauses[] = {
    {"COMMIT_IN_DOUBT", std::chrono::seconds(1)}, {"CONTROLLER_BUSY", std::chrono::seconds(1)},
    {"DATABASE_BUSY", std::chrono::seconds(1)},   {"NOT_STORED", std::chrono::seconds(2)},
    {"QUEUE_FULL", std::chrono::seconds(2)},      {"RELOADING", std::chrono::seconds(1)},
    {"STOPPING", std::chrono::seconds(2)},
};

bool Before(const ReasonRemedy& entry, std::string_view reason) { return entry.reason < reason; }

}  // namespace

std::optional<Remedy> RemedyFor(std::string_view reason) {
  const auto table = reason < "N" ? RemediesAToM() : RemediesNToZ();
  const auto entry = std::lower_bound(table.begin(), table.end(), reason, Before);
  if (entry == table.end() || entry->reason != reason) return std::nullopt;
  return entry->remedy;
}

std::vector<std::string_view> ReasonsWithRemedy() {
  std::vector<std::string_view> reasons;
  for (const auto table : {RemediesAToM(), RemediesNToZ()}) {
    for (const ReasonRemedy& entry : table) reasons.push_back(entry.reason);
  }
  return reasons;
}

std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status) {
  if (const auto sent = status.GetPayload(kRetryAfterUrl)) {
    const std::string text(*sent);
    std::int64_t wait = 0;
    std::from_chars(text.data(), text.data() + text.size(), wait);
    return std::chrono::milliseconds(wait);
  }
  const std::string reason = GetErrorInfo(status).reason;
  for (const Pause& pause : kPauses) {
    if (pause.reason == reason) return pause.wait;
  }
  return std::nullopt;
}

absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds wait) {
  if (!status.ok()) status.SetPayload(kRetryAfterUrl, absl::Cord(std::to_string(wait.count())));
  return status;
}

absl::Status WithRemedyZh(absl::Status status, std::string_view remedy) {
  if (!status.ok() && !remedy.empty()) {
    status.SetPayload(kRemedyZhUrl, absl::Cord(absl::string_view(remedy.data(), remedy.size())));
  }
  return status;
}

std::string GetRemedyZh(const absl::Status& status) {
  if (const auto remedy = status.GetPayload(kRemedyZhUrl)) return std::string(*remedy);
  return "";
}

}  // namespace slipway
