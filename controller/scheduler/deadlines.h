#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/time.h"

namespace slipway::scheduler {

// One deadline per key, earliest first. Replaces a timer per object: the owner asks for what is due
// when it is entered. Confined to the owner's mutex.
template <typename Key>
class Deadlines {
 public:
  // Sets or moves the key's deadline.
  void Set(const Key& key, MonoTime at) {
    Clear(key);
    at_.emplace(key, at);
    order_.emplace(at, key);
  }
  void Clear(const Key& key) {
    const auto it = at_.find(key);
    if (it == at_.end()) return;
    order_.erase({it->second, key});
    at_.erase(it);
  }
  [[nodiscard]] std::optional<MonoTime> Of(const Key& key) const {
    const auto it = at_.find(key);
    return it == at_.end() ? std::nullopt : std::optional(it->second);
  }
  [[nodiscard]] std::optional<MonoTime> Next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }
  // Takes out one key whose deadline is at or before `now`.
  [[nodiscard]] std::optional<Key> PopDue(MonoTime now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    Key key = order_.begin()->second;
    Clear(key);
    return key;
  }

 private:
  std::map<Key, MonoTime> at_;
  std::set<std::pair<MonoTime, Key>> order_;
};

}  // namespace slipway::scheduler
