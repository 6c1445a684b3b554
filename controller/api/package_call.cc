#include "controller/api/package_call.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/api/guard.h"
#include "controller/api/package_convert.h"
#include "controller/packaging/package_file.h"

namespace slipway::api {
namespace {

using absl::StatusCode;

domain::AuditEntry EntryOf(const access::Caller& caller, const store::TaskWithRun& build,
                           const packaging::PackageOrder& order,
                           const std::vector<Sha256Digest>& fingerprints) {
  domain::AuditEntry entry{.actor = caller.account.name,
                           .from = caller.address,
                           .action = "download_package",
                           .object = "task",
                           .subject = build.task.id.value(),
                           .reason = {},
                           .before = {},
                           .after = {},
                           .details = {}};
  const auto add = [&entry](const char* key, std::string value) {
    entry.details.emplace_back(key, std::move(value));
  };
  add("application", build.run.application_name);
  add("manifest", build.task.result->build->manifest.Hex());
  add("form", order.form == archive::Format::kZip ? "zip" : "tar.gz");
  if (!order.cipher) return entry;
  add("cipher", std::string(crypto::PackageCipherName(*order.cipher)));
  std::vector<std::string> recipients;
  for (const Sha256Digest& fingerprint : fingerprints) recipients.push_back(fingerprint.Hex());
  add("recipients",
      recipients.empty() ? "password" : fmt::format("{}", fmt::join(recipients, ",")));
  return entry;
}

}  // namespace

absl::Status SendPackage(const Deps& deps, const PackageDeps& parts, const access::Caller& caller,
                         const store::TaskWithRun& build, const v1::DownloadPackageRequest& request,
                         crypto::SecretBytes password, const grpc::ServerContext& context,
                         grpc::ServerWriter<v1::DownloadPackageResponse>& writer) {
  SLIPWAY_ASSIGN_OR_RETURN(
      const packaging::PackageOrder order,
      OrderFrom(request.form(), request.has_encryption() ? &request.encryption() : nullptr,
                std::move(password), deps.clock.Wall()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto place, parts.running.Enter(caller.account.id));
  const ApplicationId& application = build.run.application;
  const protocol::BuildOutcome& product = *build.task.result->build;
  const auto fingerprints = crypto::FingerprintsOf(order.recipients);
  // What never was sent must not stand in the trail.
  SLIPWAY_ASSIGN_OR_RETURN(const artifacts::Artifact artifact,
                           parts.archive.Find(application, product.manifest));
  const StreamRight right(deps.rights, SeesStill(deps, caller, application));
  SLIPWAY_RETURN_IF_ERROR(right.status());
  SLIPWAY_RETURN_IF_ERROR(parts.audit.Append({EntryOf(caller, build, order, fingerprints)}));

  const auto go_on = [&]() -> absl::Status {
    SLIPWAY_RETURN_IF_ERROR(right.status());
    if (context.IsCancelled()) return absl::CancelledError("the reader has left");
    return absl::OkStatus();
  };
  v1::DownloadPackageResponse message;
  const auto send = [&]() -> absl::Status {
    SLIPWAY_RETURN_IF_ERROR(right.status());
    if (!writer.Write(message)) return absl::CancelledError("the reader has left");
    return absl::OkStatus();
  };
  v1::PackageHeader& header = *message.mutable_header();
  header.set_file_name(packaging::PackageFileName(build.run.application_name, build.task.platform,
                                                  product.version, order));
  header.set_manifest(rpc::ToProto(product.manifest));
  header.set_product_bytes(artifact.total_bytes);
  if (order.cipher) {
    header.set_cipher(ToProto(*order.cipher));
    header.set_authenticated(crypto::IsAuthenticated(*order.cipher));
  }
  for (const Sha256Digest& fingerprint : fingerprints) {
    header.add_recipients(rpc::ToProto(fingerprint));
  }
  SLIPWAY_RETURN_IF_ERROR(send());
  SLIPWAY_ASSIGN_OR_RETURN(const packaging::PackageEnd end,
                           packaging::WritePackage(parts.archive, application, product.manifest,
                                                   order, go_on, [&](std::string_view bytes) {
                                                     message.set_data(bytes.data(), bytes.size());
                                                     return send();
                                                   }));
  message.mutable_trailer()->set_sha256(rpc::ToProto(end.sha256));
  message.mutable_trailer()->set_size(end.size);
  return send();
}

}  // namespace slipway::api
