#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "controller/api/package_call.h"
#include "controller/api/task_service.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/packaging/running_packages.h"
#include "controller/store/release_page_store.h"
#include "slipway/v1/release.grpc.pb.h"

namespace slipway::api {

// Releases and archived products, named by release, task or QR text. Thread-safe.
class ReleaseService final : public v1::ReleaseService::Service {
 public:
  ReleaseService(const Deps& deps, artifacts::ArtifactArchive& archive, store::AuditStore& audit,
                 store::ReleasePageStore& pages)
      : deps_(deps), archive_(archive), audit_(audit), pages_(pages) {}

  grpc::Status ListReleases(grpc::ServerContext* context, const v1::ListReleasesRequest* request,
                            v1::ListReleasesResponse* response) override;
  grpc::Status GetArchived(grpc::ServerContext* context, const v1::GetArchivedRequest* request,
                           v1::Archived* response) override;
  grpc::Status ResolvePublish(grpc::ServerContext* context,
                              const v1::ResolvePublishRequest* request,
                              v1::ResolvePublishResponse* response) override;
  grpc::Status ClosePage(grpc::ServerContext* context, const v1::ClosePageRequest* request,
                         v1::ClosePageResponse* response) override;
  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override;
  grpc::Status DownloadPackage(grpc::ServerContext* context,
                               const v1::DownloadPackageRequest* request,
                               grpc::ServerWriter<v1::DownloadPackageResponse>* writer) override;

 private:
  absl::Status DoList(grpc::ServerContext& context, const v1::ListReleasesRequest& request,
                      v1::ListReleasesResponse& response);
  absl::Status DoGet(grpc::ServerContext& context, const std::string& name, v1::Archived& response);
  absl::Status DoResolve(grpc::ServerContext& context, const v1::ResolvePublishRequest& request,
                         v1::ResolvePublishResponse& response);
  // Ok: the task was resolved as the request says.
  absl::Status CheckSame(const v1::ResolvePublishRequest& request, const domain::Task& task);
  // Asks the scheduler for a run of one probe; its id.
  absl::StatusOr<RunId> StartProbe(const v1::ResolvePublishRequest& request,
                                   const store::TaskWithRun& publish, const access::Caller& caller,
                                   const domain::Question& question);
  absl::Status DoClosePage(grpc::ServerContext& context, const std::string& name,
                           v1::ClosePageResponse& response);
  absl::Status DoDownload(grpc::ServerContext& context, const std::string& name,
                          grpc::ServerWriter<v1::DownloadResponse>& writer);
  absl::Status DoDownloadPackage(grpc::ServerContext& context, v1::DownloadPackageRequest& request,
                                 grpc::ServerWriter<v1::DownloadPackageResponse>& writer);

  const Deps deps_;
  artifacts::ArtifactArchive& archive_;
  store::AuditStore& audit_;
  store::ReleasePageStore& pages_;
  // Own synchronisation.
  packaging::RunningPackages running_packages_;
};

}  // namespace slipway::api
