#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/document.h"
#include "controller/cli/catalog/catalog.h"

namespace slipway::cli::catalog {

// Reads files of YAML documents, each of a kind: application, target or environment (see
// docs/configuration.md). Thread-compatible.
class CatalogReader {
 public:
  // The bytes of a file that a document names.
  using ReadFile = std::function<absl::StatusOr<std::string>(const std::string& path)>;
  explicit CatalogReader(ReadFile read_file) : read_file_(std::move(read_file)) {}

  // `folder`: what names of files in the text are relative to. kInvalidArgument CONFIG_INVALID with
  // every mistake of the text, each with its file, line and column.
  [[nodiscard]] absl::Status Add(std::string_view text, const std::string& file_name,
                                 const std::string& folder);

  // All that was added.
  [[nodiscard]] const Catalog& catalog() const { return catalog_; }

 private:
  void ReadEnvironment(config::Section root);
  static void ReadChannel(config::Section& root, v1::Target& target);
  void ReadTarget(config::Section root, const std::string& folder);
  void ReadApplication(config::Section root);
  void CheckOnce(config::Section& root, const std::string& key);

  const ReadFile read_file_;
  Catalog catalog_;
  std::set<std::string> seen_;
};

}  // namespace slipway::cli::catalog
