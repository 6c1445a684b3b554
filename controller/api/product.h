#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "controller/access/access.h"
#include "controller/api/task_service.h"
#include "controller/domain/task.h"
#include "controller/store/run_reader.h"

namespace slipway::api {

// An archived product, and what became of it.
struct Product {
  store::TaskWithRun build;
  // The one that was asked for, else the newest.
  std::optional<domain::Release> release;
  // Of the build's own run; absent when none was asked for.
  std::optional<domain::Task> publish;
};

// By release id, by the id of the task that built or handed it over, or by the text of a QR code.
// kNotFound, reason NO_SUCH_PRODUCT: no such name, the caller does not see it, or its build has no
// product.
[[nodiscard]] absl::StatusOr<Product> FindProduct(const Deps& deps, const access::Caller& caller,
                                                  const std::string& name);

}  // namespace slipway::api
