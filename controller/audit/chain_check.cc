#include "controller/audit/chain_check.h"

#include <fmt/format.h>

#include <span>
#include <utility>
#include <vector>

#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::audit {
namespace {

using store::AuditRow;

bool Follows(const std::string& before, const AuditRow& row) {
  return LinkHash(before, row.entry) == row.hash;
}

// Why `rows[0]` does not follow from the hash `before`, by what follows it.
Finding Explain(const std::string& before, std::span<const AuditRow> rows) {
  const AuditRow& wrong = rows[0];
  Finding finding{.sequence = wrong.sequence};
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (!Follows(before, rows[i])) continue;
    const bool goes_on = i + 1 < rows.size() && Follows(rows[i].hash, rows[i + 1]);
    finding.fault = goes_on ? Fault::kInserted : Fault::kReordered;
    finding.message =
        goes_on ? fmt::format("row {} was inserted: row {} follows from what stands before it",
                              wrong.sequence, rows[i].sequence)
                : fmt::format("rows were reordered: what belongs at row {} stands at row {}",
                              wrong.sequence, rows[i].sequence);
    return finding;
  }
  if (rows.size() > 1 && Follows(LinkHash(before, wrong.entry), rows[1])) {
    finding.fault = Fault::kHashChanged;
    finding.message =
        fmt::format("the hash of row {} was changed: row {} follows from the right one",
                    wrong.sequence, rows[1].sequence);
    return finding;
  }
  finding.fault = Fault::kChanged;
  finding.message = fmt::format(
      "row {} was changed, or rows before it were taken out: it does not follow from the row "
      "before",
      wrong.sequence);
  return finding;
}

Finding Missing(std::int64_t first, std::int64_t next) {
  return {.fault = Fault::kMissing,
          .sequence = first,
          .message = next - first == 1 ? fmt::format("row {} is missing", first)
                                       : fmt::format("rows {} to {} are missing", first, next - 1)};
}

// What the end of the chain says of the rows up to `last`, all of which are right.
std::optional<Finding> CheckEnd(const store::AuditHead& last, const store::AuditStretch& stretch,
                                const std::optional<store::AuditHead>& expect) {
  const store::AuditHead& head = stretch.head;
  if (head.sequence == 0 && last.sequence > 0) {
    return Finding{.fault = Fault::kHeadChanged,
                   .sequence = last.sequence,
                   .message = "the record of the chain's end is gone"};
  }
  if (head.sequence > last.sequence) {
    return Finding{.fault = Fault::kCut,
                   .sequence = last.sequence + 1,
                   .message = fmt::format("the rows after {} are gone: {} had been written",
                                          last.sequence, head.sequence)};
  }
  if (head.sequence < last.sequence) {
    return Finding{
        .fault = Fault::kBeyondHead,
        .sequence = head.sequence + 1,
        .message = fmt::format("row {} was added past the controller: the chain ends at row {}",
                               head.sequence + 1, head.sequence)};
  }
  if (head.hash != last.hash) {
    return Finding{.fault = Fault::kHeadChanged,
                   .sequence = last.sequence,
                   .message = fmt::format("row {} is not the one that was written last: the "
                                          "record of the chain's end has another hash",
                                          last.sequence)};
  }
  if (expect && expect->sequence > last.sequence) {
    return Finding{.fault = Fault::kCut,
                   .sequence = last.sequence + 1,
                   .message = fmt::format("row {} was expected, and the newest is {}",
                                          expect->sequence, last.sequence)};
  }
  if (!stretch.guarded) {
    return Finding{.fault = Fault::kUnguarded,
                   .sequence = last.sequence,
                   .message =
                       "every row is right, but the database's guards are off: it would "
                       "let rows be changed or removed"};
  }
  return std::nullopt;
}

// What is wrong with `row`, which is to follow `last`, but for its hash.
std::optional<Finding> CheckRow(const store::AuditHead& last, const AuditRow& row,
                                const std::optional<store::AuditHead>& expect) {
  if (row.sequence != last.sequence + 1) return Missing(last.sequence + 1, row.sequence);
  if (!row.columns_match) {
    return Finding{.fault = Fault::kColumns,
                   .sequence = row.sequence,
                   .message = fmt::format("the columns of row {} were changed: they do not say "
                                          "what its entry says",
                                          row.sequence)};
  }
  if (expect && expect->sequence == row.sequence && expect->hash != row.hash) {
    return Finding{.fault = Fault::kNotExpected,
                   .sequence = row.sequence,
                   .message = fmt::format("row {} has another hash than was expected: it, or a row "
                                          "before it, was changed and the chain made anew",
                                          row.sequence)};
  }
  return std::nullopt;
}

}  // namespace

std::string LinkHash(const std::string& before, const std::string& entry) {
  return crypto::Sha256Of(before + "\n" + entry).Hex();
}

absl::StatusOr<Verdict> CheckChain(store::AuditStore& audit, const CheckOptions& options,
                                   const std::function<bool(const Progress&)>& go_on) {
  Verdict verdict;
  store::AuditHead& last = verdict.head;
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const store::AuditStretch stretch,
                             audit.ReadAfter(last.sequence, options.page));
    for (const AuditRow& row : stretch.rows) {
      const bool in_place = row.sequence == last.sequence + 1;
      if (in_place && !Follows(last.hash, row)) {
        SLIPWAY_ASSIGN_OR_RETURN(const store::AuditStretch behind,
                                 audit.ReadAfter(last.sequence, options.window));
        verdict.finding = Explain(last.hash, behind.rows);
        return verdict;
      }
      verdict.finding = CheckRow(last, row, options.expect);
      if (verdict.finding) return verdict;
      last = {.sequence = row.sequence, .hash = row.hash};
    }
    if (stretch.rows.size() < static_cast<std::size_t>(options.page)) {
      verdict.finding = CheckEnd(last, stretch, options.expect);
      return verdict;
    }
    if (!go_on({.checked = last.sequence, .newest = stretch.head.sequence})) {
      return absl::CancelledError("the check was given up");
    }
  }
}

}  // namespace slipway::audit
