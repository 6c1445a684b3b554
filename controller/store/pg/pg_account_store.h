#pragma once

#include "controller/store/access_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// Thread-safe.
class PgAccountStore final : public AccountStore {
 public:
  // `database` must outlive this.
  explicit PgAccountStore(Database& database) : database_(database) {}

  absl::StatusOr<CreatedAccount> Create(const domain::Account& account,
                                        const std::string& password_hash,
                                        const Cause& cause) override;
  absl::StatusOr<domain::Account> Update(const std::string& name, const AccountChange& change,
                                         const Cause& cause) override;
  absl::Status Delete(const std::string& name, const Cause& cause) override;
  absl::StatusOr<domain::Account> Get(const AccountId& id) override;
  absl::StatusOr<domain::Account> GetByName(const std::string& name) override;
  absl::StatusOr<Page<domain::Account>> List(int page_size, const std::string& page_token,
                                             bool deleted) override;
  absl::StatusOr<std::pair<domain::Account, std::string>> FindPassword(
      const std::string& name) override;
  absl::StatusOr<std::string> NameKey(const std::string& name) override;
  absl::Status SetPassword(const AccountId& id, const std::string& password_hash,
                           const std::string& expected, const LoginId& keep,
                           const Cause& cause) override;
  absl::StatusOr<domain::AccountGroup> PutGroup(const domain::AccountGroup& group,
                                                std::optional<std::int64_t> revision,
                                                const Cause& cause) override;
  absl::StatusOr<Page<domain::AccountGroup>> ListGroups(const PageRequest& page) override;
  absl::Status DeleteGroup(const std::string& name, const Cause& cause) override;
  absl::Status ChangeGrants(const std::vector<NamedGrant>& add,
                            const std::vector<NamedGrant>& remove, const Cause& cause) override;
  absl::StatusOr<Page<NamedGrant>> ListGrants(const GrantFilter& filter) override;
  absl::StatusOr<std::vector<domain::Grant>> GrantsOf(
      const AccountId& account, const std::vector<ApplicationId>& applications) override;
  absl::StatusOr<std::vector<std::string>> EnvironmentsOf(
      const AccountId& account, domain::Operation operation,
      const std::vector<ApplicationId>& only) override;
  absl::StatusOr<std::vector<domain::Grant>> SummedGrantsOf(
      const AccountId& account, const std::vector<ApplicationId>& applications) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
