#include "controller/gateway/grpc_call.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "controller/gateway/transcoder.h"

namespace slipway::gateway {
namespace {

constexpr char kErrorType[] = "slipway.v1.ErrorDetail";
constexpr char kPushback[] = "grpc-retry-pushback-ms";

grpc::ByteBuffer ToBuffer(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

std::string Take(grpc::ByteBuffer& buffer) {
  std::string out;
  std::vector<grpc::Slice> slices;
  if (buffer.Valid() && buffer.Dump(&slices).ok()) {
    out.reserve(buffer.Length());
    for (const grpc::Slice& slice : slices) {
      out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  buffer.Clear();
  return out;
}

CallEnd EndOf(const grpc::ClientContext& context, const grpc::Status& status) {
  CallEnd end;
  if (!status.ok()) {
    end.failure = Failure{.code = static_cast<absl::StatusCode>(status.error_code()),
                          .message = rpc::ValidUtf8(status.error_message()),
                          .details = {}};
  }
  for (const auto& [key, data] : context.GetServerTrailingMetadata()) {
    const std::string_view name(key.data(), key.size());
    const std::string_view value(data.data(), data.size());
    if (name == rpc::kErrorTrailer) {
      if (!end.failure) continue;
      const std::string bytes(value);
      end.failure->details.push_back({kErrorType, bytes, DebugJson(kErrorType, bytes)});
    } else if (name == kPushback) {
      std::int64_t wait = -1;
      std::from_chars(value.data(), value.data() + value.size(), wait);
      if (wait >= 0) end.retry_after = std::chrono::milliseconds(wait);
    } else if (!name.starts_with("grpc-") && !name.starts_with(":")) {
      end.trailers.emplace_back(name, value);
    }
  }
  return end;
}

}  // namespace

GrpcSide::GrpcSide(const std::shared_ptr<grpc::Channel>& channel, crypto::SecretBytes token,
                   const Clock& clock, OpenCount& open)
    : channel_(channel), token_(std::move(token)), clock_(clock), open_(open), stub_(channel) {}

void GrpcSide::Prepare(const Caller& caller, grpc::ClientContext& context) const {
  if (!caller.authorization.empty()) context.AddMetadata("authorization", caller.authorization);
  context.AddMetadata("slipway-gateway", std::string(token_.view()));
  context.AddMetadata("slipway-client", caller.remote_ip);
  if (caller.timeout) {
    using std::chrono::system_clock;
    context.set_deadline(
        system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(
            clock_.Wall().time_since_epoch() + *caller.timeout)));
  }
}

std::shared_ptr<UnaryCall> UnaryCall::Start(GrpcSide& side, const std::string& path,
                                            const Caller& caller, std::string_view request,
                                            Done done) {
  const auto call = std::make_shared<UnaryCall>();
  call->request_ = ToBuffer(request);
  call->done_ = std::move(done);
  call->open_ = side.Open();
  side.Prepare(caller, call->context_);
  side.stub().UnaryCall(&call->context_, path, {}, &call->request_, &call->response_,
                        [call](const grpc::Status& status) { call->Finish(status); });
  return call;
}

void UnaryCall::Finish(const grpc::Status& status) {
  const auto open = std::move(open_);
  const Done done = std::move(done_);
  CallEnd end = EndOf(context_, status);
  done(std::move(end), Take(response_));
}

std::shared_ptr<StreamCall> StreamCall::Start(GrpcSide& side, const std::string& path,
                                              const Caller& caller, std::string_view request,
                                              std::shared_ptr<Listener> listener) {
  auto call = std::make_shared<StreamCall>();
  call->request_ = ToBuffer(request);
  call->listener_ = std::move(listener);
  call->open_ = side.Open();
  call->self_ = call;
  side.Prepare(caller, call->context_);
  side.stub().PrepareBidiStreamingCall(&call->context_, path, {}, call.get());
  // OnDone waits until the last message was read.
  call->AddHold();
  call->StartWriteLast(&call->request_, {});
  call->StartCall();
  return call;
}

void StreamCall::Next() {
  {
    const std::lock_guard lock(mu_);
    if (reading_ || no_more_) return;
    reading_ = true;
  }
  StartRead(&response_);
}

void StreamCall::Cancel() {
  context_.TryCancel();
  {
    const std::lock_guard lock(mu_);
    cancelled_ = true;
    if (reading_ || no_more_) return;
    reading_ = true;
  }
  // Somebody has to see that there is nothing more.
  StartRead(&response_);
}

void StreamCall::OnReadDone(bool ok) {
  std::string message;
  bool again = false;
  {
    const std::lock_guard lock(mu_);
    // Before Cancel may read into it.
    message = Take(response_);
    again = ok && cancelled_;
    reading_ = again;
    no_more_ = !ok;
  }
  if (!ok) {
    RemoveHold();
  } else if (again) {
    StartRead(&response_);
  } else {
    listener_->OnMessage(std::move(message));
  }
}

void StreamCall::OnDone(const grpc::Status& status) {
  const auto self = std::move(self_);
  const auto open = std::move(open_);
  const auto listener = std::move(listener_);
  listener->OnEnd(EndOf(context_, status));
}

}  // namespace slipway::gateway
