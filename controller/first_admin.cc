#include "controller/first_admin.h"

#include <filesystem>

#include "common/crypto/key_file.h"
#include "common/crypto/password.h"
#include "common/crypto/token.h"
#include "common/log/log.h"
#include "common/status/status.h"
#include "controller/farm_keys.h"

namespace slipway::controller {
namespace {

constexpr char kAdmin[] = "admin";

}  // namespace

absl::Status EnsureFirstAdmin(store::AccountStore& accounts, store::LoginStore& logins,
                              const FirstAdminFiles& files, WallTime now) {
  const store::Cause cause{.actor = "controller", .at = now};
  auto admin = accounts.GetByName(kAdmin);
  if (admin.status().code() == absl::StatusCode::kNotFound) {
    admin = domain::Account{.id = AccountId(NewId("acct-")),
                            .name = kAdmin,
                            .kind = domain::AccountKind::kAdmin,
                            .created_at = now,
                            .created_by = cause.actor};
    const std::string password = crypto::NewPassword();
    // Before the account: a crash in between leaves a password of nobody's.
    SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(files.password_file, password + "\n"));
    const absl::Status created =
        accounts.Create(*admin, crypto::HashPassword(password), cause).status();
    if (absl::IsAlreadyExists(created)) {
      std::error_code gone;
      std::filesystem::remove(files.password_file, gone);
      return absl::OkStatus();
    }
    SLIPWAY_RETURN_IF_ERROR(created);
    log::Info("admin_created", {{"account", kAdmin}, {"password_file", files.password_file}});
  }
  SLIPWAY_RETURN_IF_ERROR(admin.status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto token, LoadOrCreateToken(files.token_file));
  const std::string hash = crypto::HashToken(token.view()).Hex();
  const auto known = logins.FindToken(hash);
  if (known.status().code() != absl::StatusCode::kNotFound) return known.status();
  domain::ApiToken file_token;
  file_token.id = ApiTokenId(NewId("token-"));
  file_token.account = admin->id;
  file_token.name = "admin.token";
  file_token.created_at = now;
  return logins.AddToken(hash, file_token, cause);
}

}  // namespace slipway::controller
