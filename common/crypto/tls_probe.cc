#include "common/crypto/tls_probe.h"

#include <errno.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "common/crypto/openssl_ptr.h"
#include "common/crypto/pem.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using internal::OpensslPtr;

// gRPC servers insist on HTTP/2.
constexpr unsigned char kAlpn[] = {2, 'h', '2'};
constexpr int kMaxChain = 10;

absl::Status Unreachable(const std::string& host, std::uint16_t port, std::string_view why) {
  return MakeError(absl::StatusCode::kUnavailable, "CONTROLLER_UNREACHABLE",
                   fmt::format("{}:{}: {}", host, port, why),
                   "Check the address, that slipway-controller runs, and that no firewall is "
                   "between.");
}

int MillisUntil(MonoTime deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().Mono()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

// False: the deadline came first.
bool WaitFor(int fd, short events, MonoTime deadline) {
  pollfd p{fd, events, 0};
  int n = 0;
  do {
    n = poll(&p, 1, MillisUntil(deadline));
  } while (n < 0 && errno == EINTR);
  return n > 0;
}

absl::StatusOr<fs::UniqueFd> ConnectTo(const std::string& host, std::uint16_t port,
                                       MonoTime deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return Unreachable(host, port, gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    fs::UniqueFd fd(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) continue;
    int result = connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (result == EINPROGRESS) {
      if (!WaitFor(fd.get(), POLLOUT, deadline))
        return Unreachable(host, port, "no answer in time");
      socklen_t size = sizeof(result);
      if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &result, &size) != 0) result = errno;
    }
    if (result == 0) return fd;
    why = std::string(ErrnoError(result, "connect").message());
  }
  return Unreachable(host, port, why);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FetchPresentedChain(const std::string& host,
                                                             std::uint16_t port, Duration timeout) {
  const MonoTime deadline = SystemClock().Mono() + timeout;
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd, ConnectTo(host, port, deadline));
  const OpensslPtr<SSL_CTX, SSL_CTX_free> context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) {
    return internal::StatusFromOpenSsl(absl::StatusCode::kInternal, "cannot make a TLS context");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  const OpensslPtr<SSL, SSL_free> ssl(SSL_new(context.get()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), fd.get()) != 1 ||
      SSL_set_alpn_protos(ssl.get(), kAlpn, sizeof(kAlpn)) != 0 ||
      SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1) {
    return internal::StatusFromOpenSsl(absl::StatusCode::kInternal, "cannot prepare TLS");
  }
  for (int result = SSL_connect(ssl.get()); result != 1; result = SSL_connect(ssl.get())) {
    const int what = SSL_get_error(ssl.get(), result);
    if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE) {
      const absl::Status words =
          internal::StatusFromOpenSsl(absl::StatusCode::kUnavailable, "no TLS server there");
      return Unreachable(host, port, std::string(words.message()));
    }
    if (!WaitFor(fd.get(), what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline)) {
      return Unreachable(host, port, "the TLS handshake took too long");
    }
  }
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl.get());
  std::vector<std::string> certificates;
  for (int i = 0; i < std::min(sk_X509_num(chain), kMaxChain); ++i) {
    SLIPWAY_ASSIGN_OR_RETURN(std::string pem, internal::CertificateToPem(sk_X509_value(chain, i)));
    certificates.push_back(std::move(pem));
  }
  return certificates;
}

}  // namespace slipway::crypto
