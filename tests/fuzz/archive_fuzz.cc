// What is written as tar or zip is read back by libarchive as the same tree, and the same tree
// gives the same bytes.
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/archive/archive_writer.h"
#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using archive::Format;
using manifest::Entry;
using manifest::EntryKind;
using manifest::Manifest;

constexpr std::size_t kMaxEntries = 8;

struct Tree {
  Manifest manifest;
  std::map<Sha256Digest, std::string> contents;
};

class StringReader final : public fs::ByteReader {
 public:
  explicit StringReader(std::string_view rest) : rest_(rest) {}
  absl::StatusOr<std::size_t> Read(std::span<char> buffer) override {
    const std::size_t n = rest_.copy(buffer.data(), buffer.size());
    rest_.remove_prefix(n);
    return n;
  }

 private:
  std::string_view rest_;
};

// The entries that a manifest may hold; false: not together.
bool MakeTree(ByteSource& in, Tree* tree) {
  std::vector<Entry> entries;
  while (!in.empty() && entries.size() < kMaxEntries) {
    Entry entry;
    const std::uint8_t kind = in.Byte();
    // Long names take other ways through both formats.
    entry.path = std::string((kind & 4) != 0 ? 150 : 0, 'p');
    if ((kind & 8) != 0) entry.path += "/";
    entry.path += in.Bytes(in.Byte() % 64);
    if (!manifest::CheckPath(entry.path).ok()) continue;
    if ((kind & 3) == 1) {
      entry.kind = EntryKind::kDirectory;
    } else if ((kind & 3) == 2) {
      entry.kind = EntryKind::kSymlink;
      entry.target = std::string((kind & 16) != 0 ? 120 : 0, 't');
      entry.target += in.Bytes(in.Byte() % 64);
      if (!manifest::CheckSymlink(entry.path, entry.target).ok()) continue;
    } else {
      entry.executable = (kind & 3) == 3;
      std::string content;
      for (int i = 0; i <= (kind >> 5); ++i) content += in.Bytes(in.Byte());
      entry.size = content.size();
      entry.digest = crypto::Sha256Of(content);
      tree->contents[entry.digest] = std::move(content);
    }
    entries.push_back(std::move(entry));
  }
  auto manifest = Manifest::Create(std::move(entries));
  if (manifest.ok()) tree->manifest = *std::move(manifest);
  return manifest.ok();
}

// nullopt: a zip file cannot hold one of the names.
std::optional<std::string> Write(const Tree& tree, Format format) {
  std::string bytes;
  const absl::Status status = archive::WriteArchive(
      tree.manifest, format, FromUnixMicros(1'600'000'000'000'000),
      [&](const Entry& entry) -> absl::StatusOr<std::unique_ptr<fs::ByteReader>> {
        return std::make_unique<StringReader>(tree.contents.at(entry.digest));
      },
      [&](std::string_view more) {
        bytes += more;
        return absl::OkStatus();
      });
  const auto& entries = tree.manifest.entries();
  const bool backslash = std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return entry.path.find('\\') != std::string::npos;
  });
  SLIPWAY_CHECK(status.ok() == (format == Format::kTar || !backslash));
  if (!status.ok()) return std::nullopt;
  return bytes;
}

std::string Text(const char* text) { return text == nullptr ? "" : text; }

Entry ReadEntry(::archive* reader, archive_entry* header) {
  Entry entry;
  entry.path = Text(archive_entry_pathname_utf8(header));
  switch (archive_entry_filetype(header)) {
    case AE_IFDIR:
      entry.kind = EntryKind::kDirectory;
      if (entry.path.ends_with('/')) entry.path.pop_back();
      break;
    case AE_IFLNK:
      entry.kind = EntryKind::kSymlink;
      entry.target = Text(archive_entry_symlink_utf8(header));
      break;
    case AE_IFREG: {
      SLIPWAY_CHECK((archive_entry_perm(header) & 0666) == 0644);
      entry.executable = (archive_entry_perm(header) & 0111) != 0;
      std::string content;
      char buffer[4096];
      la_ssize_t n = 0;
      while ((n = archive_read_data(reader, buffer, sizeof(buffer))) > 0) {
        content.append(buffer, static_cast<std::size_t>(n));
      }
      SLIPWAY_CHECK(n == 0);
      entry.size = content.size();
      entry.digest = crypto::Sha256Of(content);
      break;
    }
    default: SLIPWAY_CHECK(false && "a kind that was never written");
  }
  return entry;
}

std::vector<Entry> Read(const std::string& bytes, Format format) {
  const std::unique_ptr<::archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                        archive_read_free);
  if (format == Format::kTar) {
    archive_read_support_format_tar(reader.get());
  } else {
    archive_read_support_format_zip(reader.get());
  }
  SLIPWAY_CHECK(archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) == ARCHIVE_OK);
  std::vector<Entry> entries;
  archive_entry* header = nullptr;
  int result = ARCHIVE_OK;
  while ((result = archive_read_next_header(reader.get(), &header)) == ARCHIVE_OK) {
    entries.push_back(ReadEntry(reader.get(), header));
  }
  SLIPWAY_CHECK(result == ARCHIVE_EOF);
  return entries;
}

void Print(const char* where, const std::vector<Entry>& entries) {
  (void)std::fprintf(stderr, "%s\n", where);
  for (const Entry& entry : entries) {
    (void)std::fprintf(stderr, "  %d %d %llu \"%s\" -> \"%s\"\n", static_cast<int>(entry.kind),
                       static_cast<int>(entry.executable),
                       static_cast<unsigned long long>(entry.size), entry.path.c_str(),
                       entry.target.c_str());
  }
}

void Check(ByteSource in) {
  Tree tree;
  if (!MakeTree(in, &tree)) return;
  for (const Format format : {Format::kTar, Format::kZip}) {
    const std::optional<std::string> bytes = Write(tree, format);
    SLIPWAY_CHECK(Write(tree, format) == bytes);
    if (!bytes) continue;
    // libarchive knows no empty zip file.
    if (tree.manifest.entries().empty() && format == Format::kZip) continue;
    const std::vector<Entry> read = Read(*bytes, format);
    if (read == tree.manifest.entries()) continue;
    Print(format == Format::kTar ? "in the tar file:" : "in the zip file:", read);
    Print("in the manifest:", tree.manifest.entries());
    SLIPWAY_CHECK(false && "the same tree");
  }
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // libarchive reads names through the locale.
  static const char* const kLocale = setlocale(LC_CTYPE, "C.UTF-8");
  SLIPWAY_CHECK(kLocale != nullptr);
  slipway::fuzz::Check({data, size});
  return 0;
}
