#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/image_order.h"
#include "controller/store/cause.h"

namespace slipway::store {

// The images that agents should have; every change is audited with it, and refused
// inside its transaction when one of cause.authorities does not hold there. Thread-safe.
class ImageOrderStore {
 public:
  virtual ~ImageOrderStore() = default;
  // Adds the orders or, where one of the same image and agent exists, gives it a new number; all or
  // none. `number` of the arguments is ignored; the result has the stored ones, in the same order.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::ImageOrder>> Put(
      std::vector<domain::ImageOrder> orders, const Cause& cause) = 0;
  // Removes every order of the image, or only that of the agent when there is one; how many.
  [[nodiscard]] virtual absl::StatusOr<int> Remove(const std::string& image, const AgentId& agent,
                                                   const Cause& cause) = 0;
  // By image, then agent.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::ImageOrder>> List() = 0;
};

}  // namespace slipway::store
