// The agent's journal: whatever is in the file, the longest part that makes sense is read, a
// shorter file gives a beginning of it, and what was read is written back to mean the same.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal/codec.h"
#include "common/base/check.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using agent::JournalEntry;
using journal::DecodeFile;
using journal::kMagic;

// CRC-32 bit by bit, so that inputs get past it.
std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    c ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xEDB88320U ^ (c >> 1U) : c >> 1U;
  }
  return ~c;
}

void PutNumber(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xffU));
}

std::string Record(std::string_view payload) {
  std::string record;
  PutNumber(record, static_cast<std::uint32_t>(payload.size()));
  PutNumber(record, Crc32(payload));
  return record.append(payload);
}

bool IsBeginning(const std::vector<JournalEntry>& part, const std::vector<JournalEntry>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

std::vector<JournalEntry> Rewrite(const std::vector<JournalEntry>& entries) {
  std::string file(kMagic);
  for (const JournalEntry& entry : entries) file += journal::EncodeRecord(entry);
  const auto read = DecodeFile(file);
  SLIPWAY_CHECK(read.has_value());
  SLIPWAY_CHECK(entries.empty() || read->valid_bytes == file.size());
  return read->entries;
}

void CheckFile(const std::string& bytes, std::size_t cut, std::uint8_t flip) {
  const auto whole = DecodeFile(bytes);
  if (!whole) {
    SLIPWAY_CHECK(!bytes.starts_with(kMagic));
    return;
  }
  SLIPWAY_CHECK(whole->valid_bytes <= bytes.size());

  const auto valid = DecodeFile(bytes.substr(0, whole->valid_bytes));
  SLIPWAY_CHECK(valid && valid->entries == whole->entries);

  const auto torn = DecodeFile(bytes.substr(0, cut));
  SLIPWAY_CHECK(torn && IsBeginning(torn->entries, whole->entries));
  if (cut >= whole->valid_bytes) SLIPWAY_CHECK(torn->entries == whole->entries);

  // One damaged byte is never read as an entry that was not written.
  if (flip != 0 && cut >= kMagic.size() && cut < whole->valid_bytes) {
    std::string damaged = bytes.substr(0, whole->valid_bytes);
    damaged[cut] = static_cast<char>(damaged[cut] ^ flip);
    const auto read = DecodeFile(damaged);
    SLIPWAY_CHECK(read && read->valid_bytes <= cut && IsBeginning(read->entries, whole->entries));
  }

  // Writing makes texts of results valid UTF-8; what was written stays as it is from then on.
  const std::vector<JournalEntry> written = Rewrite(whole->entries);
  SLIPWAY_CHECK(written.size() == whole->entries.size());
  SLIPWAY_CHECK(Rewrite(written) == written);
}

void Check(ByteSource in) {
  const bool raw = in.Flag();
  const auto cut = static_cast<std::size_t>(in.Number(2));
  const std::uint8_t flip = in.Byte();
  std::string bytes;
  if (raw) {
    bytes = in.Rest();
  } else {
    bytes = kMagic;
    while (!in.empty()) bytes += Record(in.Bytes(static_cast<std::size_t>(in.Number(2))));
  }
  CheckFile(bytes, cut, flip);
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Protobuf would tell of every text that is not UTF-8.
  static const auto kQuiet = google::protobuf::SetLogHandler(nullptr);
  (void)kQuiet;
  slipway::fuzz::Check({data, size});
  return 0;
}
