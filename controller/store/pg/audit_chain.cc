#include "controller/store/pg/audit_chain.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "common/crypto/hash.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

// Reads the row anew when it had to wait for another appender, and the clock with it. By its key: a
// plan that reads the whole of a table is one that writing transactions forbid (FenceQuery), which
// PostgreSQL then takes for so dear that it compiles it.
constexpr Statement kHoldEnd{"audit_hold_end", R"(
SELECT sequence, hash, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at
  FROM audit_head
 WHERE only_row
   FOR NO KEY UPDATE)"};
constexpr Statement kAppend{"audit_append", R"(
WITH added AS (
  INSERT INTO audit (sequence, entry, hash, at, actor, action, object, subject, reason)
  SELECT $1::bigint + c.n, c.entry, c.hash, (SELECT from_micros($2::bigint)),
         ($7::text[])[c.sort], ($8::text[])[c.sort], ($9::text[])[c.sort], c.subject,
         ($10::text[])[c.sort]
    FROM unnest($3::text[], $4::text[], $5::text[], $6::integer[])
           WITH ORDINALITY AS c(entry, hash, subject, sort, n)
)
UPDATE audit_head SET sequence = $1::bigint + $11::bigint, hash = $12 WHERE only_row)"};

// What many entries of a batch have in common, by its number from 1: PostgreSQL reads short arrays
// once instead of long ones.
class Sorts {
 public:
  int NumberOf(const domain::AuditEntry& entry) {
    const auto [it, is_new] =
        numbers_.try_emplace({entry.actor, entry.action, entry.object, entry.reason}, next_);
    if (is_new) {
      ++next_;
      actors.Add(domain::StorableText(entry.actor));
      actions.Add(domain::StorableText(entry.action));
      objects.Add(domain::StorableText(entry.object));
      reasons.Add(domain::StorableText(entry.reason));
    }
    return it->second;
  }

  TextArrayWriter actors;
  TextArrayWriter actions;
  TextArrayWriter objects;
  TextArrayWriter reasons;

 private:
  // Of entries that outlive this.
  using Key = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view>;

  std::map<Key, int> numbers_;
  int next_ = 1;
};

}  // namespace

Call HoldAuditEnd() { return {kHoldEnd, {}}; }

void AppendAudit(Transaction& transaction, const std::vector<domain::AuditEntry>& entries) {
  if (entries.empty()) return;
  AppendAudit(transaction, transaction.Run(kHoldEnd), entries);
}

void AppendAudit(Transaction& transaction, const pqxx::result& end,
                 const std::vector<domain::AuditEntry>& entries) {
  if (entries.empty()) return;
  const pqxx::row& last = end.at(0);
  const auto sequence = last[0].as<std::int64_t>();
  auto hash = last[1].as<std::string>();
  const auto at = last[2].as<std::int64_t>();
  Sorts sorts;
  TextArrayWriter lines;
  TextArrayWriter hashes;
  TextArrayWriter subjects;
  TextArrayWriter numbers;
  for (const domain::AuditEntry& entry : entries) {
    const std::string line = domain::CanonicalEntry(entry, at);
    hash = crypto::Sha256Of(hash + "\n" + line).Hex();
    lines.Add(line);
    hashes.Add(hash);
    subjects.Add(domain::StorableText(entry.subject));
    numbers.Add(std::to_string(sorts.NumberOf(entry)));
  }
  transaction.Run(kAppend, sequence, at, lines.Take(), hashes.Take(), subjects.Take(),
                  numbers.Take(), sorts.actors.Take(), sorts.actions.Take(), sorts.objects.Take(),
                  sorts.reasons.Take(), entries.size(), hash);
}

}  // namespace slipway::store::pg
