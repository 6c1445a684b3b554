#include "controller/gateway/transcoder.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>
#include <utility>

#include "controller/gateway/json_check.h"

namespace slipway::gateway {
namespace {

namespace pb = google::protobuf;

// Types of all descriptors that the program was compiled with. Lives as long as the program.
pb::util::TypeResolver& Types() {
  static pb::util::TypeResolver* const resolver = pb::util::NewTypeResolverForDescriptorPool(
      "type.googleapis.com", pb::DescriptorPool::generated_pool());
  return *resolver;
}

std::string Url(const pb::Descriptor& type) { return "type.googleapis.com/" + type.full_name(); }

absl::Status JsonToBytes(const pb::Descriptor& type, const std::string& text, std::string& bytes) {
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = pb::util::JsonToBinaryString(&Types(), Url(type), text, &bytes, options);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: {}", type.full_name(), std::string(status.message())));
}

}  // namespace

absl::StatusOr<std::string> RequestBytes(const Method& method, Codec codec, std::string message) {
  const pb::Descriptor& type = *method.input;
  std::string bytes;
  if (codec == Codec::kJson) {
    if (absl::Status status = CheckJson(message); !status.ok()) return status;
    if (absl::Status status = JsonToBytes(type, message, bytes); !status.ok()) return status;
  } else {
    bytes = std::move(message);
  }
  // gRPC would call undecodable bytes an internal error.
  const std::unique_ptr<pb::Message> parsed(
      pb::MessageFactory::generated_factory()->GetPrototype(&type)->New());
  if (!parsed->ParseFromString(bytes)) {
    return absl::InvalidArgumentError(fmt::format("these bytes are no {}", type.full_name()));
  }
  return bytes;
}

absl::StatusOr<std::string> ResponseText(const Method& method, Codec codec, std::string bytes) {
  if (codec == Codec::kProto) return bytes;
  std::string text;
  const auto status = pb::util::BinaryToJsonString(&Types(), Url(*method.output), bytes, &text);
  if (!status.ok()) {
    return absl::InternalError(fmt::format("the answer is no {}", method.output->full_name()));
  }
  return text;
}

std::string DebugJson(const std::string& type, const std::string& bytes) {
  const pb::Descriptor* const found =
      pb::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  std::string text;
  if (found == nullptr || !pb::util::BinaryToJsonString(&Types(), Url(*found), bytes, &text).ok()) {
    return "";
  }
  return text;
}

}  // namespace slipway::gateway
