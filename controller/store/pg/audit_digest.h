#pragma once

#include <string>

#include "controller/domain/account.h"
#include "controller/domain/agent.h"
#include "controller/domain/application.h"
#include "controller/domain/target.h"

// The digests by which the audit trail says what an object was before a change and after it: the
// SHA-256, in hex, of the object's canonical form. Its keys are in the order of docs/audit.md,
// times are microseconds since 1970. Private to this library.
namespace slipway::store::pg {

std::string AuditDigest(const domain::Account& account);
std::string AuditDigest(const domain::ApiToken& token);
std::string AuditDigest(const domain::Application& application);
std::string AuditDigest(const domain::Availability& availability);
std::string AuditDigest(const domain::Environment& environment);
std::string AuditDigest(const domain::Target& target);

}  // namespace slipway::store::pg
