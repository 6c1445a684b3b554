#include "common/project/read_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/project/paths.h"

namespace slipway::project {
namespace {

constexpr std::size_t kMaxPackages = 200;
constexpr std::size_t kMaxFiles = 64;

bool IsPackageChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}
bool IsVersionChar(char c) {
  return IsPackageChar(c) || (c >= 'A' && c <= 'Z') || c == ':' || c == '~';
}

// Debian's own rules for names and versions; neither can be an option of apt.
bool IsPackage(std::string_view text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  const std::string_view name = text.substr(0, equals);
  if (name.size() < 2 || name.size() > 128 || name.front() == '-' || name.back() == '-' ||
      !std::all_of(name.begin(), name.end(), IsPackageChar)) {
    return false;
  }
  if (equals == text.size()) return true;
  const std::string_view version = text.substr(equals + 1);
  return !version.empty() && version.size() <= 128 &&
         std::all_of(version.begin(), version.end(), IsVersionChar);
}

}  // namespace

std::optional<Preparation> ReadPreparation(config::Section& build) {
  auto section = build.FindSection("prepare");
  if (!section) return std::nullopt;
  Preparation preparation;
  preparation.apt = section->GetStrings("apt");
  for (const std::string& package : preparation.apt) {
    if (IsPackage(package)) continue;
    section->Fail("apt", fmt::format("'{}' is not a Debian package; use NAME or NAME=VERSION",
                                     package.substr(0, 64)));
  }
  if (preparation.apt.size() > kMaxPackages) {
    section->Fail("apt", fmt::format("more than {} packages", kMaxPackages));
  }
  for (const std::string& text : section->GetStrings("files")) {
    auto path = NormalisePath(text);
    if (path && *path != ".") {
      preparation.files.push_back(*std::move(path));
    } else {
      section->Fail("files", fmt::format("'{}' is not allowed; use a path inside the work tree, "
                                         "relative and without '..'",
                                         text.substr(0, 128)));
    }
  }
  std::sort(preparation.files.begin(), preparation.files.end());
  if (std::adjacent_find(preparation.files.begin(), preparation.files.end()) !=
      preparation.files.end()) {
    section->Fail("files", "a file is named twice");
  }
  if (preparation.files.size() > kMaxFiles) {
    section->Fail("files", fmt::format("more than {} files", kMaxFiles));
  }
  preparation.run = section->GetString("run", "");
  preparation.timeout = section->GetDuration("timeout", preparation.timeout,
                                             std::chrono::seconds(1), std::chrono::hours(2));
  if (preparation.apt.empty() && preparation.run.empty()) {
    build.Fail("prepare", "nothing to do: set 'apt' (packages), 'run' (text of a script) or both");
  }
  return preparation;
}

}  // namespace slipway::project
