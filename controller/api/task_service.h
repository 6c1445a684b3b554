#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "common/base/time.h"
#include "controller/api/auth.h"
#include "controller/api/open_streams.h"
#include "controller/api/stream_rights.h"
#include "controller/hot/hot_cache.h"
#include "controller/logs/log_store.h"
#include "controller/runs/task_watch.h"
#include "controller/scheduler/scheduler.h"
#include "controller/store/catalog_store.h"
#include "controller/store/run_reader.h"
#include "controller/store/target_store.h"
#include "controller/work/work_pool.h"
#include "slipway/v1/task.grpc.pb.h"

namespace slipway::api {

// Everything the API services stand on. All must outlive them.
struct Deps {
  const Authenticator& auth;
  scheduler::Scheduler& scheduler;
  store::RunReader& reader;
  store::ApplicationStore& applications;
  store::AgentStore& agents;
  logs::LogStore& logs;
  runs::TaskWatch& watch;
  store::TargetStore& targets;
  // For callbacks: none of gRPC or the scheduler waits for a disk or the database.
  work::WorkPool& pool;
  // For submits, so that those who follow do not wait for them.
  work::WorkPool& submits;
  OpenStreams& streams;
  StreamRights& rights;
  hot::HotCache& hot;
  const Clock& clock;
  FarmId farm;
  // What passwords of packages are sealed with, PEM.
  std::string sealing_certificate;
};

// Submits, lists, follows. Thread-safe.
class TaskService final : public v1::TaskService::WithCallbackMethod_SubmitRun<
                              v1::TaskService::WithCallbackMethod_SubmitRuns<
                                  v1::TaskService::WithCallbackMethod_PublishProduct<
                                      v1::TaskService::WithCallbackMethod_SubmitAgain<
                                          v1::TaskService::WithCallbackMethod_RunScript<
                                              v1::TaskService::WithCallbackMethod_WatchRun<
                                                  v1::TaskService::WithRawCallbackMethod_ReadLog<
                                                      v1::TaskService::Service>>>>>>> {
 public:
  explicit TaskService(const Deps& deps) : deps_(deps) {}

  grpc::ServerUnaryReactor* SubmitRun(grpc::CallbackServerContext* context,
                                      const v1::SubmitRunRequest* request,
                                      v1::SubmitRunResponse* response) override;
  grpc::ServerUnaryReactor* SubmitRuns(grpc::CallbackServerContext* context,
                                       const v1::SubmitRunsRequest* request,
                                       v1::SubmitRunsResponse* response) override;
  grpc::ServerUnaryReactor* PublishProduct(grpc::CallbackServerContext* context,
                                           const v1::PublishProductRequest* request,
                                           v1::SubmitRunResponse* response) override;
  grpc::ServerUnaryReactor* SubmitAgain(grpc::CallbackServerContext* context,
                                        const v1::SubmitAgainRequest* request,
                                        v1::SubmitAgainResponse* response) override;
  grpc::ServerUnaryReactor* RunScript(grpc::CallbackServerContext* context,
                                      const v1::RunScriptRequest* request,
                                      v1::SubmitRunResponse* response) override;
  grpc::Status GetTask(grpc::ServerContext* context, const v1::GetTaskRequest* request,
                       v1::Task* response) override;
  grpc::Status GetPlatformImage(grpc::ServerContext* context,
                                const v1::GetPlatformImageRequest* request,
                                v1::PlatformImage* response) override;
  grpc::Status GetScript(grpc::ServerContext* context, const v1::GetScriptRequest* request,
                         v1::Script* response) override;
  grpc::Status ExplainTask(grpc::ServerContext* context, const v1::ExplainTaskRequest* request,
                           v1::ExplainTaskResponse* response) override;
  grpc::Status ListTasks(grpc::ServerContext* context, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override;
  grpc::Status CancelTask(grpc::ServerContext* context, const v1::CancelTaskRequest* request,
                          v1::CancelTaskResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchRunResponse>* WatchRun(
      grpc::CallbackServerContext* context, const v1::WatchRunRequest* request) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* ReadLog(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* request) override;

 private:
  absl::Status DoList(grpc::ServerContext& context, const v1::ListTasksRequest& request,
                      v1::ListTasksResponse& response);
  absl::Status DoGetScript(grpc::ServerContext& context, const TaskId& task, v1::Script& response);
  absl::Status DoCancel(grpc::ServerContext& context, const v1::CancelTaskRequest& request,
                        v1::CancelTaskResponse& response);

  const Deps deps_;
};

// The agent's name, its id when there is no such agent, or nothing for no id. Reads the database.
absl::StatusOr<std::string> AgentName(const Deps& deps, const AgentId& id);
// A task as the caller sees it, with its agent's name, steps and release, and what the caller may
// do with it. Reads the database.
absl::StatusOr<v1::Task> DescribeTask(const Deps& deps, const access::Caller& caller,
                                      const TaskId& id);
absl::StatusOr<std::vector<v1::Task>> DescribeRun(const Deps& deps, const access::Caller& caller,
                                                  const RunId& run);

}  // namespace slipway::api
