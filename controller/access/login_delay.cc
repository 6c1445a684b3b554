#include "controller/access/login_delay.h"

#include <algorithm>

namespace slipway::access {

Duration LoginDelay::Left(const std::string& key, MonoTime now) const {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return Duration::zero();
  const Record& record = *it->second;
  const int counted = record.failures - options_.free_tries;
  if (counted <= 0 || now - record.last >= options_.forgiven_after) return Duration::zero();
  // Beyond this many doublings it is the longest anyway.
  Duration wait = options_.first * (std::int64_t{1} << std::min(counted - 1, 16));
  wait = std::min(wait, options_.longest);
  return std::max<Duration>(record.last + wait - now, Duration::zero());
}

void LoginDelay::Failed(const std::string& key, MonoTime now) {
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    Record& record = *it->second;
    if (now - record.last >= options_.forgiven_after) record.failures = 0;
    ++record.failures;
    record.before = record.last;
    record.last = now;
    records_.splice(records_.begin(), records_, it->second);
    return;
  }
  records_.push_front({.key = key, .failures = 1, .last = now, .before = now});
  by_key_.emplace(key, records_.begin());
  if (records_.size() <= options_.capacity) return;
  by_key_.erase(records_.back().key);
  records_.pop_back();
}

void LoginDelay::Succeeded(const std::string& key) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return;
  records_.erase(it->second);
  by_key_.erase(it);
}

void LoginDelay::TakeBack(const std::string& key) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end() || it->second->failures == 0) return;
  --it->second->failures;
  it->second->last = it->second->before;
}

}  // namespace slipway::access
