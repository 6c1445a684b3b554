#include "common/mask/secret_masker.h"

#include <string.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace slipway::mask {
namespace {

constexpr std::size_t kBlocks = std::size_t{1} << 16;

inline std::size_t Block(const char* p) {
  return static_cast<std::size_t>(static_cast<std::uint8_t>(p[0])) << 8 |
         static_cast<std::uint8_t>(p[1]);
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
  shortest_ = patterns_.back().size();

  const std::size_t largest_shift =
      std::min<std::size_t>(shortest_ - 1, std::numeric_limits<std::uint8_t>::max());
  shift_.assign(kBlocks, static_cast<std::uint8_t>(largest_shift));
  by_last_.resize(256);
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {
    const std::string& p = patterns_[i];
    for (std::size_t end = 2; end <= shortest_; ++end) {
      std::uint8_t& shift = shift_[Block(&p[end - 2])];
      shift = static_cast<std::uint8_t>(std::min<std::size_t>(shift, shortest_ - end));
    }
    by_last_[static_cast<std::uint8_t>(p[shortest_ - 1])].push_back(i);
    by_first_[static_cast<std::uint8_t>(p[0])].push_back(i);
  }
}

SecretMasker& SecretMasker::operator=(SecretMasker&& other) noexcept {
  if (this == &other) return *this;
  WipeAll();
  patterns_ = std::move(other.patterns_);
  shortest_ = other.shortest_;
  longest_ = other.longest_;
  shift_ = std::move(other.shift_);
  by_last_ = std::move(other.by_last_);
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
  const char* const begin = data.data();
  const char* const end = begin + data.size();
  const std::uint8_t* const shift = shift_.data();
  for (const char* last = begin + from + shortest_ - 1; last < end;) {
    const std::uint8_t step = shift[Block(last - 1)];
    if (step != 0) {
      last += step;
      continue;
    }
    const char* const start = last + 1 - shortest_;
    const auto room = static_cast<std::size_t>(end - start);
    for (const std::uint32_t i : by_last_[static_cast<std::uint8_t>(*last)]) {
      const std::string& p = patterns_[i];
      if (p.front() == *start && p.size() <= room && memcmp(p.data(), start, p.size()) == 0) {
        *match = {static_cast<std::size_t>(start - begin), p.size()};
        return true;
      }
    }
    ++last;
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
