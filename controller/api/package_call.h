#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "common/crypto/secret.h"
#include "controller/api/task_service.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/packaging/running_packages.h"
#include "controller/store/audit_store.h"
#include "slipway/v1/package.pb.h"

namespace slipway::api {

// What packages are made from, and where it is said that one was. All must outlive the calls.
struct PackageDeps {
  artifacts::ArtifactArchive& archive;
  store::AuditStore& audit;
  packaging::RunningPackages& running;
};

// Sends the product of `build` as the request says, with the password that was in it, after it was
// entered into the audit trail. REQUIRES: the caller sees the product. Thread-safe.
[[nodiscard]] absl::Status SendPackage(const Deps& deps, const PackageDeps& parts,
                                       const access::Caller& caller,
                                       const store::TaskWithRun& build,
                                       const v1::DownloadPackageRequest& request,
                                       crypto::SecretBytes password,
                                       const grpc::ServerContext& context,
                                       grpc::ServerWriter<v1::DownloadPackageResponse>& writer);

}  // namespace slipway::api
