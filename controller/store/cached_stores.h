#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

  using ApplicationStore::Create;
  absl::Status Create(const domain::Application& application, const std::string& from) override {
    return below_.Create(application, from);
  }
  absl::StatusOr<domain::Application> Update(const std::string& name,
                                             const ApplicationChange& change) override {
    auto changed = below_.Update(name, change);
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
  absl::StatusOr<std::vector<domain::Application>> List() override { return below_.List(); }

 private:
  ApplicationStore& below_;
  ReadCache<std::string, domain::Application> by_name_;
  ReadCache<ApplicationId, domain::Application> by_id_;
};

// Thread-safe.
class CachedTokenStore final : public TokenStore {
 public:
  // `below` must outlive this.
  explicit CachedTokenStore(TokenStore& below) : below_(below) {}

  absl::Status Add(const std::string& token_hash, const domain::Account& account,
                   WallTime now) override {
    const absl::Status added = below_.Add(token_hash, account, now);
    by_hash_.Clear();
    return added;
  }
  absl::StatusOr<domain::Account> Find(const std::string& token_hash) override {
    return by_hash_.Get(token_hash, [&] { return below_.Find(token_hash); });
  }

 private:
  TokenStore& below_;
  ReadCache<std::string, domain::Account> by_hash_;
};

}  // namespace slipway::store
