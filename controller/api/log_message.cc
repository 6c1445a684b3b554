#include "controller/api/log_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <array>
#include <string>
#include <utility>

#include "common/status/status.h"

namespace slipway::api {
namespace {

using google::protobuf::internal::WireFormatLite;

// Refers to `data` until gRPC lets the slice go.
grpc::Slice Borrow(std::string_view data, std::shared_ptr<const void> owner) {
  using Owner = std::shared_ptr<const void>;
  // gRPC takes a pointer to what may be written, and does not write.
  return {const_cast<char*>(data.data()), data.size(),
          [](void* held) { delete static_cast<Owner*>(held); }, new Owner(std::move(owner))};
}

}  // namespace

absl::StatusOr<v1::ReadLogRequest> ParseReadLogRequest(const grpc::ByteBuffer& bytes) {
  v1::ReadLogRequest request;
  grpc::ByteBuffer consumed = bytes;
  if (!grpc::SerializationTraits<v1::ReadLogRequest>::Deserialize(&consumed, &request).ok()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                     "the request is no slipway.v1.ReadLogRequest",
                     "Make it of slipway/v1/task.proto.");
  }
  return request;
}

grpc::ByteBuffer ToMessage(const v1::ReadLogResponse& response) {
  const grpc::Slice bytes(response.SerializeAsString());
  return {&bytes, 1};
}

grpc::ByteBuffer ToMessage(std::uint64_t offset, Attempt attempt, std::string_view data,
                           std::shared_ptr<const void> owner) {
  v1::ReadLogResponse place;
  place.set_offset(offset);
  place.set_attempt(attempt.value());
  std::string head = place.SerializeAsString();
  {
    google::protobuf::io::StringOutputStream out(&head);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.WriteTag(WireFormatLite::MakeTag(v1::ReadLogResponse::kDataFieldNumber,
                                           WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    coded.WriteVarint64(data.size());
  }
  const std::array<grpc::Slice, 2> slices = {grpc::Slice(head), Borrow(data, std::move(owner))};
  return {slices.data(), slices.size()};
}

}  // namespace slipway::api
