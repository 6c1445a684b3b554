#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace google::protobuf {
class Descriptor;
}

namespace slipway::gateway {

// A call that is served over HTTP, as its descriptor says.
struct Method {
  std::string path;   // "/slipway.v1.TaskService/ListTasks", for gRPC and HTTP alike
  std::size_t index;  // in the table
  bool streams = false;
  // Marked `idempotency_level = NO_SIDE_EFFECTS`: GET is allowed.
  bool reads_only = false;
  const google::protobuf::Descriptor* input = nullptr;
  const google::protobuf::Descriptor* output = nullptr;
};

// The unary and server-streaming methods of some services. Immutable, so thread-safe.
class MethodTable {
 public:
  // `services`: full names, "slipway.v1.TaskService". kInternal: the program has no such
  // descriptor.
  [[nodiscard]] static absl::StatusOr<MethodTable> Make(const std::vector<std::string>& services);

  // Null: not served.
  [[nodiscard]] const Method* Find(std::string_view path) const;
  [[nodiscard]] const std::deque<Method>& methods() const { return methods_; }

 private:
  std::deque<Method> methods_;  // whose addresses stay
  absl::flat_hash_map<std::string_view, const Method*> by_path_;
};

}  // namespace slipway::gateway
