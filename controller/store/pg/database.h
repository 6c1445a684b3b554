#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/store/audit_store.h"

namespace slipway::store::pg {

class Transaction;

struct DatabaseOptions {
  // What libpq accepts: a postgresql:// URL or "key=value ...".
  std::string connection;
  // Shown in pg_stat_activity, at most 63 bytes. Unique per process when several controllers share
  // a database: by this name a successor finds and ends a stale leader's connections.
  std::string application_name = "slipway-controller";
  // Most connections open at once; a caller beyond that waits.
  int max_connections = 8;
  // Longest wait for a free connection.
  Duration acquire_timeout = std::chrono::seconds(10);
  Duration connect_timeout = std::chrono::seconds(10);
  // Enforced by the server. Zero: no limit.
  Duration statement_timeout = std::chrono::seconds(30);
  Duration lock_timeout = std::chrono::seconds(10);
  Duration idle_in_transaction_timeout = std::chrono::seconds(30);
};

// A bounded pool of connections and the two ways to use one: Read, and Write fenced by leadership.
// Calls block, so they belong on a WorkerPool, never on an event loop.
//
// Invariant: what Write commits was committed while this process's term was the newest one.
//
// Thread-safe. Must outlive every call.
class Database {
 public:
  using Body = std::function<absl::Status(Transaction&)>;

  // Opens one connection to prove that the server answers.
  static absl::StatusOr<std::unique_ptr<Database>> Open(DatabaseOptions options);

  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // Runs `body` on one snapshot that cannot write; nothing is committed. `body` may be run only
  // once.
  absl::Status Read(const Body& body);

  // Runs `body` in a transaction and commits when it returns ok; otherwise rolls back and returns
  // its status. kFailedPrecondition NOT_LEADER: no term has begun, or a newer one has.
  // kUnknown COMMIT_IN_DOUBT: it may be committed or not; reload.
  absl::Status Write(const Body& body);

  // Begins a term of this process: bumps the stored epoch once every transaction that an earlier
  // leader began has ended (kAborted LOCK_TIMEOUT: one did not), and fences Write with it from now
  // on. When it returns, nothing of an earlier term can be committed any more. Only the process
  // that the stored leadership names can (Leadership::Acquire under this pool's application_name):
  // kFailedPrecondition NOT_LEADER, also when another one has taken it since.
  absl::StatusOr<Epoch> BeginTerm();
  // 0: none.
  [[nodiscard]] Epoch term() const;

  // Where the stores enter attempts that they refuse because the right to them has ended; such a
  // transaction stores nothing itself. nullptr, as at first: nowhere. `refusals` must live until
  // another is set.
  void EnterRefusalsIn(RefusalRecorder* refusals);
  // Never blocks for long.
  void EnterRefusal(domain::AuditEntry refused);

 private:
  class Impl;
  explicit Database(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::store::pg
