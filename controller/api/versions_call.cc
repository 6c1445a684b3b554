#include "controller/api/versions_call.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/ending_call.h"
#include "controller/api/guard.h"
#include "controller/api/version_list.h"

namespace slipway::api {
namespace {

// How long somebody is kept for what is newer than what is known.
constexpr auto kPatience = std::chrono::seconds(10);
constexpr std::size_t kMaxWaiting = 10'000;

// Finds the application, asks for its repository, and answers with what that brings or, when it
// takes too long, with what is known. What reads the database runs on the pool.
class VersionsCall final : public EndingCall {
 public:
  VersionsCall(grpc::CallbackServerContext& context, const Deps& deps,
               catalog::VersionReader& versions, store::RepositoryCredentialStore& credentials,
               const v1::ListVersionsRequest& request, v1::ListVersionsResponse& response)
      : EndingCall(context),
        deps_(deps),
        versions_(versions),
        credentials_(credentials),
        request_(request),
        response_(response) {}

  void Start(const std::shared_ptr<VersionsCall>& self) {
    Keep(self, kPatience, [](const auto& call) { call->Ring(call); });
    if (deps_.pool.TryPost([self] { self->Begin(self); }, kMaxWaiting)) return;
    EndEarly(Busy());
  }

 private:
  static absl::Status Busy() {
    return MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                     "too many calls are waiting", "Try again in a few seconds.");
  }

  void Begin(const std::shared_ptr<VersionsCall>& self) {
    if (!BeginWork()) return;
    const absl::Status found = Find();
    {
      const std::lock_guard lock(mu_);
      working_ = false;
      if (!found.ok() || over_) {
        FinishLocked(over_ ? *over_ : found);
        return;
      }
      asked_ = true;
    }
    versions_.Ask(*repository_, [call = std::weak_ptr(self)](const catalog::Knowledge& known) {
      if (const auto alive = call.lock()) alive->Known(alive, known);
    });
  }

  absl::Status Find() {
    SLIPWAY_ASSIGN_OR_RETURN(caller_, deps_.auth.Authenticate(context_));
    SLIPWAY_ASSIGN_OR_RETURN(application_,
                             FindApplication(deps_, *caller_, request_.application()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto credential, credentials_.Find(application_->id));
    repository_ = RepositoryOf(*application_, credential);
    return CheckRequest(request_);
  }

  void Ring(const std::shared_ptr<VersionsCall>& self) {
    {
      const std::lock_guard lock(mu_);
      if (!asked_) {
        EndEarlyLocked(Busy());
        return;
      }
    }
    Known(self, std::nullopt);
  }

  // nullopt: the caller has waited long enough.
  void Known(const std::shared_ptr<VersionsCall>& self, std::optional<catalog::Knowledge> known) {
    deps_.pool.Post([self, known = std::move(known)] {
      if (!self->BeginWork()) return;
      const absl::Status answered =
          self->Answer(known ? *known : self->versions_.Look(*self->repository_));
      const std::lock_guard lock(self->mu_);
      self->FinishLocked(answered);
    });
  }

  absl::Status Answer(const catalog::Knowledge& known) {
    *response_.mutable_repository() = ToProto(known);
    if (!known.view) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const VersionPage page, PageOf(known.view->versions, request_));
    std::vector<store::CommitOfApplication> commits;
    for (const git::Version* version : page.versions) {
      commits.push_back({application_->id, version->commit.commit});
    }
    SLIPWAY_ASSIGN_OR_RETURN(const auto built, deps_.reader.BuiltOf(ViewerOf(*caller_), commits));
    for (const git::Version* version : page.versions) {
      v1::Version& out = *response_.add_versions();
      out = ToProto(*version, *known.view);
      for (const store::BuiltCommit& one : built) {
        if (one.commit == version->commit.commit) *out.add_built() = ToProto(one);
      }
    }
    response_.set_next_page_token(page.next_page_token);
    response_.set_total(page.total);
    return absl::OkStatus();
  }

  const Deps& deps_;
  catalog::VersionReader& versions_;
  store::RepositoryCredentialStore& credentials_;
  const v1::ListVersionsRequest& request_;
  v1::ListVersionsResponse& response_;

  // Set by Begin, constant once asked_.
  std::optional<access::Caller> caller_;
  std::optional<domain::Application> application_;
  std::optional<catalog::Repository> repository_;

  bool asked_ = false;  // guarded by mu_
};

}  // namespace

grpc::ServerUnaryReactor* NewVersionsCall(grpc::CallbackServerContext& context, const Deps& deps,
                                          catalog::VersionReader& versions,
                                          store::RepositoryCredentialStore& credentials,
                                          const v1::ListVersionsRequest& request,
                                          v1::ListVersionsResponse& response) {
  auto call =
      std::make_shared<VersionsCall>(context, deps, versions, credentials, request, response);
  call->Start(call);
  return call.get();
}

}  // namespace slipway::api
