#include "controller/gateway/method_table.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

namespace slipway::gateway {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;
using google::protobuf::MethodOptions;
using google::protobuf::ServiceDescriptor;

absl::StatusOr<MethodTable> MethodTable::Make(const std::vector<std::string>& services) {
  MethodTable table;
  for (const std::string& name : services) {
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) return absl::InternalError(fmt::format("no service {}", name));
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor* const method = service->method(i);
      // HTTP/1.1 has no way for both sides to talk at once.
      if (method->client_streaming()) continue;
      table.methods_.push_back(
          {.path = fmt::format("/{}/{}", name, method->name()),
           .index = table.methods_.size(),
           .streams = method->server_streaming(),
           .reads_only = method->options().idempotency_level() == MethodOptions::NO_SIDE_EFFECTS,
           .input = method->input_type(),
           .output = method->output_type()});
    }
  }
  for (const Method& method : table.methods_) table.by_path_.emplace(method.path, &method);
  return table;
}

const Method* MethodTable::Find(std::string_view path) const {
  const auto it = by_path_.find(path);
  return it == by_path_.end() ? nullptr : it->second;
}

}  // namespace slipway::gateway
