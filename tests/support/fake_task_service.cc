#include "tests/support/fake_task_service.h"

#include "common/rpc/grpc_status.h"
#include "common/status/remedies.h"
#include "common/status/status.h"

namespace slipway::testing {
namespace {

class WaitingCall final : public grpc::ServerUnaryReactor {
 public:
  explicit WaitingCall(std::atomic<int>& cancelled) : cancelled_(cancelled) {}
  void OnCancel() override {
    ++cancelled_;
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  std::atomic<int>& cancelled_;
};

class LogStream final : public grpc::ServerWriteReactor<v1::ReadLogResponse> {
 public:
  LogStream(FakeTaskService& service, std::string task)
      : service_(service), task_(std::move(task)) {
    Go();
  }

  void OnWriteDone(bool ok) override {
    if (ok) ++service_.written;
    Go();
  }
  void OnCancel() override {
    ++service_.cancelled;
    const std::lock_guard lock(mu_);
    cancelled_ = true;
    if (resting_) End(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  void Go() {
    const std::lock_guard lock(mu_);
    if (cancelled_) return End(grpc::Status::CANCELLED);
    if (task_ == "three" && sent_ == 3) return End(grpc::Status::OK);
    if (task_ == "fails" && sent_ == 1) return End({grpc::StatusCode::DATA_LOSS, "damaged"});
    if (task_ == "quiet" && sent_ == 1) {
      resting_ = true;
      return;
    }
    message_.set_offset(sent_++);
    message_.set_data(task_ == "endless" ? std::string(64 << 10, 'x') : "line");
    StartWrite(&message_);
  }

  void End(const grpc::Status& status) {
    if (!std::exchange(ended_, true)) Finish(status);
  }

  FakeTaskService& service_;
  const std::string task_;
  v1::ReadLogResponse message_;
  std::mutex mu_;
  std::uint64_t sent_ = 0;
  bool resting_ = false;
  bool cancelled_ = false;
  bool ended_ = false;
};

}  // namespace

void FakeTaskService::Note(const grpc::CallbackServerContext& context) {
  ++calls;
  const std::lock_guard lock(mu_);
  metadata_.clear();
  for (const auto& [name, value] : context.client_metadata()) {
    metadata_.emplace(std::string(name.data(), name.size()),
                      std::string(value.data(), value.size()));
  }
}

std::multimap<std::string, std::string> FakeTaskService::metadata() const {
  const std::lock_guard lock(mu_);
  return metadata_;
}

grpc::ServerUnaryReactor* FakeTaskService::ListTasks(grpc::CallbackServerContext* context,
                                                     const v1::ListTasksRequest* request,
                                                     v1::ListTasksResponse* response) {
  Note(*context);
  if (request->application() == "wait") return new WaitingCall(cancelled);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  if (request->application() == "fail") {
    absl::Status status =
        MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", "the queue is full", "Wait.");
    status = WithRetryAfter(std::move(status), std::chrono::milliseconds(1500));
    reactor->Finish(rpc::ToGrpc(*context, status));
    return reactor;
  }
  if (request->application() == "many") {
    for (int i = 0; i < request->page_size(); ++i) {
      response->add_tasks()->set_id("task-" + std::to_string(i));
    }
  } else {
    response->set_next_page_token(request->application());
  }
  context->AddTrailingMetadata("x-seen", "yes");
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* FakeTaskService::CancelTask(grpc::CallbackServerContext* context,
                                                      const v1::CancelTaskRequest* request,
                                                      v1::CancelTaskResponse* response) {
  Note(*context);
  response->mutable_task()->set_id(request->id());
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<v1::ReadLogResponse>* FakeTaskService::ReadLog(
    grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) {
  Note(*context);
  return new LogStream(*this, request->task());
}

}  // namespace slipway::testing
