#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/domain/audit.h"

// The audit trail: entries in a chain of hashes, to which is only ever appended. What changes
// something is entered by the store that changes it, in the same transaction; here is the rest.
// docs/audit.md has the format and what the chain proves.
namespace slipway::store {

// Which entries; empty fields: any.
struct AuditFilter {
  std::string actor = {};
  // Beginning of the action.
  std::string action = {};
  // Kind of the object, and what it is called by.
  std::string object = {};
  std::string subject = {};
  // From `since` on, before `until`.
  std::optional<WallTime> since = std::nullopt;
  std::optional<WallTime> until = std::nullopt;
  bool refused_only = false;
  // Newest first. At most this many; 1 … 1000.
  int page_size = 50;
  // As given by the previous page; empty: from the newest.
  std::string page_token = {};
};

// An entry as it is stored.
struct AuditRow {
  std::int64_t sequence = 0;
  std::string entry;
  // 64 hex digits.
  std::string hash;
  // The columns that lists are filtered by say what the entry says.
  bool columns_match = true;
};

// An entry as people read it. Of one that is not readable only the row is there.
struct AuditRecord {
  AuditRow row = {};
  WallTime at = {};
  domain::AuditEntry about = {};
};

struct AuditPage {
  std::vector<AuditRecord> entries;
  std::string next_page_token;  // empty: no more
};

// The end of the chain: the newest entry's number and hash; 0 and "" when there is none.
struct AuditHead {
  std::int64_t sequence = 0;
  std::string hash;

  bool operator==(const AuditHead&) const = default;
};

// A piece of the chain, and its end at the same moment.
struct AuditStretch {
  std::vector<AuditRow> rows;
  AuditHead head;
  // The database refuses to change or remove what is there.
  bool guarded = true;
};

// Thread-safe.
class AuditStore {
 public:
  virtual ~AuditStore() = default;

  // Appends entries of which nothing else was stored, all or none.
  [[nodiscard]] virtual absl::Status Append(const std::vector<domain::AuditEntry>& entries) = 0;
  // kInvalidArgument: BAD_PAGE_TOKEN, BAD_PAGE_SIZE.
  [[nodiscard]] virtual absl::StatusOr<AuditPage> List(const AuditFilter& filter) = 0;
  // At most `limit` rows that follow `sequence`, in order, as one moment saw them.
  [[nodiscard]] virtual absl::StatusOr<AuditStretch> ReadAfter(std::int64_t sequence,
                                                               int limit) = 0;
  // Number of the newest entry from before `time`; 0: there is none.
  [[nodiscard]] virtual absl::StatusOr<std::int64_t> LastBefore(WallTime time) = 0;
};

// Where refused attempts are said: a call without the right to it, a token or password that is not
// good. Thread-safe.
class RefusalRecorder {
 public:
  virtual ~RefusalRecorder() = default;
  // Never blocks, never fails. REQUIRES: `refused.reason` is not empty.
  virtual void RecordRefusal(domain::AuditEntry refused) = 0;
};

}  // namespace slipway::store
