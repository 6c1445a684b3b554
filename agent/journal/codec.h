#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/journal.h"

// The bytes of the journal file: kMagic, then records of
//   u32 length of the payload, u32 CRC-32 of the payload, payload
// Integers little endian. Pure. Thread-safe.
namespace slipway::journal {

inline constexpr std::string_view kMagic = "slipway-journal 1\n";

[[nodiscard]] std::string EncodeRecord(const agent::JournalEntry& entry);

struct Decoded {
  std::vector<agent::JournalEntry> entries;
  // Length of the part of the file that makes sense; what follows is a torn write or damage.
  std::uint64_t valid_bytes = 0;
};
// nullopt: not a journal of this version. An empty file is an empty journal.
[[nodiscard]] std::optional<Decoded> DecodeFile(std::string_view bytes);

}  // namespace slipway::journal
