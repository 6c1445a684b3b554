#include "common/manifest/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <unordered_set>

#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::manifest {
namespace {

using absl::StatusCode;

constexpr std::string_view kHeader = "slipway-manifest 1\n";
constexpr std::size_t kHexDigest = 2 * Sha256Digest::kSize;

absl::Status Refuse(std::string_view message) {
  return MakeError(StatusCode::kInvalidArgument, "MANIFEST_INVALID", message);
}

absl::Status TooLarge(std::string_view message) {
  return MakeError(StatusCode::kResourceExhausted, "MANIFEST_TOO_LARGE", message,
                   "Archive fewer files: narrow the output paths in slipway.yaml.");
}

std::size_t EncodedSize(const Entry& entry) {
  // Kind, mode, size, digest, tabs and newline of the longest line, plus its texts.
  constexpr std::size_t kFixed = 5 + 5 + 21 + kHexDigest + 1 + 1;
  return kFixed + entry.path.size() + entry.target.size();
}

void AppendLine(const Entry& entry, std::string& out) {
  switch (entry.kind) {
    case EntryKind::kFile: {
      std::array<char, 24> size{};
      const auto end = std::to_chars(size.data(), size.data() + size.size(), entry.size).ptr;
      out += entry.executable ? "file\t0755\t" : "file\t0644\t";
      out.append(size.data(), end);
      out += '\t';
      out += entry.digest.Hex();
      out += '\t';
      out += entry.path;
      break;
    }
    case EntryKind::kDirectory:
      out += "dir\t";
      out += entry.path;
      break;
    case EntryKind::kSymlink:
      out += "link\t";
      out += entry.path;
      out += '\t';
      out += entry.target;
      break;
  }
  out += '\n';
}

absl::Status CheckEntry(const Entry& entry) {
  SLIPWAY_RETURN_IF_ERROR(CheckPath(entry.path));
  if (entry.kind == EntryKind::kSymlink) return CheckSymlink(entry.path, entry.target);
  return absl::OkStatus();
}

// Entries are sorted, so an ancestor that is an entry itself can be searched for. Neighbours mostly
// share their directory; each directory is looked at once per group.
absl::Status CheckNesting(const std::vector<Entry>& entries) {
  std::string_view previous_parent;
  for (const Entry& entry : entries) {
    const std::string_view path = entry.path;
    const std::size_t cut = path.rfind('/');
    const std::string_view parent = cut == std::string_view::npos ? "" : path.substr(0, cut);
    if (parent == previous_parent) continue;
    previous_parent = parent;
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      const std::string_view ancestor = path.substr(0, slash);
      const auto found = std::lower_bound(
          entries.begin(), entries.end(), ancestor,
          [](const Entry& e, std::string_view name) { return std::string_view(e.path) < name; });
      if (found != entries.end() && found->path == ancestor) {
        return Refuse(fmt::format("\"{}\" leads through \"{}\", which is an entry of its own", path,
                                  ancestor));
      }
    }
  }
  return absl::OkStatus();
}

// Cuts the next tab-separated field off `line`.
std::string_view NextField(std::string_view& line) {
  const std::size_t tab = line.find('\t');
  const std::string_view field = line.substr(0, tab);
  line.remove_prefix(tab == std::string_view::npos ? line.size() : tab + 1);
  return field;
}

absl::StatusOr<Entry> ParseFile(std::string_view rest) {
  Entry entry;
  const std::string_view mode = NextField(rest);
  if (mode != "0644" && mode != "0755") return Refuse("its mode is neither 0644 nor 0755");
  entry.executable = mode == "0755";
  const std::string_view size = NextField(rest);
  const char* const end = size.data() + size.size();
  const auto [stop, error] = std::from_chars(size.data(), end, entry.size);
  if (error != std::errc() || stop != end || size.empty() || (size.size() > 1 && size[0] == '0')) {
    return Refuse("its size is not a plain decimal number");
  }
  const std::string_view hex = NextField(rest);
  const auto digest = hex.size() == kHexDigest ? Sha256Digest::Parse(hex) : std::nullopt;
  const bool lower =
      std::none_of(hex.begin(), hex.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  if (!digest || !lower) return Refuse("its digest is not 64 lower-case hex digits");
  entry.digest = *digest;
  entry.path = rest;
  return entry;
}

absl::StatusOr<Entry> ParseLine(std::string_view line) {
  const std::string_view kind = NextField(line);
  if (kind == "file") return ParseFile(line);
  Entry entry;
  if (kind == "dir") {
    entry.kind = EntryKind::kDirectory;
    entry.path = line;
  } else if (kind == "link") {
    entry.kind = EntryKind::kSymlink;
    entry.path = NextField(line);
    entry.target = line;
  } else {
    return Refuse("it begins with neither \"file\", \"dir\" nor \"link\"");
  }
  return entry;
}

}  // namespace

absl::StatusOr<Manifest> Manifest::Create(std::vector<Entry> entries,
                                          const ManifestLimits& limits) {
  if (entries.size() > limits.max_entries) {
    return TooLarge(fmt::format("{} entries, {} are allowed", entries.size(), limits.max_entries));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.path < b.path; });
  Manifest manifest;
  std::size_t encoded = kHeader.size();
  const Entry* previous = nullptr;
  for (const Entry& entry : entries) {
    SLIPWAY_RETURN_IF_ERROR(CheckEntry(entry));
    if (previous != nullptr && previous->path == entry.path) {
      return Refuse(fmt::format("\"{}\" appears twice", entry.path));
    }
    previous = &entry;
    encoded += EncodedSize(entry);
    if (entry.kind != EntryKind::kFile) continue;
    if (entry.size > std::numeric_limits<std::uint64_t>::max() - manifest.total_bytes_) {
      return TooLarge("the sizes of its files add up to more than 64 bits");
    }
    ++manifest.file_count_;
    manifest.total_bytes_ += entry.size;
  }
  if (encoded > limits.max_encoded_bytes) {
    return TooLarge(fmt::format("its text is larger than {} bytes", limits.max_encoded_bytes));
  }
  SLIPWAY_RETURN_IF_ERROR(CheckNesting(entries));
  manifest.entries_ = std::move(entries);
  return manifest;
}

absl::StatusOr<Manifest> Manifest::Parse(std::string_view text, const ManifestLimits& limits) {
  if (text.size() > limits.max_encoded_bytes) {
    return TooLarge(fmt::format("its text is larger than {} bytes", limits.max_encoded_bytes));
  }
  if (!text.starts_with(kHeader)) return Refuse("line 1: not a manifest of version 1");
  text.remove_prefix(kHeader.size());
  std::vector<Entry> entries;
  for (std::size_t line_number = 2; !text.empty(); ++line_number) {
    const auto at_line = [&](const absl::Status& status) {
      return WithContext(status, fmt::format("line {}", line_number));
    };
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return at_line(Refuse("it has no end"));
    if (entries.size() == limits.max_entries) {
      return at_line(TooLarge(fmt::format("more than {} entries", limits.max_entries)));
    }
    absl::StatusOr<Entry> entry = ParseLine(text.substr(0, newline));
    if (!entry.ok()) return at_line(entry.status());
    if (const absl::Status status = CheckEntry(*entry); !status.ok()) return at_line(status);
    if (!entries.empty() && entries.back().path >= entry->path) {
      return at_line(Refuse(fmt::format("\"{}\" is not behind the path before it", entry->path)));
    }
    entries.push_back(*std::move(entry));
    text.remove_prefix(newline + 1);
  }
  // The size of this text has been checked; Create only estimates it.
  ManifestLimits counted = limits;
  counted.max_encoded_bytes = std::numeric_limits<std::size_t>::max();
  return Create(std::move(entries), counted);
}

std::string Manifest::Encode() const {
  std::string text(kHeader);
  std::size_t size = text.size();
  for (const Entry& entry : entries_) size += EncodedSize(entry);
  text.reserve(size);
  for (const Entry& entry : entries_) AppendLine(entry, text);
  return text;
}

Sha256Digest Manifest::Digest() const { return crypto::Sha256Of(Encode()); }

std::vector<BlobRef> DistinctBlobs(const Manifest& manifest) {
  struct Hash {
    std::size_t operator()(const Sha256Digest& digest) const {
      // Any eight bytes of a digest are as good as a hash of it.
      std::size_t value = 0;
      for (std::size_t i = 0; i < sizeof(value); ++i) value = (value << 8) | digest.array()[i];
      return value;
    }
  };
  std::vector<BlobRef> blobs;
  std::unordered_set<Sha256Digest, Hash> seen;
  blobs.reserve(manifest.file_count());
  seen.reserve(manifest.file_count());
  for (const Entry& entry : manifest.entries()) {
    if (entry.kind != EntryKind::kFile) continue;
    if (seen.insert(entry.digest).second) blobs.push_back({entry.digest, entry.size});
  }
  return blobs;
}

}  // namespace slipway::manifest
