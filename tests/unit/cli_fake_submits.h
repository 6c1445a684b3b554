#pragma once

#include <grpcpp/grpcpp.h>

#include <mutex>

#include "slipway/v1/task.grpc.pb.h"
#include "tests/unit/cli_fake_access.h"
#include "tests/unit/cli_fake_controller.h"

namespace slipway::testing {

// The calls that submit other than one build: they record what was asked and answer what the test
// says.
class FakeSubmits : public v1::TaskService::Service {
 public:
  grpc::Status SubmitRuns(grpc::ServerContext* context, const v1::SubmitRunsRequest* request,
                          v1::SubmitRunsResponse* response) override {
    if (CallerOf(farm_.access, *context).empty()) return Stranger();
    const std::lock_guard lock(farm_.mu);
    farm_.submits.assign(request->runs().begin(), request->runs().end());
    for (const v1::SubmittedRun& run : farm_.submitted) *response->add_runs() = run;
    return grpc::Status::OK;
  }
  grpc::Status SubmitAgain(grpc::ServerContext* context, const v1::SubmitAgainRequest* request,
                           v1::SubmitAgainResponse* response) override {
    if (CallerOf(farm_.access, *context).empty()) return Stranger();
    const std::lock_guard lock(farm_.mu);
    farm_.repeats.push_back(*request);
    for (const v1::SubmittedRun& run : farm_.submitted) *response->add_runs() = run;
    return grpc::Status::OK;
  }
  grpc::Status RunScript(grpc::ServerContext* context, const v1::RunScriptRequest* request,
                         v1::SubmitRunResponse* response) override {
    if (CallerOf(farm_.access, *context).empty()) return Stranger();
    const std::lock_guard lock(farm_.mu);
    farm_.scripts.push_back(*request);
    response->set_run("run-1");
    return grpc::Status::OK;
  }
  grpc::Status PublishProduct(grpc::ServerContext* context,
                              const v1::PublishProductRequest* request,
                              v1::SubmitRunResponse* response) override {
    if (CallerOf(farm_.access, *context).empty()) return Stranger();
    const std::lock_guard lock(farm_.mu);
    farm_.publishes.push_back(*request);
    response->set_run("run-1");
    return grpc::Status::OK;
  }

 protected:
  explicit FakeSubmits(FakeFarm& farm) : farm_(farm) {}

 private:
  static grpc::Status Stranger() {
    return {grpc::StatusCode::UNAUTHENTICATED, "the API token is not valid"};
  }

  FakeFarm& farm_;
};

}  // namespace slipway::testing
