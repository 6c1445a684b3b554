#include "controller/api/guard.h"

#include "common/status/status.h"

namespace slipway::api {

using domain::Operation;

absl::StatusOr<domain::Application> FindApplication(const Deps& deps, const access::Caller& caller,
                                                    const std::string& name, Operation operation) {
  SLIPWAY_ASSIGN_OR_RETURN(auto application, deps.applications.GetByName(name));
  SLIPWAY_RETURN_IF_ERROR(deps.auth.Check(caller,
                                          {.application = application.id, .operation = operation},
                                          "application '" + name + "'", "NO_SUCH_APPLICATION"));
  return application;
}

absl::StatusOr<store::TaskWithRun> FindTask(const Deps& deps, const access::Caller& caller,
                                            const TaskId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(auto found, deps.reader.GetTask(id));
  SLIPWAY_RETURN_IF_ERROR(deps.auth.Check(caller, {.application = found.task.application},
                                          "task '" + id.value() + "'", "NO_SUCH_TASK"));
  return found;
}

absl::StatusOr<domain::Run> FindRun(const Deps& deps, const access::Caller& caller,
                                    const RunId& id) {
  SLIPWAY_ASSIGN_OR_RETURN(auto run, deps.reader.GetRun(id));
  SLIPWAY_RETURN_IF_ERROR(deps.auth.Check(caller, {.application = run.application},
                                          "run '" + id.value() + "'", "NO_SUCH_RUN"));
  return run;
}

absl::Status CheckMayAct(const Deps& deps, const access::Caller& caller,
                         const domain::Question& question) {
  return deps.auth.Check(caller, question, "such application", "NO_SUCH_APPLICATION");
}

StreamRights::Check SeesStill(const Deps& deps, const access::Caller& caller,
                              const ApplicationId& application) {
  return [&auth = deps.auth, caller, application]() -> absl::StatusOr<WallTime> {
    SLIPWAY_ASSIGN_OR_RETURN(const auto now, auth.access().Again(caller));
    SLIPWAY_RETURN_IF_ERROR(auth.Check(now, {.application = application},
                                       "such application any more", "NO_SUCH_APPLICATION"));
    return now.expires_at;
  };
}

StreamRights::Check IsAdminStill(const Deps& deps, const access::Caller& caller) {
  return [&auth = deps.auth, caller]() -> absl::StatusOr<WallTime> {
    SLIPWAY_ASSIGN_OR_RETURN(const auto now, auth.access().Again(caller));
    SLIPWAY_RETURN_IF_ERROR(access::Access::CheckAdministers(now, domain::Authority::Need::kAdmin));
    return now.expires_at;
  };
}

store::Viewer ViewerOf(const access::Caller& caller) {
  const domain::Holder holder = caller.holder();
  store::Viewer viewer{.holdable = domain::HoldableBy(holder.kind),
                       .only = holder.token_applications};
  if (holder.kind != domain::AccountKind::kAdmin) viewer.account = caller.account.id;
  return viewer;
}

}  // namespace slipway::api
