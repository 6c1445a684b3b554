#pragma once

#include "controller/store/access_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// Thread-safe.
class PgLoginStore final : public LoginStore {
 public:
  // `database` must outlive this.
  explicit PgLoginStore(Database& database) : database_(database) {}

  absl::Status AddLogin(const domain::Login& login, const std::string& password_hash,
                        const Cause& cause) override;
  absl::Status AdvanceLogin(const LoginId& id, std::int64_t from, WallTime expires_at,
                            WallTime now) override;
  absl::StatusOr<domain::Login> GetLogin(const LoginId& id) override;
  absl::StatusOr<Page<domain::Login>> LiveLogins(const AccountId& account, WallTime now,
                                                 const PageRequest& page) override;
  absl::Status EndLogin(const LoginId& id, const AccountId& account, const std::string& why,
                        const Cause& cause) override;
  absl::StatusOr<int> EndLogins(const AccountId& account, const Cause& cause) override;
  absl::Status AddToken(const std::string& token_hash, const domain::ApiToken& token,
                        const Cause& cause) override;
  absl::StatusOr<std::pair<domain::ApiToken, domain::Account>> FindToken(
      const std::string& token_hash) override;
  absl::StatusOr<Page<domain::ApiToken>> ListTokens(const AccountId& account, WallTime now,
                                                    const PageRequest& page) override;
  absl::Status RevokeToken(const ApiTokenId& id, const AccountId& account,
                           const Cause& cause) override;
  absl::StatusOr<int> ForgetEnded(WallTime before, int most) override;
  absl::Status TouchTokens(const std::map<ApiTokenId, WallTime>& used) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
