#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/access_store.h"
#include "controller/store/catalog_store.h"

// Stores that remember what was read, for what every call asks and hardly anything changes. They
// hold because one controller leads and only it writes: every change goes through here. Nothing
// that was not found is remembered.
namespace slipway::store {

// Values by key, dropped as a whole by every change. A value that was read before a change and
// comes after it is not taken. Thread-safe.
template <typename Key, typename Value>
class ReadCache {
 public:
  template <typename Read>
  [[nodiscard]] absl::StatusOr<Value> Get(const Key& key, Read read) {
    std::uint64_t before = 0;
    {
      const std::lock_guard lock(mu_);
      if (const auto it = values_.find(key); it != values_.end()) return it->second;
      before = changes_;
    }
    absl::StatusOr<Value> value = read();
    const std::lock_guard lock(mu_);
    if (value.ok() && changes_ == before && values_.size() < kMaxValues) {
      values_.emplace(key, *value);
    }
    return value;
  }
  void Clear() {
    const std::lock_guard lock(mu_);
    ++changes_;
    values_.clear();
  }
  void Forget(const Key& key) {
    const std::lock_guard lock(mu_);
    ++changes_;
    values_.erase(key);
  }

 private:
  static constexpr std::size_t kMaxValues = 10'000;

  std::mutex mu_;
  std::map<Key, Value> values_;
  std::uint64_t changes_ = 0;
};

// Thread-safe.
class CachedApplicationStore final : public ApplicationStore {
 public:
  // `below` must outlive this.
  explicit CachedApplicationStore(ApplicationStore& below) : below_(below) {}

  absl::StatusOr<domain::Application> Create(const domain::Application& application,
                                             const Cause& cause) override {
    return below_.Create(application, cause);
  }
  absl::StatusOr<domain::Application> Update(const std::string& name,
                                             const ApplicationChange& change,
                                             const Cause& cause) override {
    auto changed = below_.Update(name, change, cause);
    // Whatever came of it: an error may be one of the answer only.
    by_name_.Clear();
    by_id_.Clear();
    return changed;
  }
  absl::StatusOr<domain::Application> GetByName(const std::string& name) override {
    return by_name_.Get(name, [&] { return below_.GetByName(name); });
  }
  absl::StatusOr<domain::Application> Get(const ApplicationId& id) override {
    return by_id_.Get(id, [&] { return below_.Get(id); });
  }
  absl::StatusOr<ApplicationPage> List(const ApplicationFilter& filter) override {
    return below_.List(filter);
  }

 private:
  ApplicationStore& below_;
  ReadCache<std::string, domain::Application> by_name_;
  ReadCache<ApplicationId, domain::Application> by_id_;
};

// What every authenticated call asks of accounts, logins, tokens and grants. Whoever changes one of
// them clears it. Thread-safe.
class CachedAccess final {
 public:
  // Both must outlive this.
  CachedAccess(AccountStore& accounts, LoginStore& logins) : accounts_(accounts), logins_(logins) {}

  absl::StatusOr<domain::Account> Account(const AccountId& id) {
    return accounts_by_id_.Get(id, [&] { return accounts_.Get(id); });
  }
  absl::StatusOr<domain::Login> Login(const LoginId& id) {
    return logins_by_id_.Get(id, [&] { return logins_.GetLogin(id); });
  }
  // The login as the row says now.
  absl::StatusOr<domain::Login> LoginAnew(const LoginId& id) {
    logins_by_id_.Forget(id);
    return Login(id);
  }
  absl::StatusOr<std::pair<domain::ApiToken, domain::Account>> Token(
      const std::string& token_hash) {
    return tokens_by_hash_.Get(token_hash, [&] { return logins_.FindToken(token_hash); });
  }
  absl::StatusOr<std::vector<domain::Grant>> Grants(const AccountId& account,
                                                    const ApplicationId& application) {
    return grants_.Get(std::pair(account, application),
                       [&] { return accounts_.GrantsOf(account, {application}); });
  }
  void Clear() {
    accounts_by_id_.Clear();
    logins_by_id_.Clear();
    tokens_by_hash_.Clear();
    grants_.Clear();
  }

 private:
  AccountStore& accounts_;
  LoginStore& logins_;
  ReadCache<AccountId, domain::Account> accounts_by_id_;
  ReadCache<LoginId, domain::Login> logins_by_id_;
  ReadCache<std::string, std::pair<domain::ApiToken, domain::Account>> tokens_by_hash_;
  ReadCache<std::pair<AccountId, ApplicationId>, std::vector<domain::Grant>> grants_;
};

}  // namespace slipway::store
