#include "agent/workspace/tree_record.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "common/crypto/hash.h"
#include "common/fs/unique_fd.h"
#include "common/git/file_support.h"
#include "common/status/status.h"

namespace slipway::workspace {
namespace {

constexpr std::string_view kMagic = "slipway-tree-2\n";
constexpr std::size_t kDigestSize = Sha256Digest::kSize;

template <typename T>
void PutNumber(std::string& out, T value) {
  static_assert(std::is_integral_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void PutText(std::string& out, std::string_view text) {
  PutNumber(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Reads what Serialize wrote; `ok` turns false at the first lack of bytes.
struct Input {
  std::string_view rest;
  bool ok = true;

  void Bytes(void* to, std::size_t size) {
    if (rest.size() < size) {
      ok = false;
      return;
    }
    std::memcpy(to, rest.data(), size);
    rest.remove_prefix(size);
  }
  template <typename T>
  T Number() {
    T value{};
    Bytes(&value, sizeof(T));
    return value;
  }
  std::string Text() {
    const auto size = Number<std::uint32_t>();
    if (rest.size() < size) {
      ok = false;
      return "";
    }
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  }
};

std::int64_t Nanos(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileStamp FileStamp::Of(const struct stat& info) {
  return {info.st_ino, info.st_size, Nanos(info.st_mtim), Nanos(info.st_ctim)};
}

std::string TreeRecord::Serialize() const {
  std::string body;
  body.reserve(files.size() * 112 + 256);
  for (const std::string& text : {boot, owner, attributes, commit}) PutText(body, text);
  PutNumber(body, entries);
  PutNumber(body, static_cast<std::uint64_t>(files.size()));
  for (const RecordedFile& file : files) {
    PutText(body, file.path);
    body.append(reinterpret_cast<const char*>(file.blob.id), GIT_OID_RAWSZ);
    PutNumber(body, file.mode);
    PutNumber(body, file.stamp.inode);
    PutNumber(body, file.stamp.size);
    PutNumber(body, file.stamp.mtime_ns);
    PutNumber(body, file.stamp.ctime_ns);
  }
  return std::string(kMagic) + crypto::Sha256Of(body).Bytes() + body;
}

std::optional<TreeRecord> TreeRecord::Parse(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kDigestSize || bytes.substr(0, kMagic.size()) != kMagic) {
    return std::nullopt;
  }
  Input input{bytes.substr(kMagic.size() + kDigestSize)};
  if (crypto::Sha256Of(input.rest).Bytes() != bytes.substr(kMagic.size(), kDigestSize)) {
    return std::nullopt;
  }
  TreeRecord record;
  for (std::string* text : {&record.boot, &record.owner, &record.attributes, &record.commit}) {
    *text = input.Text();
  }
  record.entries = input.Number<std::uint64_t>();
  record.files.resize(input.Number<std::uint64_t>());
  for (RecordedFile& file : record.files) {
    file.path = input.Text();
    input.Bytes(file.blob.id, GIT_OID_RAWSZ);
    file.mode = input.Number<std::uint32_t>();
    file.stamp.inode = input.Number<std::uint64_t>();
    file.stamp.size = input.Number<std::int64_t>();
    file.stamp.mtime_ns = input.Number<std::int64_t>();
    file.stamp.ctime_ns = input.Number<std::int64_t>();
  }
  if (!input.ok || !input.rest.empty()) return std::nullopt;
  return record;
}

absl::Status WaitForLaterStamps(const std::string& probe, std::int64_t ctime_ns) {
  const fs::UniqueFd fd(open(probe.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoError(errno, "cannot open " + probe);
  constexpr auto kPause = std::chrono::microseconds(500);
  // Two seconds, the coarsest grain; bounded for a clock that was set back.
  constexpr int kTurns = 5000;
  std::mutex mu;
  std::condition_variable pause;
  for (int turn = 0; turn < kTurns; ++turn) {
    // Sets the ctime, whatever the mode was.
    struct stat info {};
    if (fchmod(fd.get(), 0600) != 0 || fstat(fd.get(), &info) != 0) {
      return ErrnoError(errno, "cannot touch " + probe);
    }
    if (FileStamp::Of(info).ctime_ns > ctime_ns) return absl::OkStatus();
    // A kernel with fine-grained times gives one at once to a file whose last one has been read.
    if (turn == 0) continue;
    std::unique_lock lock(mu);
    pause.wait_for(lock, kPause);
  }
  return absl::OkStatus();
}

}  // namespace slipway::workspace
