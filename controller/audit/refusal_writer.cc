#include "controller/audit/refusal_writer.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"

namespace slipway::audit {
namespace {

// An entry has at most so many details; who records a refusal knows what they are.
constexpr std::size_t kMaxDetails = 8;

domain::AuditEntry LeftOut(std::int64_t attempts) {
  domain::AuditEntry entry;
  entry.actor = "controller";
  entry.action = "leave_out_refusals";
  entry.object = "audit";
  entry.reason = "TOO_MANY_REFUSALS";
  entry.details.emplace_back("times", attempts);
  return entry;
}

}  // namespace

RefusalWriter::RefusalWriter(store::AuditStore& audit, RefusalWriterOptions options)
    : options_(options), audit_(audit), thread_([this] { Loop(); }) {}

RefusalWriter::~RefusalWriter() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RefusalWriter::RecordRefusal(domain::AuditEntry refused) {
  Clip(refused);
  std::string bytes = domain::CanonicalEntry(refused, 0);
  {
    const std::lock_guard lock(mu_);
    const auto it = waiting_.find(bytes);
    if (it != waiting_.end()) {
      ++it->second.times;
      return;
    }
    if (waiting_.size() >= options_.max_waiting) {
      ++left_out_;
      return;
    }
    waiting_.emplace(std::move(bytes), Waiting{.entry = std::move(refused), .times = 1});
  }
  wake_.notify_one();
}

void RefusalWriter::Clip(domain::AuditEntry& entry) const {
  const auto clip = [this](std::string& text) {
    if (text.size() <= options_.max_text_bytes) return;
    text.resize(options_.max_text_bytes);
    text.shrink_to_fit();
  };
  for (std::string* text : {&entry.actor, &entry.from, &entry.action, &entry.object, &entry.subject,
                            &entry.reason, &entry.before, &entry.after}) {
    clip(*text);
  }
  entry.details.resize(std::min(entry.details.size(), kMaxDetails));
  for (auto& [key, value] : entry.details) {
    if (auto* text = std::get_if<std::string>(&value)) clip(*text);
  }
}

void RefusalWriter::Loop() {
  // What is being written; kept until it is.
  std::vector<domain::AuditEntry> entries;
  std::unique_lock lock(mu_);
  while (true) {
    if (entries.empty()) {
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      for (auto& [bytes, waiting] : waiting_) {
        if (waiting.times > 1) waiting.entry.details.emplace_back("times", waiting.times);
        entries.push_back(std::move(waiting.entry));
      }
      waiting_.clear();
      if (left_out_ > 0) entries.push_back(LeftOut(std::exchange(left_out_, 0)));
    }
    if (entries.empty()) return;
    const bool last_try = stopping_;
    lock.unlock();
    const absl::Status written = audit_.Append(entries);
    if (written.ok()) {
      entries.clear();
    } else {
      log::Warn("refusals_not_recorded", {{"entries", std::to_string(entries.size())},
                                          {"error", std::string(written.message())}});
    }
    lock.lock();
    if (last_try) {
      if (!written.ok() || waiting_.empty()) return;
      continue;
    }
    wake_.wait_for(lock, options_.pause, [this] { return stopping_; });
  }
}

}  // namespace slipway::audit
