#include "common/mask/secret_masker.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace slipway::mask {
namespace {

// Every pattern has four bytes, which makes chance hits rare in any text; 2^14 entries stay in the
// first-level cache.
constexpr unsigned kTableBits = 14;
constexpr std::size_t kPrefix = 4;
constexpr std::size_t kMaxBuckets = 256;
static_assert(kMinSecret >= kPrefix);

// The table entry of the four bytes at `p`.
inline std::size_t Slot(const char* p) {
  std::uint32_t bytes;
  memcpy(&bytes, p, sizeof(bytes));
  return (bytes * 0x9e3779b1U) >> (32 - kTableBits);
}

void Wipe(std::string& s) {
  explicit_bzero(s.data(), s.size());
  s.clear();
}

}  // namespace

SecretMasker::SecretMasker(const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    for (auto& form : SecretForms(secret)) patterns_.push_back(std::move(form));
  }
  if (patterns_.empty()) return;
  // Longest first, so that the first hit of a bucket is the longest.
  std::sort(patterns_.begin(), patterns_.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  patterns_.erase(std::unique(patterns_.begin(), patterns_.end()), patterns_.end());
  longest_ = patterns_.front().size();

  bucket_of_.assign(std::size_t{1} << kTableBits, 0);
  buckets_.resize(1);
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {
    const std::string& p = patterns_[i];
    std::uint8_t& bucket = bucket_of_[Slot(p.data())];
    if (bucket == 0) {
      if (buckets_.size() < kMaxBuckets) {
        buckets_.emplace_back();
        bucket = static_cast<std::uint8_t>(buckets_.size() - 1);
      } else {
        bucket = static_cast<std::uint8_t>(1 + i % (kMaxBuckets - 1));
      }
    }
    buckets_[bucket].push_back(i);
    by_first_[static_cast<std::uint8_t>(p[0])].push_back(i);
  }
}

SecretMasker& SecretMasker::operator=(SecretMasker&& other) noexcept {
  if (this == &other) return *this;
  WipeAll();
  patterns_ = std::move(other.patterns_);
  longest_ = other.longest_;
  bucket_of_ = std::move(other.bucket_of_);
  buckets_ = std::move(other.buckets_);
  by_first_ = std::move(other.by_first_);
  held_ = std::move(other.held_);
  return *this;
}

SecretMasker::~SecretMasker() { WipeAll(); }

void SecretMasker::WipeAll() {
  for (auto& p : patterns_) Wipe(p);
  Wipe(held_);
}

void SecretMasker::Feed(std::string_view chunk, std::string* out) {
  if (patterns_.empty()) {
    out->append(chunk);
    return;
  }
  if (held_.empty()) {
    const std::size_t done = Scan(chunk, false, out);
    held_.assign(chunk.substr(done));
    return;
  }
  held_.append(chunk);
  const std::size_t done = Scan(held_, false, out);
  held_.erase(0, done);
}

void SecretMasker::Flush(std::string* out) {
  Scan(held_, true, out);
  Wipe(held_);
}

std::string SecretMasker::Mask(std::string_view text) const {
  std::string out;
  if (patterns_.empty()) {
    out = text;
  } else {
    Scan(text, true, &out);
  }
  return out;
}

std::size_t SecretMasker::Scan(std::string_view data, bool final, std::string* out) const {
  std::size_t done = 0;
  std::size_t partial = final ? data.size() : FindPartial(data, 0);
  Match match{};
  while (FindMatch(data, done, &match)) {
    // A beginning at or before the match wins once the stream goes on that way.
    if (partial <= match.begin) break;
    out->append(data.substr(done, match.begin - done));
    out->append(kReplacement);
    done = match.begin + match.size;
    if (!final && partial < done) partial = FindPartial(data, done);
  }
  out->append(data.substr(done, partial - done));
  return partial;
}

bool SecretMasker::FindMatch(std::string_view data, std::size_t from, Match* match) const {
  constexpr std::size_t kStride = 8;
  if (data.size() < kPrefix) return false;
  const char* const base = data.data();
  const std::uint8_t* const bucket_of = bucket_of_.data();
  const std::size_t stop = data.size() - kPrefix + 1;
  for (std::size_t at = from; at < stop;) {
    if (stop - at >= kStride) {
      // Lookups that do not wait for each other, and one branch for all of them.
      unsigned any = 0;
      for (std::size_t i = 0; i < kStride; ++i) any |= bucket_of[Slot(base + at + i)];
      if (any == 0) {
        at += kStride;
        continue;
      }
    }
    const std::size_t until = std::min(at + kStride, stop);
    for (; at < until; ++at) {
      for (const std::uint32_t i : buckets_[bucket_of[Slot(base + at)]]) {
        const std::string& p = patterns_[i];
        if (p.size() <= data.size() - at && memcmp(p.data(), base + at, p.size()) == 0) {
          *match = {at, p.size()};
          return true;
        }
      }
    }
  }
  return false;
}

std::size_t SecretMasker::FindPartial(std::string_view data, std::size_t from) const {
  const std::size_t reach = longest_ - 1;
  std::size_t at = std::max(from, data.size() > reach ? data.size() - reach : 0);
  for (; at < data.size(); ++at) {
    const std::string_view rest = data.substr(at);
    for (const std::uint32_t i : by_first_[static_cast<std::uint8_t>(rest.front())]) {
      const std::string& p = patterns_[i];
      if (p.size() > rest.size() && memcmp(p.data(), rest.data(), rest.size()) == 0) return at;
    }
  }
  return data.size();
}

}  // namespace slipway::mask
