#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "controller/store/audit_store.h"

// Whether the audit trail is what was written. docs/audit.md says what each fault proves, and what
// no chain can.
namespace slipway::audit {

enum class Fault {
  kChanged = 1,       // the entry is not the one that was hashed
  kHashChanged = 2,   // the entry is, its hash is not
  kMissing = 3,       // rows are gone from the middle or the beginning
  kReordered = 4,     // what belongs here stands elsewhere
  kInserted = 5,      // a row stands where another one follows from the one before
  kCut = 6,           // the newest rows are gone
  kBeyondHead = 7,    // rows behind the end of the chain
  kHeadChanged = 8,   // the end of the chain is not the newest row's, or is gone
  kColumns = 9,       // lists show the row as something else than its entry says
  kNotExpected = 10,  // another hash than was expected
  kUnguarded = 11,    // the database would let rows be changed
};

struct Finding {
  Fault fault = Fault::kChanged;
  // The first row that is not as it should be.
  std::int64_t sequence = 0;
  // For people: what is wrong with which row.
  std::string message = {};
};

struct CheckOptions {
  // What an earlier check or export said of one row; nullopt: nothing is known.
  std::optional<store::AuditHead> expect = std::nullopt;
  // Rows read at once; bounds the memory.
  int page = 2000;
  // How far behind a wrong row what belongs there is looked for.
  int window = 1000;
};

struct Progress {
  std::int64_t checked = 0;
  // Of the newest row as last seen.
  std::int64_t newest = 0;
};

struct Verdict {
  // The newest row that is right; when there is no finding, the end of the chain.
  store::AuditHead head = {};
  std::optional<Finding> finding = std::nullopt;
};

// The hash of an entry that follows a row with the hash `before` ("" for the first).
[[nodiscard]] std::string LinkHash(const std::string& before, const std::string& entry);

// Goes through the whole chain and ends at the first fault. `go_on` hears how far it is after each
// page; kCancelled: it returned false. Entries that are appended meanwhile are checked too. Blocks.
[[nodiscard]] absl::StatusOr<Verdict> CheckChain(store::AuditStore& audit,
                                                 const CheckOptions& options,
                                                 const std::function<bool(const Progress&)>& go_on);

}  // namespace slipway::audit
