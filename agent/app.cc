#include "agent/app.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <variant>

#include "agent/engine_timeout.h"
#include "agent/init_copy.h"
#include "agent/link/channel.h"
#include "agent/link/clock_check.h"
#include "common/git/trash.h"
#include "common/log/log.h"
#include "common/status/status.h"

#ifndef SLIPWAY_VERSION
#define SLIPWAY_VERSION "unversioned"
#endif

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;

// A signal is to end the process promptly.
constexpr Duration kStopPatience = 2s;
// For the containers that wait, which an Engine that is well removes within a second. One that is
// just being made has to be there before it can be removed.
constexpr Duration kGiveUpPatience = 12s;
// For what is left of builds when the farm has thrown the agent out.
constexpr Duration kDeletePatience = 30s;
constexpr Duration kLongestTurn = 1min;

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// What the operator says of the machine, and what it says of itself.
std::map<std::string, std::string> LabelsOf(const Options& options) {
  std::map<std::string, std::string> labels = options.labels;
  utsname machine{};
  if (uname(&machine) == 0) labels["arch"] = machine.machine;
  labels["os"] = "linux";
  labels["executor"] = "docker";
  return labels;
}

}  // namespace

App::App(Options options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<App>> App::Create(Options options) {
  std::unique_ptr<App> app(new App(std::move(options)));
  // 1. One agent per data directory.
  SLIPWAY_RETURN_IF_ERROR(app->LockDataDir());
  // 2. Who we are.
  SLIPWAY_ASSIGN_OR_RETURN(app->identity_, link::LoadIdentity(app->options_.data_dir));
  if (!app->options_.server_name.empty()) {
    app->identity_.server_name = app->options_.server_name;
  }
  app->channels_ = std::make_unique<link::Channels>(app->identity_);
  // 3. What we remember.
  SLIPWAY_ASSIGN_OR_RETURN(journal::Journal::Opened opened,
                           journal::Journal::Open({.path = app->options_.data_dir + "/journal"}));
  app->journal_ = std::move(opened.journal);
  if (opened.cut_bytes > 0) {
    log::Warn("journal_end_was_torn", {{"bytes", std::to_string(opened.cut_bytes)}});
  }
  // 4. What we work with.
  const bool holds_work =
      std::any_of(opened.entries.begin(), opened.entries.end(), [](const JournalEntry& entry) {
        return std::holds_alternative<JournalAccepted>(entry.what);
      });
  SLIPWAY_RETURN_IF_ERROR(app->OpenEngine(holds_work));
  const std::string init_source =
      app->options_.init_binary.empty()
          ? std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/slipway-init"
          : app->options_.init_binary;
  SLIPWAY_ASSIGN_OR_RETURN(const std::string init, CopyInit(init_source, app->options_.data_dir));
  SLIPWAY_RETURN_IF_ERROR(app->OpenWorkspace());
  SLIPWAY_RETURN_IF_ERROR(app->OpenImages());
  SLIPWAY_RETURN_IF_ERROR(app->OpenRunner(init));
  app->OpenHealth();
  app->core_ = std::make_unique<AgentCore>(
      AgentOptions{.slots = app->options_.slots, .labels = LabelsOf(app->options_)});
  app->journal_->Start([a = app.get()](JournalId id) { a->Post(JournalSynced{id}); },
                       [a = app.get()](const absl::Status& why) { a->Fail(why); });
  app->link_ = std::make_unique<link::Link>(
      [channels = app->channels_.get()] { return channels->Control(); },
      link::LinkOptions{
          .server = app->identity_.server,
          .agent_version = SLIPWAY_VERSION,
          .explain =
              [a = app.get()] { return link::ExplainByClock(a->identity_, a->clock_.Wall()); }},
      *app, [a = app.get()](Event event) { a->Post(std::move(event)); },
      [a = app.get()](const absl::Status& why) { a->Refuse(why); });
  app->renewer_ = std::make_unique<link::Renewer>(
      app->identity_.Copy(), link::RenewerOptions{.data_dir = app->options_.data_dir},
      *app->channels_, [a = app.get()](const absl::Status& why) { a->Refuse(why); });
  // 5. Where we were.
  app->Carry(app->core_->Load(opened.entries, app->clock_.Mono()));
  if (app->engine_answers_) app->ReapLeftOvers();
  // 6. The world may speak.
  app->images_->Start();
  app->networks_->Start();
  app->pool_->Start();
  app->health_->Start();
  app->link_->Start();
  app->renewer_->Start();
  log::Info("agent_started", {{"version", SLIPWAY_VERSION},
                              {"agent", app->identity_.agent.value()},
                              {"name", app->identity_.name},
                              {"server", app->identity_.server},
                              {"slots", std::to_string(app->options_.slots)},
                              {"held", std::to_string(app->core_->Attempts().size())}});
  return app;
}

App::~App() = default;

absl::Status App::LockDataDir() {
  const std::string path = options_.data_dir + "/lock";
  if (!std::filesystem::is_directory(options_.data_dir)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_JOINED",
                     fmt::format("{} is not a directory", options_.data_dir),
                     "Run: slipway-agent join HOST:PORT --token TOKEN --data-dir DIR");
  }
  lock_ = fs::UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock_.valid()) return ErrnoError(errno, path);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
                   fmt::format("another slipway-agent works in {}", options_.data_dir),
                   "Stop it first, or give this one a --data-dir of its own.");
}

void App::ReapLeftOvers(Duration timeout) {
  const auto report = executor::Reap(
      *engine_, {.farm = identity_.farm, .agent = identity_.agent},
      [this]() -> absl::StatusOr<executor::Keep> {
        executor::Keep keep;
        keep.attempts = runner_->Held();
        SLIPWAY_ASSIGN_OR_RETURN(keep.containers, runner_->HeldContainers());
        keep.containers.merge(networks_->Held());
        keep.containers.merge(pool_->Held());
        return keep;
      },
      timeout);
  if (!report.ok()) {
    log::Warn("reaper", {{"why", Describe(report.status())}});
    return;
  }
  if (!report->removed.empty()) {
    log::Info("reaper", {{"removed", std::to_string(report->removed.size())}});
  }
}

void App::Post(Event event) {
  {
    const std::lock_guard lock(mu_);
    // The log's end only ever moves on: one event stands for many.
    if (const auto* grew = std::get_if<LogGrew>(&event); grew != nullptr && !events_.empty()) {
      auto* last = std::get_if<LogGrew>(&events_.back());
      if (last != nullptr && last->key == grew->key) {
        *last = *grew;
        return;
      }
    }
    events_.push_back(std::move(event));
  }
  changed_.notify_one();
}

void App::Fail(const absl::Status& why) {
  log::Error("agent_fails", {{"why", Describe(why)}});
  {
    const std::lock_guard lock(mu_);
    exit_status_ = kFailed;
  }
  changed_.notify_one();
}

void App::Refuse(const absl::Status& why) {
  log::Error("agent_refused", {{"why", Describe(why)}});
  const std::string reason = GetErrorInfo(why).reason;
  // What it holds is nobody's by then. After any other refusal it may still be wanted: by the farm,
  // once somebody has put things right.
  const bool gone = reason == "AGENT_REVOKED" || reason == "AGENT_RETIRED";
  {
    const std::lock_guard lock(mu_);
    if (!refusal_.ok()) return;
    refusal_ = why;
    give_up_at_ = clock_.Mono() + (gone ? kDeletePatience : Duration::zero());
    if (gone) events_.emplace_back(Disowned{});
  }
  changed_.notify_one();
}

absl::Status App::refusal() {
  const std::lock_guard lock(mu_);
  return refusal_;
}

void App::RequestDrain() { Post(DrainRequested{}); }
void App::RequestHurry() { Post(HurryRequested{}); }

void App::RequestStop() {
  {
    const std::lock_guard lock(mu_);
    if (!exit_status_) exit_status_ = refusal_.ok() ? kDone : kRefused;
  }
  changed_.notify_one();
}

std::string App::Status() const {
  return fmt::format("{}{}, {} held", connected_ ? "connected" : "not connected",
                     draining_ ? ", draining" : "", core_->Attempts().size());
}

int App::Run(const supervisor::Notifier& notifier) {
  // Woken thrice per watchdog interval, so that a late turn is no hang.
  const Duration turn = notifier.watchdog() ? *notifier.watchdog() / 3 : kLongestTurn;
  std::string status;
  MonoTime vouch_at = clock_.Mono();
  for (;;) {
    if (const MonoTime now = clock_.Mono(); now >= vouch_at) {
      notifier.Alive();
      vouch_at = now + turn;
    }
    if (std::string now = Status(); now != status) {
      notifier.Status(now);
      status = std::move(now);
    }
    Event event = Tick{};
    {
      std::unique_lock lock(mu_);
      const auto ready = [this] { return exit_status_.has_value() || !events_.empty(); };
      const MonoTime now = clock_.Mono();
      Duration rest = vouch_at - now;
      if (const std::optional<MonoTime> deadline = core_->NextDeadline())
        rest = std::min(rest, *deadline - now);
      if (give_up_at_) rest = std::min(rest, *give_up_at_ - now);
      changed_.wait_for(lock, std::max(rest, Duration::zero()), ready);
      if (exit_status_) return *exit_status_;
      if (give_up_at_ && events_.empty() && clock_.Mono() >= *give_up_at_) return kRefused;
      if (!events_.empty()) {
        event = std::move(events_.front());
        events_.pop_front();
      }
    }
    if (std::holds_alternative<Connected>(event)) connected_ = true;
    if (std::holds_alternative<Disconnected>(event)) connected_ = false;
    draining_ = draining_ || std::holds_alternative<DrainRequested>(event) ||
                std::holds_alternative<HurryRequested>(event);
    std::optional<AttemptKey> deleted;
    if (const auto* done = std::get_if<AttemptDeleted>(&event)) deleted = done->key;
    Carry(core_->Apply(std::move(event), clock_.Mono(), clock_.Wall()));
    if (deleted) runner_->Forget(*deleted);
    if (journal_->WantsRewrite()) journal_->Rewrite(core_->Snapshot());
  }
}

void App::Carry(std::vector<Action> actions) {
  const Overloaded carry = {
      [this](Send& what) { link_->Send(what.message); },
      [this](SendLog& what) { link_->SendLog(what.key, what.offset, what.end); },
      [this](WriteJournal& what) { journal_->Append(what.id, what.entry); },
      [this](StartAttempt& what) { runner_->Start(what); },
      [this](AdoptAttempt& what) { runner_->Adopt(what); },
      [this](CancelAttempt& what) { runner_->Cancel(what.key); },
      [this](DeleteAttempt& what) {
        link_->DropLog(what.key);
        runner_->Delete(what.key);
      },
      [this](GivePermit& what) { runner_->GivePermit(what); },
      [this](DenyPermit& what) { runner_->DenyPermit(what); },
      [this](FreeSpool& what) { runner_->FreeSpool(what.key, what.below); },
      [this](PrepareImages& what) { images_->SetOrders(what.orders); },
      [this](Drained&) { RequestStop(); },
  };
  for (Action& action : actions) std::visit(carry, action);
}

bool App::Stop() {
  renewer_->Stop();
  link_->Stop();
  health_->Stop();
  images_->Stop();
  bool left = runner_->Stop(kStopPatience);
  left &= pool_->Stop(kGiveUpPatience);
  left &= networks_->Stop(kGiveUpPatience);
  if (left && engine_answers_) ReapLeftOvers(kGiveUpPatience);
  return left;
}

absl::StatusOr<std::size_t> App::ReadLog(const AttemptKey& key, std::uint64_t offset, char* buffer,
                                         std::size_t size) {
  return runner_->ReadLog(key, offset, buffer, size);
}

std::vector<link::LogMark> App::LogMarks(const AttemptKey& key, std::uint64_t begin,
                                         std::uint64_t end) {
  std::vector<link::LogMark> marks;
  for (const initlink::TimeMark& mark : runner_->LogMarks(key, begin, end)) {
    marks.push_back({.offset = mark.offset, .unix_micros = mark.unix_us});
  }
  return marks;
}

}  // namespace slipway::agent
