#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controller/gateway/connect.h"

namespace slipway::gateway {

// A unary request in the query of a GET.
struct GetQuery {
  Codec codec = Codec::kJson;
  bool gzip = false;
  std::string message;
};

// `query` is what stands behind the '?'. Parameters come in any order; unknown ones are left alone.
// kInvalidArgument names the parameter. kUnimplemented: `compression`. kNotFound: a codec that is
// not known, answered with 415. Thread-safe.
[[nodiscard]] absl::StatusOr<GetQuery> ParseGetQuery(std::string_view query);

}  // namespace slipway::gateway
