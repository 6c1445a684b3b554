// A manifest that is accepted is written back as the same bytes and is safe to unpack; one that is
// refused names the line, or the paths that do not go together.
#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/manifest/manifest.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using manifest::Entry;
using manifest::EntryKind;
using manifest::Manifest;

// Where a symlink at `path` leads: never out of the tree.
void CheckStaysInside(std::string_view path, std::string_view target) {
  int depth = 0;
  for (const char c : path) depth += c == '/' ? 1 : 0;
  while (!target.empty()) {
    const std::size_t slash = std::min(target.find('/'), target.size());
    const std::string_view part = target.substr(0, slash);
    target.remove_prefix(std::min(slash + 1, target.size()));
    SLIPWAY_CHECK(!part.empty());
    depth += part == ".." ? -1 : 1;
    SLIPWAY_CHECK(depth >= 0);
  }
}

void CheckEntries(const Manifest& manifest) {
  std::set<std::string, std::less<>> names;
  std::uint64_t bytes = 0;
  std::size_t files = 0;
  for (const Entry& entry : manifest.entries()) {
    SLIPWAY_CHECK(manifest::CheckPath(entry.path).ok());
    SLIPWAY_CHECK(entry.path.find_first_of(std::string_view("\n\t\0", 3)) == std::string::npos);
    SLIPWAY_CHECK(("/" + entry.path + "/").find("/../") == std::string::npos);
    SLIPWAY_CHECK(names.empty() || *names.rbegin() < entry.path);
    names.insert(entry.path);
    if (entry.kind == EntryKind::kSymlink) CheckStaysInside(entry.path, entry.target);
    if (entry.kind != EntryKind::kFile) continue;
    ++files;
    bytes += entry.size;
  }
  for (const Entry& entry : manifest.entries()) {
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos;
         slash = entry.path.find('/', slash + 1)) {
      SLIPWAY_CHECK(!names.contains(std::string_view(entry.path).substr(0, slash)));
    }
  }
  SLIPWAY_CHECK(manifest.file_count() == files);
  SLIPWAY_CHECK(manifest.total_bytes() == bytes);
  SLIPWAY_CHECK(manifest::DistinctBlobs(manifest).size() <= files);
}

void Check(std::string_view text) {
  const auto parsed = Manifest::Parse(text);
  if (!parsed.ok()) {
    const std::string message(parsed.status().message());
    SLIPWAY_CHECK(parsed.status().code() == absl::StatusCode::kResourceExhausted ||
                  message.starts_with("line ") ||
                  message.find("leads through") != std::string::npos);
    return;
  }
  SLIPWAY_CHECK(parsed->Encode() == text);
  CheckEntries(*parsed);
  const auto created = Manifest::Create({parsed->entries().rbegin(), parsed->entries().rend()});
  SLIPWAY_CHECK(created.ok() && *created == *parsed);
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
