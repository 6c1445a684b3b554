#include "controller/store/pg/audit_digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/crypto/hash.h"
#include "controller/domain/audit.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

// Texts as the entries of the audit trail have them.
class CanonicalObject {
 public:
  CanonicalObject& Add(std::string_view key, std::string_view text) {
    Key(key);
    domain::AppendJsonText(json_, text);
    return *this;
  }
  CanonicalObject& Add(std::string_view key, std::int64_t number) {
    Key(key);
    json_ += std::to_string(number);
    return *this;
  }
  CanonicalObject& Add(std::string_view key, const std::map<std::string, std::string>& labels) {
    Key(key);
    CanonicalObject object;
    for (const auto& [name, value] : labels) object.Add(name, value);
    json_ += object.json_ + "}";
    return *this;
  }
  [[nodiscard]] std::string Digest() const { return crypto::Sha256Of(json_ + "}").Hex(); }

 private:
  void Key(std::string_view key) {
    if (json_.size() > 1) json_ += ',';
    domain::AppendJsonText(json_, key);
    json_ += ':';
  }

  std::string json_ = "{";
};

}  // namespace

std::string AuditDigest(const domain::Account& account) {
  return CanonicalObject()
      .Add("id", account.id.value())
      .Add("name", account.name)
      .Add("kind", domain::AccountKindName(account.kind))
      .Add("state", domain::AccountStateName(account.state))
      .Add("full_name", account.profile.full_name)
      .Add("department", account.profile.department)
      .Add("post", account.profile.post)
      .Add("employee_number", account.profile.employee_number)
      .Add("email", account.profile.email)
      .Digest();
}

std::string AuditDigest(const domain::ApiToken& token) {
  std::vector<std::string_view> operations;
  for (const domain::Operation operation : token.operations.List()) {
    operations.push_back(domain::OperationName(operation));
  }
  std::set<std::string> applications;
  for (const ApplicationId& id : token.applications) applications.insert(id.value());
  return CanonicalObject()
      .Add("id", token.id.value())
      .Add("account", token.account.value())
      .Add("name", token.name)
      .Add("operations", fmt::format("{}", fmt::join(operations, ",")))
      .Add("applications", fmt::format("{}", fmt::join(applications, ",")))
      .Add("created_at", ToUnixMicros(token.created_at))
      .Add("expires_at", ToUnixMicros(token.expires_at))
      .Digest();
}

std::string AuditDigest(const domain::Application& application) {
  return CanonicalObject()
      .Add("id", application.id.value())
      .Add("name", application.name)
      .Add("repository", application.repository)
      .Add("description", application.description)
      .Add("requirements", application.requirements)
      .Add("queue_timeout", ToMicros(application.queue_timeout))
      .Add("created_at", ToUnixMicros(application.created_at))
      .Add("created_by", application.created_by)
      .Digest();
}

std::string AuditDigest(const domain::Availability& availability) {
  return CanonicalObject()
      .Add("mode", domain::AgentModeName(availability.mode))
      .Add("reason", availability.reason)
      .Add("by", availability.by)
      .Add("since", ToUnixMicros(availability.since))
      .Add("until", ToUnixMicros(availability.until))
      .Digest();
}

std::string AuditDigest(const domain::Environment& environment) {
  return CanonicalObject()
      .Add("name", environment.name)
      .Add("description", environment.description)
      .Add("order", environment.order)
      .Add("created_at", ToUnixMicros(environment.created_at))
      .Add("created_by", environment.created_by)
      .Digest();
}

std::string AuditDigest(const domain::Target& target) {
  CanonicalObject object;
  object.Add("platform", target.platform)
      .Add("name", target.name)
      .Add("environment", target.environment)
      .Add("image", target.image)
      .Add("network", target.network)
      .Add("deadline", ToMicros(target.deadline))
      .Add("requirements", target.requirements)
      .Add("proxy", target.proxy)
      .Add("ca_pem", target.ca_pem)
      .Add("created_at", ToUnixMicros(target.created_at))
      .Add("created_by", target.created_by);
  if (target.channel) {
    const domain::Channel& channel = *target.channel;
    object.Add("url", channel.url)
        .Add("user", channel.user)
        .Add("from", channel.from)
        .Add("to", fmt::format("{}", fmt::join(channel.to, ",")))
        .Add("may_reach", fmt::format("{}", fmt::join(channel.may_reach, ",")))
        .Add("language", channel.language)
        .Add("attach_up_to", static_cast<std::int64_t>(channel.attach_up_to))
        .Add("valid_for", ToMicros(channel.valid_for))
        .Add("plain", channel.plain ? 1 : 0)
        .Add("has_secret", target.has_secret ? 1 : 0);
  }
  return object.Digest();
}

}  // namespace slipway::store::pg
