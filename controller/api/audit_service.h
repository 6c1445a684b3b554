#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/task_service.h"
#include "controller/store/audit_store.h"
#include "slipway/v1/audit.grpc.pb.h"

namespace slipway::api {

// Who did what, for admins. Reads in pages, so that neither its length nor a slow reader matters.
// Thread-safe.
class AuditService final : public v1::AuditService::Service {
 public:
  AuditService(const Deps& deps, store::AuditStore& audit) : deps_(deps), audit_(audit) {}

  grpc::Status ListAuditEntries(grpc::ServerContext* context,
                                const v1::ListAuditEntriesRequest* request,
                                v1::ListAuditEntriesResponse* response) override;
  grpc::Status VerifyAudit(grpc::ServerContext* context, const v1::VerifyAuditRequest* request,
                           grpc::ServerWriter<v1::VerifyAuditResponse>* writer) override;
  grpc::Status ExportAudit(grpc::ServerContext* context, const v1::ExportAuditRequest* request,
                           grpc::ServerWriter<v1::ExportAuditResponse>* writer) override;

 private:
  absl::Status DoList(grpc::ServerContext& context, const v1::ListAuditEntriesRequest& request,
                      v1::ListAuditEntriesResponse& response);
  absl::Status DoVerify(grpc::ServerContext& context, const v1::VerifyAuditRequest& request,
                        grpc::ServerWriter<v1::VerifyAuditResponse>& writer);
  absl::Status DoExport(grpc::ServerContext& context, const v1::ExportAuditRequest& request,
                        grpc::ServerWriter<v1::ExportAuditResponse>& writer);

  const Deps deps_;
  store::AuditStore& audit_;
};

}  // namespace slipway::api
