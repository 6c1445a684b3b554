#include "controller/store/pg/database.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/status/status.h"
#include "controller/store/pg/lock_keys.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

using ReadTransaction = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

// Several statements in one round trip: the last takes its snapshot after the lock is held, so that
// an epoch committed by the lock's last exclusive holder is seen. All writes find their rows by
// key. A prepared statement keeps its plan, and one that was made while a table was small would
// read the whole of it long after it has grown.
std::string FenceQuery() {
  return fmt::format(
      "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; "
      "SET LOCAL enable_mergejoin = off; "
      "SELECT pg_advisory_xact_lock_shared({}); SELECT epoch FROM leadership",
      kWriteFence);
}

constexpr Statement kFenceWriters{"database_fence_writers", "SELECT pg_advisory_xact_lock($1)"};
constexpr Statement kNextEpoch{"database_next_epoch",
                               "UPDATE leadership SET epoch = epoch + 1 "
                               "WHERE holder = current_setting('application_name') "
                               "RETURNING epoch"};

absl::Status NotLeader(std::string_view message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", message,
                   "Ask the controller that leads.");
}

absl::Status CheckFence(pqxx::transaction_base& work, Epoch term) {
  static const std::string query = FenceQuery();
  const pqxx::result rows = work.exec(query);
  if (rows.empty()) return absl::InternalError("the table leadership has lost its row");
  const auto newest = rows[0][0].as<std::int64_t>();
  if (newest != term.value()) {
    return NotLeader(
        fmt::format("this controller's term {} is over: term {} has begun", term.value(), newest));
  }
  return absl::OkStatus();
}

// A lost connection while COMMIT is under way leaves its outcome unknown, however libpqxx names it.
absl::Status Commit(pqxx::transaction_base& work) {
  absl::Status committed = CatchPqxx([&]() -> absl::Status {
    work.commit();
    return absl::OkStatus();
  });
  if (absl::IsUnavailable(committed)) {
    return MakeError(
        absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT",
        fmt::format("the answer to a commit was lost: {}", std::string(committed.message())));
  }
  return committed;
}

}  // namespace

class Database::Impl {
 public:
  explicit Impl(DatabaseOptions options) : options_(std::move(options)) {
    SLIPWAY_CHECK(options_.max_connections > 0);
  }

  absl::StatusOr<std::unique_ptr<Session>> Acquire() {
    std::vector<std::unique_ptr<Session>> dead;
    {
      absl::MutexLock lock(&mu_);
      const auto available = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return !idle_.empty() || open_ < options_.max_connections;
      };
      if (!mu_.AwaitWithTimeout(absl::Condition(&available),
                                absl::FromChrono(options_.acquire_timeout))) {
        return MakeError(
            absl::StatusCode::kResourceExhausted, "DATABASE_BUSY",
            fmt::format("all {} connections to the database stayed busy", options_.max_connections),
            "Try again; if it lasts, raise the number of connections.");
      }
      while (!idle_.empty()) {
        std::unique_ptr<Session> session = std::move(idle_.back());
        idle_.pop_back();
        if (session->LooksAlive()) return session;
        --open_;
        dead.push_back(std::move(session));
      }
      ++open_;
    }
    auto session = Session::Open(options_);
    if (!session.ok()) Forget();
    return session;
  }

  void Release(std::unique_ptr<Session> session, bool reusable) {
    if (!reusable || !session->LooksAlive()) {
      session.reset();
      Forget();
      return;
    }
    absl::MutexLock lock(&mu_);
    idle_.push_back(std::move(session));
  }

  template <typename Use>
  absl::Status With(Use&& use) {
    SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Acquire());
    const absl::Status status = CatchPqxx([&]() -> absl::Status { return use(*session); });
    Release(std::move(session), !absl::IsUnavailable(status) && !absl::IsUnknown(status));
    return status;
  }

  void EnterRefusalsIn(RefusalRecorder* refusals) {
    absl::MutexLock lock(&refusals_mu_);
    refusals_ = refusals;
  }
  void EnterRefusal(domain::AuditEntry refused) {
    absl::MutexLock lock(&refusals_mu_);
    if (refusals_ != nullptr) refusals_->RecordRefusal(std::move(refused));
  }

  std::atomic<std::int64_t> term{0};

 private:
  void Forget() {
    absl::MutexLock lock(&mu_);
    --open_;
  }

  // Constant after construction.
  const DatabaseOptions options_;

  absl::Mutex mu_;
  // Idle and lent ones together.
  int open_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::unique_ptr<Session>> idle_ ABSL_GUARDED_BY(mu_);

  absl::Mutex refusals_mu_;
  RefusalRecorder* refusals_ ABSL_GUARDED_BY(refusals_mu_) = nullptr;
};

absl::StatusOr<std::unique_ptr<Database>> Database::Open(DatabaseOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, impl->Acquire());
  impl->Release(std::move(session), /*reusable=*/true);
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

absl::Status Database::Read(const Body& body) {
  return impl_->With([&](Session& session) -> absl::Status {
    ReadTransaction work(session.connection());
    Transaction transaction(session, work);
    return body(transaction);
  });
}

absl::Status Database::Write(const Body& body) {
  const Epoch epoch = term();
  if (epoch.value() == 0) return NotLeader("this controller does not lead");
  return impl_->With([&](Session& session) -> absl::Status {
    pqxx::work work(session.connection());
    SLIPWAY_RETURN_IF_ERROR(CheckFence(work, epoch));
    Transaction transaction(session, work);
    SLIPWAY_RETURN_IF_ERROR(body(transaction));
    return Commit(work);
  });
}

absl::StatusOr<Epoch> Database::BeginTerm() {
  std::int64_t epoch = 0;
  SLIPWAY_RETURN_IF_ERROR(impl_->With([&](Session& session) -> absl::Status {
    pqxx::work work(session.connection());
    Transaction transaction(session, work);
    transaction.Run(kFenceWriters, kWriteFence);
    const pqxx::result next = transaction.Run(kNextEpoch);
    if (next.empty()) return NotLeader("this controller does not hold the leadership any more");
    epoch = next[0][0].as<std::int64_t>();
    return Commit(work);
  }));
  impl_->term.store(epoch);
  return Epoch(epoch);
}

void Database::EnterRefusalsIn(RefusalRecorder* refusals) { impl_->EnterRefusalsIn(refusals); }

void Database::EnterRefusal(domain::AuditEntry refused) { impl_->EnterRefusal(std::move(refused)); }

Epoch Database::term() const { return Epoch(impl_->term.load()); }

}  // namespace slipway::store::pg
