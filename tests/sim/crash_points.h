#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::sim {

// What goes over the wire, or to a disk, in the table of docs/protocol.md.
enum class Message {
  kSubmit,
  kInventory,
  kOffer,
  kAccept,
  kRefuse,
  kStart,
  kContainer,
  kKeep,
  kStepReport,
  kLogChunk,
  kLogAck,
  kResultReport,
  kForget,
  kDeleted,
  kCancelCall,
  kResolveCall,
  kCancel,
  kPermitRequest,
  kPermit,
  kClient,
  kPermitDenied,
};
inline constexpr std::size_t kMessages = 21;

enum class CrashPoint {
  // The sender dies before its own record is durable; of what is recorded nowhere: before it sends.
  kSenderBefore,
  // The sender dies when its record is durable and before it sends, or the message is lost.
  kLost,
  // The receiver dies with the message in hand, before what it makes of it is durable.
  kReceiverBefore,
};
inline constexpr std::size_t kCrashPoints = 3;

// What the database says of the attempt...
enum class RowState { kNone, kQueued, kOffered, kRunning, kUnknown, kEnded, kSuperseded };
inline constexpr std::size_t kRowStates = 7;
// ... and what the synced journal of its agent says.
enum class JournalState { kNone, kAccepted, kRunning, kMarker, kFinished };
inline constexpr std::size_t kJournalStates = 5;

[[nodiscard]] std::string_view Name(Message message);  // as in the table's first column
[[nodiscard]] std::string_view Name(CrashPoint point);
[[nodiscard]] std::string_view Name(RowState state);
[[nodiscard]] std::string_view Name(JournalState state);

// How often a message met a crash point, and what was durable then.
class CrashPoints {
 public:
  void Add(Message message, CrashPoint point, RowState row, JournalState journal) {
    ++At(message,
         point)[static_cast<std::size_t>(row) * kJournalStates + static_cast<std::size_t>(journal)];
  }
  void Merge(const CrashPoints& other);

  [[nodiscard]] std::uint64_t Count(Message message, CrashPoint point) const;
  [[nodiscard]] std::uint64_t Count(Message message, CrashPoint point, RowState row,
                                    JournalState journal) const {
    return At(
        message,
        point)[static_cast<std::size_t>(row) * kJournalStates + static_cast<std::size_t>(journal)];
  }
  // Pairs "row/journal" that make up at least a tenth of the cell, the most frequent first.
  [[nodiscard]] std::string Durable(Message message, CrashPoint point) const;

 private:
  using Cell = std::array<std::uint64_t, kRowStates * kJournalStates>;
  Cell& At(Message message, CrashPoint point) {
    return cells_[static_cast<std::size_t>(message) * kCrashPoints +
                  static_cast<std::size_t>(point)];
  }
  [[nodiscard]] const Cell& At(Message message, CrashPoint point) const {
    return cells_[static_cast<std::size_t>(message) * kCrashPoints +
                  static_cast<std::size_t>(point)];
  }

  std::array<Cell, kMessages * kCrashPoints> cells_{};
};

// The table with counts, for people.
[[nodiscard]] std::string Print(const CrashPoints& points);
// The table "Durable at that moment" of docs/protocol.md.
[[nodiscard]] std::string DurableTable(const CrashPoints& points);

}  // namespace slipway::sim
