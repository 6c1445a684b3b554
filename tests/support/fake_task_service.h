#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "slipway/v1/task.grpc.pb.h"

namespace slipway::testing {

// A TaskService whose answers depend on what it is asked for, so that a test says what happens.
// Thread-safe.
//
//   ListTasks, application:  "fail"   RESOURCE_EXHAUSTED with reason, remedies and a time to wait
//                            "wait"   nothing until it is cancelled
//                            "many"   `page_size` tasks
//                            else     the same word in next_page_token
//   ReadLog, task:           "three"  three messages, then the end
//                            "fails"  one message, then DATA_LOSS
//                            "quiet"  one message, then nothing until it is cancelled
//                            "endless" messages of 64 KiB until it is cancelled
class FakeTaskService final : public v1::TaskService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext* context,
                                      const v1::ListTasksRequest* request,
                                      v1::ListTasksResponse* response) override;
  grpc::ServerUnaryReactor* CancelTask(grpc::CallbackServerContext* context,
                                       const v1::CancelTaskRequest* request,
                                       v1::CancelTaskResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) override;

  // What the last call came with.
  [[nodiscard]] std::multimap<std::string, std::string> metadata() const;

  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> written{0};  // messages of "endless"

 private:
  void Note(const grpc::CallbackServerContext& context);

  mutable std::mutex mu_;
  std::multimap<std::string, std::string> metadata_;
};

}  // namespace slipway::testing
