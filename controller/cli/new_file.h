#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/fs/unique_fd.h"
#include "controller/cli/text.h"

namespace slipway::cli {

// A file that appears under its name whole or not at all, also when the disk is full. Removed when
// it was not finished. Confined to one thread.
class NewFile {
 public:
  // Who may read it, from its first byte on.
  enum class Readers { kAsUmaskSays, kOwner };

  [[nodiscard]] static absl::StatusOr<NewFile> Create(const std::string& path,
                                                      Readers readers = Readers::kAsUmaskSays);
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;

  // For whoever reads what was written.
  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] absl::Status Write(std::string_view bytes);
  // kAlreadyExists, FILE_EXISTS: something has the name already; not with `force`.
  [[nodiscard]] absl::Status Finish(bool force, Text text);

 private:
  NewFile(std::string path, std::string temporary, fs::UniqueFd file);

  std::string path_;
  std::string temporary_;  // empty: finished
  fs::UniqueFd file_;
};

}  // namespace slipway::cli
