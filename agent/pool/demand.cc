#include "agent/pool/demand.h"

#include <algorithm>

namespace slipway::pool {

void Demand::Wish(const Kind& kind, MonoTime now) {
  std::deque<MonoTime>& wishes = wishes_[kind];
  wishes.push_back(now);
  if (wishes.size() > kMaxWishes) wishes.pop_front();
}

std::size_t Demand::LargestBurst(const std::deque<MonoTime>& wishes) const {
  std::size_t largest = 0;
  for (std::size_t begin = 0, end = 0; end < wishes.size(); ++end) {
    while (wishes[end] - wishes[begin] > options_.burst) ++begin;
    largest = std::max(largest, end - begin + 1);
  }
  return largest;
}

std::vector<Demand::Target> Demand::Targets(std::size_t capacity, MonoTime now) {
  struct Wanted {
    const Kind* kind;
    MonoTime latest;
    std::size_t burst;
  };
  std::vector<Wanted> wanted;
  for (auto it = wishes_.begin(); it != wishes_.end();) {
    std::deque<MonoTime>& wishes = it->second;
    while (!wishes.empty() && now - wishes.front() > options_.memory) wishes.pop_front();
    if (wishes.empty()) {
      it = wishes_.erase(it);
      continue;
    }
    wanted.push_back({&it->first, wishes.back(), LargestBurst(wishes)});
    ++it;
  }
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const Wanted& a, const Wanted& b) { return a.latest > b.latest; });
  if (wanted.size() > capacity) wanted.resize(capacity);
  std::vector<Target> targets;
  targets.reserve(wanted.size());
  for (const Wanted& one : wanted) targets.push_back({*one.kind, 1});
  std::size_t left = capacity - targets.size();
  for (std::size_t round = 2; left > 0; ++round) {
    bool more = false;
    for (std::size_t i = 0; i < targets.size() && left > 0; ++i) {
      if (wanted[i].burst < round) continue;
      ++targets[i].ready;
      --left;
      more = true;
    }
    if (!more) break;
  }
  return targets;
}

}  // namespace slipway::pool
