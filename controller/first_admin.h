#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "controller/store/access_store.h"

namespace slipway::controller {

struct FirstAdminFiles {
  // Of the new account's password, 0600: read once by a person and then deleted.
  std::string password_file;
  // Of an API token of that account, 0600: for programs on the controller's own machine.
  std::string token_file;
};

// Makes the account "admin" of a new farm, and the API token of token_file if the database does not
// know it. Where that account was deleted, other admins look after the farm, and nothing is made.
[[nodiscard]] absl::Status EnsureFirstAdmin(store::AccountStore& accounts,
                                            store::LoginStore& logins, const FirstAdminFiles& files,
                                            WallTime now);

}  // namespace slipway::controller
