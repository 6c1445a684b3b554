#include "agent/journal/codec.h"

#include <array>
#include <utility>
#include <variant>

#include "common/rpc/result_bytes.h"

namespace slipway::journal {
namespace {

using agent::JournalEntry;

enum class Type : std::uint8_t {
  kAccepted = 1,
  kRunning = 2,
  kPublishStarted = 3,
  kFinished = 4,
  kDeleted = 5,
  kEpoch = 6,
};

// A record that claims more is damage.
constexpr std::uint32_t kMaxPayload = 16U << 20;
constexpr std::size_t kRecordHead = 8;

constexpr std::array<std::uint32_t, 256> MakeCrcTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xEDB88320U ^ (c >> 1U) : c >> 1U;
    table.at(i) = c;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = MakeCrcTable();

std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    c = kCrcTable.at((c ^ static_cast<std::uint8_t>(byte)) & 0xFFU) ^ (c >> 8U);
  }
  return c ^ 0xFFFFFFFFU;
}

template <typename Integer>
void Put(std::string& out, Integer value) {
  auto rest = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < sizeof(Integer); ++i, rest >>= 8U) {
    out.push_back(static_cast<char>(rest & 0xFFU));
  }
}

void PutText(std::string& out, std::string_view text) {
  Put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Reads from the front; `ok` turns false at the first thing that is not there.
struct Reader {
  std::string_view rest;
  bool ok = true;

  template <typename Integer>
  Integer Get() {
    if (rest.size() < sizeof(Integer)) {
      ok = false;
      return {};
    }
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(Integer); i-- > 0;) {
      value = value << 8U | static_cast<std::uint8_t>(rest[i]);
    }
    rest.remove_prefix(sizeof(Integer));
    return static_cast<Integer>(value);
  }
  std::string GetText() {
    const auto size = Get<std::uint32_t>();
    if (!ok || rest.size() < size) {
      ok = false;
      return {};
    }
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  }
};

std::string EncodePayload(const JournalEntry& entry) {
  std::string out;
  const auto head = [&](Type type) {
    Put(out, static_cast<std::uint8_t>(type));
    PutText(out, entry.key.task.value());
    Put(out, entry.key.attempt.value());
  };
  if (const auto* accepted = std::get_if<agent::JournalAccepted>(&entry.what)) {
    head(Type::kAccepted);
    Put(out, static_cast<std::uint8_t>(accepted->kind));
  } else if (const auto* running = std::get_if<agent::JournalRunning>(&entry.what)) {
    head(Type::kRunning);
    PutText(out, running->spec);
  } else if (const auto* marker = std::get_if<agent::JournalPublishStarted>(&entry.what)) {
    head(Type::kPublishStarted);
    PutText(out, marker->nonce);
  } else if (const auto* finished = std::get_if<agent::JournalFinished>(&entry.what)) {
    head(Type::kFinished);
    PutText(out, rpc::EncodeResult(finished->result));
  } else if (const auto* seen = std::get_if<agent::JournalEpoch>(&entry.what)) {
    head(Type::kEpoch);
    Put(out, seen->epoch.value());
  } else {
    head(Type::kDeleted);
  }
  return out;
}

std::optional<JournalEntry> DecodePayload(std::string_view payload) {
  Reader in{payload};
  const auto type = static_cast<Type>(in.Get<std::uint8_t>());
  JournalEntry entry;
  entry.key.task = TaskId(in.GetText());
  entry.key.attempt = Attempt(in.Get<std::int64_t>());
  switch (type) {
    case Type::kAccepted: {
      const auto kind = in.Get<std::uint8_t>();
      if (kind < static_cast<std::uint8_t>(protocol::TaskKind::kBuild) ||
          kind > static_cast<std::uint8_t>(protocol::TaskKind::kScript)) {
        return std::nullopt;
      }
      entry.what = agent::JournalAccepted{static_cast<protocol::TaskKind>(kind)};
      break;
    }
    case Type::kRunning: entry.what = agent::JournalRunning{in.GetText()}; break;
    case Type::kPublishStarted: entry.what = agent::JournalPublishStarted{in.GetText()}; break;
    case Type::kFinished: {
      absl::StatusOr<protocol::AttemptResult> result = rpc::DecodeResult(in.GetText());
      if (!result.ok()) return std::nullopt;
      entry.what = agent::JournalFinished{*std::move(result)};
      break;
    }
    case Type::kDeleted: entry.what = agent::JournalDeleted{}; break;
    case Type::kEpoch: entry.what = agent::JournalEpoch{Epoch(in.Get<std::int64_t>())}; break;
    default: return std::nullopt;
  }
  if (!in.ok || !in.rest.empty()) return std::nullopt;
  return entry;
}

}  // namespace

std::string EncodeRecord(const JournalEntry& entry) {
  const std::string payload = EncodePayload(entry);
  std::string record;
  record.reserve(kRecordHead + payload.size());
  Put(record, static_cast<std::uint32_t>(payload.size()));
  Put(record, Crc32(payload));
  record.append(payload);
  return record;
}

std::optional<Decoded> DecodeFile(std::string_view bytes) {
  Decoded decoded;
  // Also a file whose very first write was torn.
  if (kMagic.starts_with(bytes)) return decoded;
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  decoded.valid_bytes = kMagic.size();
  Reader in{bytes.substr(kMagic.size())};
  while (!in.rest.empty()) {
    const auto size = in.Get<std::uint32_t>();
    const auto crc = in.Get<std::uint32_t>();
    if (!in.ok || size > kMaxPayload || in.rest.size() < size) break;
    const std::string_view payload = in.rest.substr(0, size);
    in.rest.remove_prefix(size);
    if (Crc32(payload) != crc) break;
    std::optional<JournalEntry> entry = DecodePayload(payload);
    if (!entry) break;
    decoded.entries.push_back(*std::move(entry));
    decoded.valid_bytes += kRecordHead + size;
  }
  // A magic alone, fully written, counts as valid too.
  return decoded;
}

}  // namespace slipway::journal
