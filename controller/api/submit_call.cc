#include "controller/api/submit_call.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/crypto/hash.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/await_reply.h"
#include "controller/api/convert.h"
#include "controller/api/ending_call.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/package_convert.h"
#include "controller/api/script_call.h"
#include "controller/api/submit.h"
#include "controller/api/task_actions.h"

namespace slipway::api {
namespace {

constexpr int kMaxRuns = 1000;
// Calls that nobody has looked at yet: some seconds' worth.
constexpr std::size_t kMaxWaiting = 10'000;

// One run of the call.
struct Item {
  Expander expand;
  std::string application;  // its name, once it is expanded
  // Of one that runs a script: what it is called, and its digest.
  std::string script_name{};
  Sha256Digest script{};
  v1::SubmitRunResponse response{};
  absl::Status status{};
};

// Takes the account, hands every run to the scheduler, and answers when the last of them has its
// reply. What reads the database runs on the pool. Everything is guarded by mu_, but for what the
// one who works on the call uses.
class SubmitCall final : public EndingCall {
 public:
  // Fills in the response and gives the status of the call.
  using Answer = std::function<absl::Status(std::vector<Item>& items)>;

  SubmitCall(grpc::CallbackServerContext& context, const Deps& deps, Plan plan, Answer answer)
      : EndingCall(context), deps_(deps), plan_(std::move(plan)), answer_(std::move(answer)) {}

  void Start(const std::shared_ptr<SubmitCall>& self) {
    Keep(self, kCommitPatience, [](const auto& call) { call->EndEarly(NoReply()); });
    if (deps_.submits.TryPost([self] { self->Begin(self); }, kMaxWaiting)) return;
    EndEarly(MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                       "too many submits are waiting", "Try again in a few seconds."));
  }

 private:
  void Begin(const std::shared_ptr<SubmitCall>& self) {
    // Its client has left, or it waited too long: the request is gone as well.
    if (!BeginWork()) return;
    const auto caller = deps_.auth.Authenticate(context_);
    // What is wrong with the request is told to callers with a good token only.
    auto planned =
        caller.ok() ? plan_(*caller) : absl::StatusOr<std::vector<Expander>>(caller.status());
    if (!planned.ok()) {
      const std::lock_guard lock(mu_);
      FinishLocked(planned.status());
      return;
    }
    caller_ = *caller;
    items_.resize(planned->size());
    left_ = items_.size() + 1;
    for (std::size_t i = 0; i < items_.size(); ++i) items_[i].expand = std::move((*planned)[i]);
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (absl::Status refused = Submit(self, i, *caller); !refused.ok()) {
        Replied(self, i, {scheduler::Ticket(), std::move(refused), RunId()});
      }
    }
    const std::lock_guard lock(mu_);
    working_ = false;
    CountLocked(self);
    if (over_ && !working_) FinishLocked(*over_);
  }

  absl::Status Submit(const std::shared_ptr<SubmitCall>& self, std::size_t i,
                      const access::Caller& caller) {
    Item& item = items_[i];
    // As the database keeps it.
    const WallTime now = FromUnixMicros(ToUnixMicros(deps_.clock.Wall()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
    SLIPWAY_ASSIGN_OR_RETURN(Expanded expanded, item.expand(caller, *targets, now));
    item.application = expanded.run.application_name;
    item.script_name = expanded.run.script_name;
    if (!item.script_name.empty()) item.script = crypto::Sha256Of(expanded.run.script);
    std::vector<domain::Authority> authorities;
    std::vector<domain::TargetUse> uses;
    for (const domain::Task& task : expanded.tasks) {
      if (!protocol::RunsScript(task.kind)) {
        const domain::Target* target = targets->Find(task.platform, task.target);
        uses.push_back({task.platform, task.target, target == nullptr ? "" : target->environment});
      }
      domain::Authority authority = caller.AuthorityFor(QuestionOf(task, *targets));
      if (std::find(authorities.begin(), authorities.end(), authority) != authorities.end())
        continue;
      SLIPWAY_RETURN_IF_ERROR(CheckMayAct(deps_, caller, authority.question));
      authorities.push_back(std::move(authority));
    }
    item.response.set_run(expanded.run.id.value());
    for (const domain::Task& task : expanded.tasks) {
      *item.response.add_tasks() = ToProto(task, expanded.run, "");
    }
    std::vector<ShownTask> shown;
    for (std::size_t t = 0; t < expanded.tasks.size(); ++t) {
      shown.push_back({&expanded.tasks[t], item.response.mutable_tasks(static_cast<int>(t))});
    }
    SLIPWAY_RETURN_IF_ERROR(AddActions(deps_, caller, shown));
    deps_.scheduler.Submit(
        std::move(expanded.run), std::move(expanded.tasks),
        [self, i](const scheduler::Reply& reply) { self->Replied(self, i, reply); },
        {caller.address, std::move(authorities), std::move(uses)});
    return absl::OkStatus();
  }

  // From any thread; once for each item.
  void Replied(const std::shared_ptr<SubmitCall>& self, std::size_t i,
               const scheduler::Reply& reply) {
    const std::lock_guard lock(mu_);
    items_[i].status = reply.status;
    if (reply.status.code() == absl::StatusCode::kAlreadyExists) {
      items_[i].response.set_run(reply.run.value());
    }
    CountLocked(self);
  }

  void CountLocked(const std::shared_ptr<SubmitCall>& self) {
    if (--left_ > 0 || finished_) return;
    working_ = true;
    deps_.submits.Post([self] { self->End(); });
  }

  void End() {
    absl::Status status;
    {
      const std::lock_guard lock(mu_);
      if (over_) status = *over_;
    }
    if (status.ok()) {
      for (Item& item : items_) DescribeExisting(item);
      status = answer_(items_);
    }
    const std::lock_guard lock(mu_);
    FinishLocked(status);
  }

  // The same submit was made before.
  void DescribeExisting(Item& item) {
    if (item.status.code() != absl::StatusCode::kAlreadyExists) return;
    auto tasks = DescribeRun(deps_, *caller_, RunId(item.response.run()));
    item.status = tasks.status();
    item.response.clear_tasks();
    if (!tasks.ok()) return;
    // One may see its own, and not that of another application.
    if (!tasks->empty() && tasks->front().application() != item.application) {
      item.response.clear_run();
      item.status = BadField("request_id", "was used for a run of another application");
      return;
    }
    if (absl::Status same = CheckSameScript(item); !same.ok()) {
      item.response.clear_run();
      item.status = std::move(same);
      return;
    }
    for (v1::Task& task : *tasks) *item.response.add_tasks() = std::move(task);
  }

  // That one script passed says nothing of another.
  absl::Status CheckSameScript(const Item& item) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto run, deps_.reader.GetRun(RunId(item.response.run())));
    bool same = run.script_name == item.script_name;
    if (same && !item.script_name.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::string script, deps_.reader.ScriptOf(run.id));
      same = crypto::Sha256Of(script) == item.script;
    }
    if (same) return absl::OkStatus();
    return BadField("request_id", "was used for another script, or for none");
  }

  const Deps& deps_;
  const Plan plan_;
  const Answer answer_;
  // Set before anything is submitted.
  std::optional<access::Caller> caller_;
  std::vector<Item> items_;
  std::size_t left_ = 0;  // items without a reply, and one for Begin
};

grpc::ServerUnaryReactor* StartCall(grpc::CallbackServerContext& context, const Deps& deps,
                                    Plan plan, SubmitCall::Answer answer) {
  auto call = std::make_shared<SubmitCall>(context, deps, std::move(plan), std::move(answer));
  call->Start(call);
  return call.get();
}

// What a SubmitRunRequest asks for. `request` outlives it.
Expander ExpanderOfLasting(const Deps& deps, const v1::SubmitRunRequest& request) {
  return [&deps, &request](const access::Caller& caller, const domain::Targets& targets,
                           WallTime now) -> absl::StatusOr<Expanded> {
    const ForgettingPasswords forgetting(request.packaging());
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps, caller, request.application()));
    SLIPWAY_ASSIGN_OR_RETURN(auto expanded,
                             Expand(request, application, caller.account, targets, now));
    SLIPWAY_RETURN_IF_ERROR(TakeScriptsWord(deps, caller, request, expanded.run));
    if (request.has_packaging()) {
      SLIPWAY_ASSIGN_OR_RETURN(expanded.run.packaging,
                               PackagingFrom(request.packaging(), expanded.run, deps.farm,
                                             deps.sealing_certificate, now));
    }
    if (!request.no_cache()) deps.hot.Use(expanded.run, expanded.tasks, now);
    return expanded;
  };
}

}  // namespace

Expander ExpanderOf(const Deps& deps, v1::SubmitRunRequest request) {
  auto own = std::make_shared<v1::SubmitRunRequest>(std::move(request));
  return [own, expand = ExpanderOfLasting(deps, *own)](
             const access::Caller& caller, const domain::Targets& targets, WallTime now) {
    return expand(caller, targets, now);
  };
}

grpc::ServerUnaryReactor* NewExpandedCall(grpc::CallbackServerContext& context, const Deps& deps,
                                          Expander expand, v1::SubmitRunResponse& response) {
  return StartCall(
      context, deps,
      [expand = std::move(expand)](const access::Caller&) {
        return absl::StatusOr<std::vector<Expander>>(std::vector<Expander>{expand});
      },
      [&response](std::vector<Item>& done) {
        if (done[0].status.ok()) response = std::move(done[0].response);
        return done[0].status;
      });
}

grpc::ServerUnaryReactor* NewPlannedCall(
    grpc::CallbackServerContext& context, const Deps& deps, Plan plan,
    google::protobuf::RepeatedPtrField<v1::SubmittedRun>& runs) {
  return StartCall(context, deps, std::move(plan), [&runs](std::vector<Item>& done) {
    for (Item& item : done) {
      v1::SubmittedRun& run = *runs.Add();
      if (item.status.ok()) {
        *run.mutable_run() = std::move(item.response);
      } else {
        *run.mutable_error() = rpc::ToCallError(item.status);
      }
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NewSubmitCall(grpc::CallbackServerContext& context, const Deps& deps,
                                        const v1::SubmitRunRequest& request,
                                        v1::SubmitRunResponse& response) {
  return NewExpandedCall(context, deps, ExpanderOfLasting(deps, request), response);
}

grpc::ServerUnaryReactor* NewSubmitManyCall(grpc::CallbackServerContext& context, const Deps& deps,
                                            const v1::SubmitRunsRequest& request,
                                            v1::SubmitRunsResponse& response) {
  return NewPlannedCall(
      context, deps,
      [&deps, &request](const access::Caller&) -> absl::StatusOr<std::vector<Expander>> {
        if (request.runs_size() < 1 || request.runs_size() > kMaxRuns) {
          return BadField("runs", "send 1 to 1000");
        }
        std::vector<Expander> expanders;
        for (const v1::SubmitRunRequest& run : request.runs()) {
          expanders.push_back(ExpanderOfLasting(deps, run));
        }
        return expanders;
      },
      *response.mutable_runs());
}

}  // namespace slipway::api
