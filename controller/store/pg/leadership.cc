#include "controller/store/pg/leadership.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/status/status.h"
#include "controller/store/pg/lock_keys.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr Duration kRetryInterval = std::chrono::milliseconds(100);
// So many in a row, and a holder does not count as alive any more.
constexpr int kMissedHeartbeats = 2;

constexpr Statement kTryLock{"leadership_try_lock", "SELECT pg_try_advisory_lock($1)"};
constexpr Statement kHolder{"leadership_holder",
                            "SELECT holder, epoch, round(extract(epoch FROM clock_timestamp() - "
                            "greatest(heartbeat_at, 'epoch')), 1) FROM leadership"};
constexpr Statement kSilence{
    "leadership_silence",
    "SELECT extract(epoch FROM clock_timestamp() - greatest(heartbeat_at, 'epoch'))::float8 "
    "FROM leadership"};
constexpr Statement kEndHolder{"leadership_end_holder", R"(
SELECT pg_terminate_backend(a.pid)
  FROM pg_stat_activity a, leadership l
 WHERE a.datname = current_database()
   AND a.pid <> pg_backend_pid()
   AND a.application_name = l.holder
   AND l.holder NOT IN ('', current_setting('application_name'))
   AND l.heartbeat_at <= clock_timestamp() - make_interval(secs => $1))"};
constexpr Statement kTakeOver{"leadership_take_over",
                              "UPDATE leadership SET holder = current_setting('application_name'), "
                              "heartbeat_at = clock_timestamp()"};
constexpr Statement kHeartbeat{"leadership_heartbeat",
                               "UPDATE leadership SET heartbeat_at = clock_timestamp() "
                               "WHERE holder = current_setting('application_name') RETURNING 1"};

absl::Status Terminated(const absl::Status& cause) {
  return MakeError(absl::StatusCode::kUnavailable, "LEADERSHIP_LOST",
                   fmt::format("this controller no longer leads: {}", std::string(cause.message())),
                   "It stops; the supervisor starts it again, or another controller takes over.");
}

absl::StatusOr<bool> TryLock(Session& session) {
  return CatchPqxx([&]() -> absl::StatusOr<bool> {
    pqxx::nontransaction direct(session.connection());
    return Transaction(session, direct).Run(kTryLock, kLeaderLock)[0][0].as<bool>();
  });
}

// Since the holder's last sign of life, by the server's clock.
absl::StatusOr<Duration> Silence(Session& session) {
  return CatchPqxx([&]() -> absl::StatusOr<Duration> {
    pqxx::nontransaction direct(session.connection());
    const auto seconds = Transaction(session, direct).Run(kSilence).at(0)[0].as<double>();
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  });
}

// Ends the connections of the holder that the row names, if it is silent for so long.
absl::Status EndHolder(Session& session, Duration silent_for) {
  return CatchPqxx([&]() -> absl::Status {
    pqxx::nontransaction direct(session.connection());
    Transaction(session, direct).Run(kEndHolder, std::chrono::duration<double>(silent_for).count());
    return absl::OkStatus();
  });
}

absl::Status TakeOver(Session& session) {
  return CatchPqxx([&]() -> absl::Status {
    pqxx::nontransaction direct(session.connection());
    Transaction(session, direct).Run(kTakeOver);
    return absl::OkStatus();
  });
}

absl::Status HeldBySomebodyElse(Session& session) {
  return CatchPqxx([&]() -> absl::Status {
    pqxx::nontransaction direct(session.connection());
    const pqxx::row row = Transaction(session, direct).Run(kHolder).at(0);
    return MakeError(
        absl::StatusCode::kUnavailable, "LEADERSHIP_HELD",
        fmt::format("another controller leads: '{}', term {}, last sign of life {} s ago",
                    row[0].c_str(), row[1].c_str(), row[2].c_str()),
        "Stop it first, or give this one a database of its own. The place of one that gives no "
        "sign of life is taken by itself.");
  });
}

}  // namespace

class Leadership::Impl {
 public:
  Impl(std::unique_ptr<Session> session, const LeadershipOptions& options,
       std::function<void(const absl::Status&)> on_lost)
      : heartbeat_interval_(options.heartbeat_interval),
        on_lost_(std::move(on_lost)),
        stop_fd_(eventfd(0, EFD_CLOEXEC)),
        session_(std::move(session)) {
    SLIPWAY_CHECK(stop_fd_ >= 0);
    watcher_ = std::thread([this] { Watch(); });
    pthread_setname_np(watcher_.native_handle(), "leadership");
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    const std::uint64_t one = 1;
    SLIPWAY_CHECK(write(stop_fd_, &one, sizeof one) == sizeof one);
    watcher_.join();
    close(stop_fd_);
  }

  [[nodiscard]] bool held() const { return held_.load(); }

 private:
  void Watch() {
    const auto millis =
        std::chrono::duration_cast<std::chrono::milliseconds>(heartbeat_interval_).count();
    for (;;) {
      pollfd waited[] = {{.fd = stop_fd_, .events = POLLIN, .revents = 0},
                         {.fd = session_->connection().sock(), .events = POLLIN, .revents = 0}};
      if (poll(waited, 2, static_cast<int>(millis)) < 0 && errno == EINTR) continue;
      if (waited[0].revents != 0) return;
      // Whatever the server said, a heartbeat finds out whether it was goodbye.
      if (const absl::Status status = Heartbeat(); !status.ok()) {
        held_.store(false);
        on_lost_(Terminated(status));
        return;
      }
    }
  }

  absl::Status Heartbeat() {
    return CatchPqxx([&]() -> absl::Status {
      pqxx::nontransaction direct(session_->connection());
      if (Transaction(*session_, direct).Run(kHeartbeat).empty()) {
        return absl::FailedPreconditionError("another controller has taken over");
      }
      return absl::OkStatus();
    });
  }

  // Constant after construction.
  const Duration heartbeat_interval_;
  const std::function<void(const absl::Status&)> on_lost_;
  const int stop_fd_;

  // Own synchronisation.
  std::atomic<bool> held_{true};

  // Confined to watcher_.
  const std::unique_ptr<Session> session_;

  std::thread watcher_;
};

absl::StatusOr<std::unique_ptr<Leadership>> Leadership::Acquire(
    const LeadershipOptions& options, std::function<void(const absl::Status&)> on_lost) {
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Open(options.database));
  const SystemClock clock;
  const MonoTime deadline = clock.Mono() + options.wait;
  for (;;) {
    SLIPWAY_ASSIGN_OR_RETURN(const bool locked, TryLock(*session));
    if (locked) break;
    SLIPWAY_RETURN_IF_ERROR(EndHolder(*session, options.stale_after));
    if (clock.Mono() >= deadline) {
      SLIPWAY_ASSIGN_OR_RETURN(const Duration silence, Silence(*session));
      const bool alive = silence < kMissedHeartbeats * options.heartbeat_interval;
      if (alive || clock.Mono() >= deadline + options.stale_after) {
        return HeldBySomebodyElse(*session);
      }
    }
    std::this_thread::sleep_for(kRetryInterval);
  }
  SLIPWAY_RETURN_IF_ERROR(EndHolder(*session, Duration::zero()));
  SLIPWAY_RETURN_IF_ERROR(TakeOver(*session));
  return std::unique_ptr<Leadership>(
      new Leadership(std::make_unique<Impl>(std::move(session), options, std::move(on_lost))));
}

Leadership::Leadership(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Leadership::~Leadership() = default;

bool Leadership::held() const { return impl_->held(); }

}  // namespace slipway::store::pg
