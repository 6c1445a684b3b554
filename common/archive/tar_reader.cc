#include "common/archive/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::archive {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

struct FreeReader {
  void operator()(::archive* reader) const { archive_read_free(reader); }
};
using ReaderPtr = std::unique_ptr<::archive, FreeReader>;

absl::Status Broken(::archive* reader, const std::string& path) {
  const char* words = archive_error_string(reader);
  return absl::InvalidArgumentError(
      fmt::format("{}: {}", path, words == nullptr ? "cannot be read" : words));
}

// Hands the content of the file to `take`.
absl::Status Visit(const std::string& path, const std::string& name,
                   const std::function<absl::Status(std::string_view)>& take) {
  const ReaderPtr reader(archive_read_new());
  if (archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
      archive_read_open_filename(reader.get(), path.c_str(), kBufferBytes) != ARCHIVE_OK) {
    return Broken(reader.get(), path);
  }
  archive_entry* entry = nullptr;
  while (true) {
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) return absl::NotFoundError(fmt::format("{} has no {}", path, name));
    if (result != ARCHIVE_OK) return Broken(reader.get(), path);
    const char* found = archive_entry_pathname(entry);
    if (found != nullptr && name == found && archive_entry_filetype(entry) == AE_IFREG) break;
  }
  std::vector<char> buffer(kBufferBytes);
  while (true) {
    const la_ssize_t n = archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (n < 0) return Broken(reader.get(), path);
    if (n == 0) return absl::OkStatus();
    SLIPWAY_RETURN_IF_ERROR(take({buffer.data(), static_cast<std::size_t>(n)}));
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFromTar(const std::string& path, const std::string& name,
                                        std::size_t max_bytes) {
  std::string content;
  SLIPWAY_RETURN_IF_ERROR(Visit(path, name, [&](std::string_view piece) -> absl::Status {
    if (content.size() + piece.size() > max_bytes) {
      return absl::InvalidArgumentError(
          fmt::format("{} in {} is larger than {} bytes", name, path, max_bytes));
    }
    content += piece;
    return absl::OkStatus();
  }));
  return content;
}

absl::Status ExtractFromTar(const std::string& path, const std::string& name,
                            const std::string& target) {
  const fs::UniqueFd file(
      open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, target);
  return Visit(path, name,
               [&](std::string_view piece) { return fs::WriteAll(file.get(), piece, target); });
}

}  // namespace slipway::archive
