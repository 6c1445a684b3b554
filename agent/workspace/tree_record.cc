#include "agent/workspace/tree_record.h"

#include <fcntl.h>

#include <cstring>
#include <type_traits>

#include "agent/workspace/file_support.h"
#include "agent/workspace/git2_support.h"

namespace slipway::workspace {
namespace {

constexpr std::string_view kMagic = "slipway-tree-1\n";
constexpr std::size_t kHashSize = 40;

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

// Reads what PutNumber and PutText wrote; `ok` turns false at the first lack of bytes.
struct Input {
  std::string_view rest;
  bool ok = true;

  template <typename T>
  T Number() {
    T value{};
    if (rest.size() < sizeof(T)) {
      ok = false;
      return value;
    }
    std::memcpy(&value, rest.data(), sizeof(T));
    rest.remove_prefix(sizeof(T));
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
  body.reserve(files.size() * 160 + 256);
  PutText(body, boot);
  PutText(body, conversion);
  PutNumber(body, static_cast<std::uint64_t>(files.size()));
  for (const auto& [path, file] : files) {
    PutText(body, path);
    PutText(body, file.blob);
    PutNumber(body, file.mode);
    PutNumber(body, file.stamp.inode);
    PutNumber(body, file.stamp.size);
    PutNumber(body, file.stamp.mtime_ns);
    PutNumber(body, file.stamp.ctime_ns);
  }
  return std::string(kMagic) + HashName(body) + body;
}

std::optional<TreeRecord> TreeRecord::Parse(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kHashSize || bytes.substr(0, kMagic.size()) != kMagic) {
    return std::nullopt;
  }
  const std::string_view hash = bytes.substr(kMagic.size(), kHashSize);
  Input input{bytes.substr(kMagic.size() + kHashSize)};
  if (HashName(input.rest) != hash) return std::nullopt;
  TreeRecord record;
  record.boot = input.Text();
  record.conversion = input.Text();
  const auto count = input.Number<std::uint64_t>();
  record.files.reserve(count);
  for (std::uint64_t i = 0; input.ok && i < count; ++i) {
    std::string path = input.Text();
    RecordedFile file;
    file.blob = input.Text();
    file.mode = input.Number<std::uint32_t>();
    file.stamp.inode = input.Number<std::uint64_t>();
    file.stamp.size = input.Number<std::int64_t>();
    file.stamp.mtime_ns = input.Number<std::int64_t>();
    file.stamp.ctime_ns = input.Number<std::int64_t>();
    record.files.emplace(std::move(path), std::move(file));
  }
  if (!input.ok || !input.rest.empty()) return std::nullopt;
  return record;
}

std::string CurrentBoot() {
  // /proc files have no size, so not ReadWholeFile.
  std::string text(64, '\0');
  const Fd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const ssize_t got = fd.valid() ? read(fd.get(), text.data(), text.size()) : 0;
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

}  // namespace slipway::workspace
