#include "controller/api/submit_call.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

  // `refused`: the request as a whole, told to callers with a good token only.
  SubmitCall(grpc::CallbackServerContext& context, const Deps& deps, std::vector<Item> items,
             absl::Status refused, Answer answer)
      : EndingCall(context),
        deps_(deps),
        items_(std::move(items)),
        refused_(std::move(refused)),
        answer_(std::move(answer)),
        left_(items_.size() + 1) {}

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
    if (!caller.ok() || !refused_.ok()) {
      const std::lock_guard lock(mu_);
      FinishLocked(caller.ok() ? refused_ : caller.status());
      return;
    }
    caller_ = *caller;
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
    for (v1::Task& task : *tasks) *item.response.add_tasks() = std::move(task);
  }

  const Deps& deps_;
  std::vector<Item> items_;
  const absl::Status refused_;
  const Answer answer_;
  // Set before anything is submitted.
  std::optional<access::Caller> caller_;
  std::size_t left_;  // items without a reply, and one for Begin
};

grpc::ServerUnaryReactor* StartCall(grpc::CallbackServerContext& context, const Deps& deps,
                                    std::vector<Item> items, absl::Status refused,
                                    SubmitCall::Answer answer) {
  auto call = std::make_shared<SubmitCall>(context, deps, std::move(items), std::move(refused),
                                           std::move(answer));
  call->Start(call);
  return call.get();
}

// What a SubmitRunRequest asks for. `request` outlives it.
Expander ExpanderOf(const Deps& deps, const v1::SubmitRunRequest& request) {
  return [&deps, &request](const access::Caller& caller, const domain::Targets& targets,
                           WallTime now) -> absl::StatusOr<Expanded> {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                             FindApplication(deps, caller, request.application()));
    SLIPWAY_ASSIGN_OR_RETURN(auto expanded,
                             Expand(request, application, caller.account, targets, now));
    SLIPWAY_RETURN_IF_ERROR(TakeScriptsWord(deps, caller, request, expanded.run));
    if (!request.has_packaging()) return expanded;
    auto packaging =
        PackagingFrom(request.packaging(), expanded.run, deps.farm, deps.sealing_certificate, now);
    // gRPC's own, which nobody reads again: its passwords must not outlive their use.
    ForgetPasswords(*const_cast<v1::SubmitRunRequest&>(request).mutable_packaging());
    SLIPWAY_RETURN_IF_ERROR(packaging.status());
    expanded.run.packaging = *std::move(packaging);
    return expanded;
  };
}

}  // namespace

grpc::ServerUnaryReactor* NewExpandedCall(grpc::CallbackServerContext& context, const Deps& deps,
                                          Expander expand, v1::SubmitRunResponse& response) {
  std::vector<Item> items(1);
  items[0].expand = std::move(expand);
  return StartCall(context, deps, std::move(items), absl::OkStatus(),
                   [&response](std::vector<Item>& done) {
                     if (done[0].status.ok()) response = std::move(done[0].response);
                     return done[0].status;
                   });
}

grpc::ServerUnaryReactor* NewSubmitCall(grpc::CallbackServerContext& context, const Deps& deps,
                                        const v1::SubmitRunRequest& request,
                                        v1::SubmitRunResponse& response) {
  return NewExpandedCall(context, deps, ExpanderOf(deps, request), response);
}

grpc::ServerUnaryReactor* NewSubmitManyCall(grpc::CallbackServerContext& context, const Deps& deps,
                                            const v1::SubmitRunsRequest& request,
                                            v1::SubmitRunsResponse& response) {
  absl::Status refused;
  int size = request.runs_size();
  if (size < 1 || size > kMaxRuns) {
    refused = BadField("runs", "send 1 to 1000");
    size = 0;
  }
  std::vector<Item> items(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].expand = ExpanderOf(deps, request.runs(static_cast<int>(i)));
  }
  return StartCall(context, deps, std::move(items), std::move(refused),
                   [&response](std::vector<Item>& done) {
                     for (Item& item : done) {
                       v1::SubmittedRun& run = *response.add_runs();
                       if (item.status.ok()) {
                         *run.mutable_run() = std::move(item.response);
                       } else {
                         *run.mutable_error() = rpc::ToCallError(item.status);
                       }
                     }
                     return absl::OkStatus();
                   });
}

}  // namespace slipway::api
