#include "common/archive/archive_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <locale.h>

#include <cerrno>
#include <vector>

#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::archive {
namespace {

using absl::StatusCode;
using manifest::EntryKind;

constexpr std::size_t kBufferBytes = 64 * 1024;

struct FreeWriter {
  void operator()(::archive* writer) const { archive_write_free(writer); }
};
using WriterPtr = std::unique_ptr<::archive, FreeWriter>;
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using EntryPtr = std::unique_ptr<archive_entry, FreeEntry>;

// Carries the sink's own error through libarchive's callback.
struct Output {
  const compression::ByteSink& sink;
  absl::Status status;
};

la_ssize_t WriteToSink(::archive* writer, void* client, const void* data, std::size_t size) {
  auto* output = static_cast<Output*>(client);
  output->status = output->sink({static_cast<const char*>(data), size});
  if (output->status.ok()) return static_cast<la_ssize_t>(size);
  archive_set_error(writer, EIO, "the receiver refused");
  return -1;
}

// libarchive converts names through the thread's locale, and crashes on a non-ASCII name in the
// plain C one, which is what a service has. Restores the caller's on destruction.
class Utf8Locale {
 public:
  Utf8Locale()
      : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        previous_(utf8_ == nullptr ? nullptr : uselocale(utf8_)) {}
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    uselocale(previous_);
    freelocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  [[nodiscard]] bool valid() const { return utf8_ != nullptr; }

 private:
  const locale_t utf8_;
  const locale_t previous_;
};

class Writer {
 public:
  Writer(Format format, WallTime modified, const compression::ByteSink& sink)
      : modified_(std::chrono::duration_cast<std::chrono::seconds>(modified.time_since_epoch())),
        output_{sink, absl::OkStatus()},
        writer_(archive_write_new()),
        format_(format) {}

  absl::Status Open() {
    const int result = format_ == Format::kZip
                           ? archive_write_set_format_zip(writer_.get())
                           : archive_write_set_format_pax_restricted(writer_.get());
    SLIPWAY_RETURN_IF_ERROR(Check(result, "set the format"));
    // Paths are UTF-8 in the manifest, whatever the process's locale is.
    SLIPWAY_RETURN_IF_ERROR(
        Check(archive_write_set_options(writer_.get(), "hdrcharset=UTF-8"), "set UTF-8"));
    if (format_ == Format::kTarGz) {
      SLIPWAY_RETURN_IF_ERROR(Check(archive_write_add_filter_gzip(writer_.get()), "add gzip"));
      SLIPWAY_RETURN_IF_ERROR(
          Check(archive_write_set_filter_option(writer_.get(), "gzip", "timestamp", nullptr),
                "leave the time out"));
    }
    archive_write_set_bytes_per_block(writer_.get(), static_cast<int>(kBufferBytes));
    archive_write_set_bytes_in_last_block(writer_.get(), 1);
    return Check(archive_write_open(writer_.get(), &output_, nullptr, WriteToSink, nullptr),
                 "begin the archive");
  }

  absl::Status Add(const manifest::Entry& source, const OpenContent& open) {
    if (format_ == Format::kZip && source.path.find('\\') != std::string::npos) {
      return MakeError(StatusCode::kInvalidArgument, "UNSAFE_PATH",
                       fmt::format("\"{}\" has a backslash, which readers of zip files take for a "
                                   "directory's end",
                                   source.path),
                       "Fetch the product as a tar file.");
    }
    const EntryPtr entry(archive_entry_new());
    archive_entry_set_pathname_utf8(entry.get(), source.path.c_str());
    archive_entry_set_mtime(entry.get(), modified_.count(), 0);
    archive_entry_set_uid(entry.get(), 0);
    archive_entry_set_gid(entry.get(), 0);
    switch (source.kind) {
      case EntryKind::kFile:
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), source.executable ? 0755 : 0644);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(source.size));
        break;
      case EntryKind::kDirectory:
        archive_entry_set_filetype(entry.get(), AE_IFDIR);
        archive_entry_set_perm(entry.get(), 0755);
        break;
      case EntryKind::kSymlink:
        archive_entry_set_filetype(entry.get(), AE_IFLNK);
        archive_entry_set_perm(entry.get(), 0777);
        archive_entry_set_symlink_utf8(entry.get(), source.target.c_str());
        break;
    }
    SLIPWAY_RETURN_IF_ERROR(Check(archive_write_header(writer_.get(), entry.get()), source.path));
    return source.kind == EntryKind::kFile ? AddContent(source, open) : absl::OkStatus();
  }

  absl::Status Close() { return Check(archive_write_close(writer_.get()), "end the archive"); }

 private:
  absl::Status AddContent(const manifest::Entry& source, const OpenContent& open) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<fs::ByteReader> reader, open(source));
    std::uint64_t written = 0;
    while (true) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, reader->Read(buffer_));
      if (n == 0) break;
      hasher_.Update({buffer_.data(), n});
      written += n;
      if (written > source.size) break;
      const la_ssize_t result = archive_write_data(writer_.get(), buffer_.data(), n);
      SLIPWAY_RETURN_IF_ERROR(
          Check(result < 0 ? static_cast<int>(result) : ARCHIVE_OK, source.path));
    }
    if (hasher_.Finish() == source.digest && written == source.size) return absl::OkStatus();
    return MakeError(StatusCode::kDataLoss, "BLOB_CORRUPT",
                     fmt::format("\"{}\" is not what the manifest names", source.path),
                     "Fetch the product again; if that does not help, check the archive's disk.");
  }

  absl::Status Check(int result, std::string_view what) {
    if (result == ARCHIVE_OK) return absl::OkStatus();
    if (!output_.status.ok()) return output_.status;
    const char* words = archive_error_string(writer_.get());
    return MakeError(StatusCode::kInternal, "",
                     fmt::format("archive: {}: {}", what, words == nullptr ? "failed" : words));
  }

  const std::chrono::seconds modified_;
  Output output_;
  // Destroyed before `output_`, which it writes to.
  const WriterPtr writer_;
  const Format format_;
  crypto::Sha256Hasher hasher_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
};

}  // namespace

absl::Status WriteArchive(const manifest::Manifest& manifest, Format format, WallTime modified,
                          const OpenContent& open, const compression::ByteSink& sink) {
  const Utf8Locale locale;
  if (!locale.valid()) {
    return MakeError(StatusCode::kInternal, "", "the C.UTF-8 locale is missing",
                     "Install the C library's C.UTF-8 locale (package libc-bin).");
  }
  Writer writer(format, modified, sink);
  SLIPWAY_RETURN_IF_ERROR(writer.Open());
  for (const manifest::Entry& entry : manifest.entries()) {
    SLIPWAY_RETURN_IF_ERROR(writer.Add(entry, open));
  }
  return writer.Close();
}

}  // namespace slipway::archive
