#include "controller/logs/log_tail.h"

#include <algorithm>
#include <cstring>

namespace slipway::logs {

// Appended to behind what readers have; those bytes never change.
struct LogTails::Block {
  explicit Block(std::size_t size) : bytes(std::make_unique_for_overwrite<char[]>(size)) {}
  const std::unique_ptr<char[]> bytes;
  std::size_t used = 0;
};

std::size_t LogTails::bytes() const {
  const std::lock_guard lock(mu_);
  return order_.size() * options_.block_bytes;
}

void LogTail::Join() {
  const std::lock_guard lock(all_.mu_);
  ++readers_;
}

void LogTail::Leave() {
  const std::lock_guard lock(all_.mu_);
  if (--readers_ == 0) DropAll();
}

void LogTail::Append(std::uint64_t offset, std::string_view data) {
  const std::lock_guard lock(all_.mu_);
  if (readers_ == 0) return;
  if (offset != end_) DropAll();
  if (blocks_.empty()) begin_ = end_ = offset;
  while (!data.empty()) {
    if (blocks_.empty() || blocks_.back().block->used == all_.options_.block_bytes) AddBlock();
    LogTails::Block& block = *blocks_.back().block;
    const std::size_t size = std::min(data.size(), all_.options_.block_bytes - block.used);
    std::memcpy(block.bytes.get() + block.used, data.data(), size);
    block.used += size;
    end_ += size;
    data.remove_prefix(size);
  }
}

void LogTail::Clear() {
  const std::lock_guard lock(all_.mu_);
  DropAll();
}

std::optional<LogPiece> LogTail::Read(std::uint64_t offset) const {
  const std::lock_guard lock(all_.mu_);
  if (blocks_.empty() || offset < begin_ || offset > end_) return std::nullopt;
  if (offset == end_) return LogPiece();
  const std::size_t size = all_.options_.block_bytes;
  const auto& block = blocks_[(offset - begin_) / size].block;
  const std::size_t at = (offset - begin_) % size;
  const std::string_view data(block->bytes.get() + at, block->used - at);
  return LogPiece{.data = data, .owner = block, .last = offset + data.size() == end_};
}

void LogTail::AddBlock() {
  const std::size_t size = all_.options_.block_bytes;
  while (!all_.order_.empty() && (all_.order_.size() + 1) * size > all_.options_.max_bytes) {
    all_.order_.front()->DropFirst();
  }
  if (blocks_.empty()) begin_ = end_;
  blocks_.push_back(
      {std::make_shared<LogTails::Block>(size), all_.order_.insert(all_.order_.end(), this)});
}

void LogTail::DropFirst() {
  begin_ += blocks_.front().block->used;
  all_.order_.erase(blocks_.front().place);
  blocks_.pop_front();
}

void LogTail::DropAll() {
  while (!blocks_.empty()) DropFirst();
}

}  // namespace slipway::logs
