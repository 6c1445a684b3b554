#include "controller/channels/courier.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "common/log/log.h"
#include "common/loghash/segment_hasher.h"
#include "common/status/status.h"
#include "controller/agent_gateway/text.h"
#include "controller/work/work_pool.h"

namespace slipway::channels {
namespace {

using agent_gateway::StorableText;
using protocol::AttemptPhase;
using Body = scheduler::SessionSink::Body;

constexpr std::chrono::milliseconds kTick(1000);
constexpr std::chrono::milliseconds kLastTick(50);
// A lost message is repeated after this long.
constexpr auto kRepeat = std::chrono::seconds(2);
// Texts of servers are cut to these and made such that any store takes them.
constexpr std::size_t kMaxDetail = 1024;
constexpr std::size_t kMaxWords = 4096;
constexpr auto kLogPatience = std::chrono::seconds(10);
// At the end of the process, for what is under way.
// What has left is of unknown outcome when it is cut off, and somebody has to ask.
constexpr auto kLastPatience = std::chrono::seconds(20);

struct Job;

// What a job's thread asks of the courier.
class Office {
 public:
  virtual ~Office() = default;
  virtual bool Post(scheduler::Event event) = 0;
  virtual scheduler::Origin origin() = 0;
  virtual std::uint64_t NextSequence() = 0;
};

// One attempt. Guarded by its mu, but for what its thread alone uses.
struct Job final : public AttemptVoice {
  Job(AttemptKey its_key, Office& its_office, logs::LogStore& its_logs, const Clock& its_clock)
      : key(std::move(its_key)), office(its_office), logs(its_logs), clock(its_clock) {}

  bool canceled() const override { return cancel.load(); }

  void Step(std::uint32_t number, const char* name, protocol::StepState state,
            const std::string& detail) override {
    office.Post(scheduler::StepReported{office.origin(),
                                        {.key = key,
                                         .number = number,
                                         .name = name,
                                         .state = state,
                                         .at = clock.Wall(),
                                         .detail = StorableText(detail, kMaxDetail)}});
  }

  void Log(std::string_view line) override {
    const std::string text = std::string(line) + "\n";
    if (!appender) {
      auto opened = logs.Open(key);
      if (!opened.ok()) {
        // A full disk: the attempt goes on without a log, and its result says what is lost.
        lost += text.size();
        return;
      }
      appender = std::move(*opened);
      appender->SetAckSink([this](const protocol::LogAck& ack) {
        const std::lock_guard lock(mu);
        durable = std::max(durable, ack.durable);
        changed.notify_all();
      });
    }
    const std::int64_t now = ToUnixMicros(clock.Wall());
    const auto ack = lost > 0 ? absl::StatusOr<std::optional<protocol::LogAck>>(
                                    absl::ResourceExhaustedError("bytes are missing before it"))
                              : appender->Append(hasher.next(), text, {{hasher.next(), now}});
    if (!ack.ok()) {
      lost += text.size();
      return;
    }
    hasher.Update(text);
    if (!*ack) return;
    const std::lock_guard lock(mu);
    durable = std::max(durable, (*ack)->durable);
  }

  absl::StatusOr<std::variant<protocol::Permit, protocol::Failure>> AskLeave(
      const Sha256Digest& manifest) override {
    // By sequence: a permit's time runs from the question that it answers.
    std::map<std::uint64_t, MonoTime> asked;
    std::unique_lock lock(mu);
    while (true) {
      const std::uint64_t sequence = office.NextSequence();
      asked[sequence] = clock.Mono();
      lock.unlock();
      office.Post(scheduler::PermitRequested{.from = office.origin(),
                                             .key = key,
                                             .manifest = manifest,
                                             .nonce = {},
                                             .sequence = sequence,
                                             .deadline = {}});
      lock.lock();
      changed.wait_for(lock, kRepeat,
                       [this] { return permit || denied || cancel.load() || stopping; });
      if (denied) return std::variant<protocol::Permit, protocol::Failure>(*denied);
      if (cancel.load() || stopping) return absl::CancelledError("the task was canceled");
      if (!permit) continue;
      const auto question = asked.find(permit->answers);
      if (question != asked.end() && clock.Mono() < question->second + permit->valid_for) {
        return std::variant<protocol::Permit, protocol::Failure>(*permit);
      }
      permit.reset();
    }
  }

  bool Wait(Duration time) override {
    std::unique_lock lock(mu);
    return !changed.wait_for(lock, time, [this] { return cancel.load() || stopping; });
  }

  // What the log came to, once it is durable.
  protocol::LogSummary EndLog() {
    protocol::LogSummary summary;
    summary.size = hasher.next();
    summary.missing = lost;
    if (appender) {
      std::unique_lock lock(mu);
      changed.wait_for(lock, kLogPatience, [&] { return durable >= summary.size || stopping; });
      lock.unlock();
      appender->SetAckSink({});
      appender.reset();
    }
    if (lost == 0) summary.root = hasher.Finish();
    return summary;
  }

  const AttemptKey key;
  Office& office;
  logs::LogStore& logs;
  const Clock& clock;
  std::atomic<bool> cancel{false};

  std::mutex mu;
  std::condition_variable changed;
  bool stopping = false;
  std::optional<protocol::Permit> permit;
  std::optional<protocol::Failure> denied;
  std::uint64_t durable = 0;

  // Its thread's.
  std::shared_ptr<logs::LogAppender> appender;
  loghash::SegmentHasher hasher;
  std::uint64_t lost = 0;

  // The courier's thread's.
  protocol::TaskKind kind = protocol::TaskKind::kPublish;
  AttemptPhase phase = AttemptPhase::kAccepted;
  bool forgotten = false;
  // Written by the job's thread before it says that it is done.
  std::optional<protocol::AttemptResult> result;
};

// The session as the gateway knows it: hands on what comes to the courier's thread.
class Session final : public agent_gateway::AgentStream {
 public:
  struct Inbox {
    std::mutex mu;
    std::condition_variable changed;
    std::deque<Body> bodies;
    std::deque<AttemptKey> done;
    bool ended = false;    // the session; another one may follow
    bool closing = false;  // the courier
  };
  explicit Session(std::shared_ptr<Inbox> inbox) : inbox_(std::move(inbox)) {}

  void Send(Body body) override {
    // Channels' secrets do not travel with permits.
    agent_gateway::WipeSecret(body);
    const std::lock_guard lock(inbox_->mu);
    inbox_->bodies.push_back(std::move(body));
    inbox_->changed.notify_all();
  }
  void End(const absl::Status&) override {
    const std::lock_guard lock(inbox_->mu);
    inbox_->ended = true;
    inbox_->changed.notify_all();
  }
  void Tick(MonoTime) override {}

 private:
  const std::shared_ptr<Inbox> inbox_;
};

class RealCourier final : public Courier, public Office {
 public:
  RealCourier(const Options& options, const Deps& deps, const DeliveryDeps& delivery)
      : options_(options), deps_(deps), delivery_(delivery), pool_(options.slots) {
    thread_ = std::thread([this] { Loop(); });
  }
  ~RealCourier() override {
    {
      const std::lock_guard lock(inbox_->mu);
      inbox_->closing = true;
      inbox_->changed.notify_all();
    }
    thread_.join();
  }

 private:
  bool Post(scheduler::Event event) override { return deps_.scheduler.Post(std::move(event)); }
  scheduler::Origin origin() override {
    const std::lock_guard lock(origin_mu_);
    return origin_;
  }
  std::uint64_t NextSequence() override { return ++sequence_; }

  void Loop() {
    std::optional<MonoTime> last_moment;
    while (true) {
      std::deque<Body> bodies;
      std::deque<AttemptKey> done;
      bool ended = false;
      {
        std::unique_lock lock(inbox_->mu);
        inbox_->changed.wait_for(lock, last_moment ? kLastTick : kTick, [&] {
          return !inbox_->bodies.empty() || !inbox_->done.empty() || inbox_->ended ||
                 (inbox_->closing && !last_moment);
        });
        if (inbox_->closing && !last_moment) last_moment = deps_.clock.Mono() + kLastPatience;
        bodies.swap(inbox_->bodies);
        done.swap(inbox_->done);
        ended = std::exchange(inbox_->ended, false);
      }
      if (ended) Close();
      if (!session_) Connect();
      for (Body& body : bodies) Take(body);
      for (const AttemptKey& key : done) Done(key);
      const MonoTime now = deps_.clock.Mono();
      if (session_ && now >= next_sync_) Sync(now);
      closing_ = last_moment.has_value();
      if (closing_ && (jobs_.empty() || !session_ || now >= *last_moment)) break;
    }
    Stop();
  }

  void Connect() {
    auto session = std::make_shared<Session>(inbox_);
    const auto number = deps_.gateway.Open(AgentId(domain::kControllerAgent), session);
    if (!number.ok()) return;
    session_ = std::move(session);
    {
      const std::lock_guard lock(origin_mu_);
      origin_ = {AgentId(domain::kControllerAgent), *number};
    }
    inventories_.clear();
    Sync(deps_.clock.Mono());
  }

  void Close() {
    if (!session_) return;
    const scheduler::Origin from = origin();
    deps_.gateway.Close(from.agent, from.session);
    Post(scheduler::SessionClosed{from});
    session_.reset();
  }

  void Stop() {
    for (const auto& [key, job] : jobs_) End(*job);
    Close();
    // The pool's destruction waits for their threads.
  }

  // Its thread comes to an end soon.
  static void End(Job& job) {
    job.cancel = true;
    const std::lock_guard lock(job.mu);
    job.stopping = true;
    job.changed.notify_all();
  }

  void Sync(MonoTime now) {
    next_sync_ = now + options_.sync_interval;
    protocol::Inventory inventory;
    inventory.sequence = NextSequence();
    inventory.slots = static_cast<std::uint32_t>(options_.slots);
    inventory.labels = {{"executor", "controller"}};
    std::set<AttemptKey> held;
    for (const auto& [key, job] : jobs_) {
      inventory.attempts.push_back({.key = key, .kind = job->kind, .phase = job->phase});
      held.insert(key);
    }
    inventories_[inventory.sequence] = std::move(held);
    if (inventories_.size() > 100) inventories_.erase(inventories_.begin());
    Post(scheduler::InventoryReceived{origin(), std::move(inventory), domain::kControllerAgent});
    for (const auto& [key, job] : jobs_) {
      if (job->phase == AttemptPhase::kFinished) Report(*job);
    }
  }

  void Take(Body& body) {
    if (auto* desired = std::get_if<protocol::Desired>(&body)) {
      std::set<AttemptKey> named;
      for (const protocol::DesiredAttempt& attempt : desired->attempts) {
        named.insert(attempt.key);
        Want(attempt);
      }
      const auto answered = inventories_.find(desired->answers);
      if (answered == inventories_.end()) return;
      // What an answer leaves out is nobody's any more.
      for (const AttemptKey& key : answered->second) {
        if (!named.contains(key)) Forget(key);
      }
      inventories_.erase(inventories_.begin(), std::next(answered));
    } else if (auto* permit = std::get_if<protocol::Permit>(&body)) {
      Tell(permit->key, [&](Job& job) { job.permit = *permit; });
    } else if (auto* denied = std::get_if<protocol::PermitDenied>(&body)) {
      Tell(denied->key, [&](Job& job) { job.denied = denied->failure; });
    }
  }

  template <typename Change>
  void Tell(const AttemptKey& key, const Change& change) {
    const auto it = jobs_.find(key);
    if (it == jobs_.end()) return;
    const std::lock_guard lock(it->second->mu);
    change(*it->second);
    it->second->changed.notify_all();
  }

  void Want(const protocol::DesiredAttempt& wanted) {
    const auto it = jobs_.find(wanted.key);
    switch (wanted.want) {
      case protocol::Want::kOffer:
        if (it == jobs_.end() &&
            (closing_ || jobs_.size() >= static_cast<std::size_t>(options_.slots))) {
          Post(scheduler::Refused{origin(), wanted.key,
                                  closing_ ? "the controller is stopping" : "no slot is free"});
          return;
        }
        if (it == jobs_.end()) {
          auto job = std::make_shared<Job>(wanted.key, *this, deps_.logs, deps_.clock);
          job->kind = wanted.kind;
          jobs_.emplace(wanted.key, std::move(job));
        }
        Post(scheduler::Accepted{origin(), wanted.key});
        return;
      case protocol::Want::kStart:
        if (it != jobs_.end()) Begin(it->second);
        return;
      case protocol::Want::kCancel:
        if (it == jobs_.end()) return;
        it->second->cancel = true;
        Tell(wanted.key, [](Job&) {});
        if (it->second->phase == AttemptPhase::kAccepted) Begin(it->second);
        return;
      case protocol::Want::kForget: Forget(wanted.key); return;
      case protocol::Want::kKeep: return;
    }
  }

  void Begin(const std::shared_ptr<Job>& job) {
    if (job->phase != AttemptPhase::kAccepted) return;
    job->phase = AttemptPhase::kRunning;
    pool_.Post([this, job] { Work(*job); });
  }

  // On a thread of the pool.
  void Work(Job& job) {
    const WallTime started = deps_.clock.Wall();
    protocol::AttemptResult result;
    if (job.canceled()) {
      result.failure = protocol::Failure{.klass = protocol::FailureClass::kCanceled,
                                         .reason = "CANCELED",
                                         .message = "it was canceled before it began",
                                         .tool_words = {},
                                         .remedy = {},
                                         .remedy_zh = {}};
    } else {
      result = Deliver(delivery_, job.key, job);
    }
    if (result.failure) {
      result.failure->message = StorableText(result.failure->message, kMaxWords);
      result.failure->tool_words = StorableText(result.failure->tool_words, kMaxWords);
    }
    result.started_at = started;
    result.finished_at = deps_.clock.Wall();
    result.log = job.EndLog();
    job.result = std::move(result);
    const std::lock_guard lock(inbox_->mu);
    inbox_->done.push_back(job.key);
    inbox_->changed.notify_all();
  }

  void Done(const AttemptKey& key) {
    const auto it = jobs_.find(key);
    if (it == jobs_.end()) return;
    it->second->phase = AttemptPhase::kFinished;
    if (it->second->forgotten) {
      jobs_.erase(it);
    } else {
      Report(*it->second);
    }
  }

  void Report(const Job& job) {
    scheduler::ResultReported report;
    report.from = origin();
    report.key = job.key;
    report.result = *job.result;
    Post(std::move(report));
  }

  void Forget(const AttemptKey& key) {
    const auto it = jobs_.find(key);
    if (it == jobs_.end()) return;
    if (it->second->phase == AttemptPhase::kRunning) {
      it->second->forgotten = true;
      End(*it->second);
    } else {
      jobs_.erase(it);
    }
  }

  const Options options_;
  const Deps deps_;
  const DeliveryDeps delivery_;
  const std::shared_ptr<Session::Inbox> inbox_ = std::make_shared<Session::Inbox>();

  std::mutex origin_mu_;
  scheduler::Origin origin_;  // guarded by origin_mu_
  std::atomic<std::uint64_t> sequence_{0};

  // The courier's thread's.
  std::shared_ptr<Session> session_;
  MonoTime next_sync_{};
  bool closing_ = false;
  std::map<AttemptKey, std::shared_ptr<Job>> jobs_;
  // What each inventory that is not answered named.
  std::map<std::uint64_t, std::set<AttemptKey>> inventories_;

  // Jobs use everything above.
  work::WorkPool pool_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Courier> Courier::Start(const Options& options, const Deps& deps,
                                        const DeliveryDeps& delivery) {
  return std::make_unique<RealCourier>(options, deps, delivery);
}

}  // namespace slipway::channels
