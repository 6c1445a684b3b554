// A bare gRPC stream over mutual TLS, client and server in two processes on this machine: messages
// of 64 KiB that nobody looks at. What an upload can be compared with.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "common/rpc/agent_channel.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway {
namespace {

constexpr std::size_t kMessageBytes = std::size_t{64} << 10;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    fmt::print(stderr, "{}\n", value.status().ToString());
    std::exit(2);
  }
  return *std::move(value);
}

class Drain final : public v1::AgentService::Service {
 public:
  grpc::Status PutBlobs(grpc::ServerContext*, grpc::ServerReader<v1::PutBlobsRequest>* reader,
                        v1::PutBlobsResponse* response) override {
    v1::PutBlobsRequest request;
    std::uint64_t bytes = 0;
    while (reader->Read(&request)) {
      for (const v1::BlobPiece& piece : request.pieces()) bytes += piece.zstd().size();
    }
    response->set_stored(bytes);
    return grpc::Status::OK;
  }
};

// Writes its port into `out` and serves until it is killed.
void Serve(const crypto::KeyAndCertificate& key, const std::string& ca, int out) {
  // With the client, however that ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = ca;
  tls.pem_key_cert_pairs.push_back({std::string(key.key_pem.view()), key.certificate_pem + ca});
  Drain drain;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&drain);
  const auto server = builder.BuildAndStart();
  if (server == nullptr || write(out, &port, sizeof port) != sizeof port) std::exit(2);
  server->Wait();
}

// MB/s.
double Send(v1::AgentService::Stub& stub, std::uint64_t bytes) {
  v1::PutBlobsRequest request;
  std::string& part = *request.add_pieces()->mutable_zstd();
  part.resize(kMessageBytes);
  for (std::size_t i = 0; i < part.size(); ++i) part[i] = static_cast<char>(i * 2654435761U >> 13U);
  grpc::ClientContext context;
  v1::PutBlobsResponse response;
  const SystemClock clock;
  const MonoTime begin = clock.Mono();
  const auto writer = stub.PutBlobs(&context, &response);
  for (std::uint64_t sent = 0; sent < bytes && writer->Write(request);) sent += kMessageBytes;
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  const std::chrono::duration<double> took = clock.Mono() - begin;
  if (!status.ok() || response.stored() < bytes) {
    fmt::print(stderr, "the stream ended early: {}\n", status.error_message());
    std::exit(2);
  }
  return static_cast<double>(response.stored()) / 1e6 / took.count();
}

int Run(std::uint64_t bytes) {
  const WallTime now = SystemClock().Wall();
  const FarmId farm("farm-bench");
  const auto ca = OrDie(crypto::CreateCa(farm, now));
  const auto server =
      OrDie(crypto::IssueServerCertificate(ca, {.dns = {}, .ips = {"127.0.0.1"}}, now));
  const auto agent = OrDie(crypto::CreateKeyAndRequest());
  const auto certificate = OrDie(
      crypto::IssueAgentCertificate(ca, agent.request_pem, farm, AgentId("agent-bench"), now));
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 2;
  // Before anything of gRPC runs.
  const pid_t child = fork();
  if (child == 0) {
    Serve(server, ca.certificate_pem, pipe_ends[1]);
    std::exit(0);
  }
  close(pipe_ends[1]);
  int port = 0;
  if (child < 0 || read(pipe_ends[0], &port, sizeof port) != sizeof port) return 2;
  grpc::SslCredentialsOptions tls{.pem_root_certs = ca.certificate_pem,
                                  .pem_private_key = std::string(agent.key_pem.view()),
                                  .pem_cert_chain = certificate};
  const auto stub = v1::AgentService::NewStub(grpc::CreateCustomChannel(
      fmt::format("127.0.0.1:{}", port), grpc::SslCredentials(tls), rpc::AgentChannelArguments()));
  (void)Send(*stub, bytes / 10 + 1);  // the handshake, and what grows
  fmt::print("{:.1f}\n", Send(*stub, bytes));
  kill(child, SIGKILL);
  (void)waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace
}  // namespace slipway

// Prints MB/s. Argument: how many bytes.
int main(int argc, char** argv) {
  return slipway::Run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 400'000'000);
}
