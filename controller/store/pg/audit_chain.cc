#include "controller/store/pg/audit_chain.h"

#include <cstdint>
#include <string>

#include "common/crypto/hash.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

// Reads the row anew when it had to wait for another appender, and the clock with it. FenceQuery's
// settings are made for the tables that grow.
constexpr Statement kHoldEnd{"audit_hold_end", R"(
SELECT sequence, hash, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at
  FROM audit_head
   FOR NO KEY UPDATE)"};
constexpr Statement kAppend{"audit_append", R"(
WITH added AS (
  INSERT INTO audit (sequence, entry, hash, at, actor, action, object, subject, reason)
  SELECT $1::bigint + c.n, c.entry, c.hash, (SELECT from_micros($2::bigint)), c.actor, c.action,
         c.object, c.subject, c.reason
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           WITH ORDINALITY AS c(entry, hash, actor, action, object, subject, reason, n)
)
UPDATE audit_head SET sequence = $1::bigint + $10::bigint, hash = $11)"};

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
  TextArrayWriter lines;
  TextArrayWriter hashes;
  TextArrayWriter actors;
  TextArrayWriter actions;
  TextArrayWriter objects;
  TextArrayWriter subjects;
  TextArrayWriter reasons;
  for (const domain::AuditEntry& entry : entries) {
    const std::string line = domain::CanonicalEntry(entry, at);
    hash = crypto::Sha256Of(hash + "\n" + line).Hex();
    lines.Add(line);
    hashes.Add(hash);
    actors.Add(domain::StorableText(entry.actor));
    actions.Add(domain::StorableText(entry.action));
    objects.Add(domain::StorableText(entry.object));
    subjects.Add(domain::StorableText(entry.subject));
    reasons.Add(domain::StorableText(entry.reason));
  }
  transaction.Run(kAppend, sequence, at, lines.Take(), hashes.Take(), actors.Take(), actions.Take(),
                  objects.Take(), subjects.Take(), reasons.Take(), entries.size(), hash);
}

}  // namespace slipway::store::pg
