#pragma once

#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "controller/domain/account.h"

namespace slipway::store {

// Whose list it is: lists leave out what belongs to applications that the viewer does not see.
struct Viewer {
  // nullopt: whoever sees all applications.
  std::optional<AccountId> account{};
  // What the account's kind may hold; other operations in its grants do not count.
  domain::Operations holdable = domain::Operations::All();
  // Of a narrowed API token: only these; empty: all.
  std::vector<ApplicationId> only{};
};

}  // namespace slipway::store
