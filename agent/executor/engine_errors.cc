#include "agent/executor/engine_errors.h"

#include <fmt/format.h>

#include "common/status/status.h"

namespace slipway::executor {

absl::Status NoDockerEngineError(std::string_view socket, std::string_view cause) {
  return MakeError(absl::StatusCode::kUnavailable, "NO_DOCKER_ENGINE",
                   fmt::format("no Docker Engine answers on {}: {}", socket, cause),
                   "start it (systemctl start docker) or set docker.socket to where it listens");
}

absl::Status EngineSocketDeniedError(std::string_view socket, std::string_view cause) {
  return MakeError(
      absl::StatusCode::kPermissionDenied, "ENGINE_SOCKET_DENIED",
      fmt::format("the agent may not use the Docker Engine's socket {}: {}", socket, cause),
      "add the agent's account to the docker group and restart the agent");
}

absl::Status EngineAnswerInvalidError(std::string_view request, std::string_view cause) {
  return MakeError(
      absl::StatusCode::kInternal, "ENGINE_ANSWER_INVALID",
      fmt::format("the answer to {} is not that of a Docker Engine: {}", request, cause),
      "check that docker.socket is the socket of a Docker Engine 20.10 or newer");
}

absl::Status ImageMissingError(std::string_view image, std::string_view cause) {
  return MakeError(
      absl::StatusCode::kNotFound, "IMAGE_MISSING",
      fmt::format("this agent's machine does not have the image {}: {}", image, cause),
      fmt::format("load it there: docker pull {}, or docker load or docker import", image));
}

absl::Status ImageInUseError(std::string_view image, std::string_view cause) {
  return MakeError(absl::StatusCode::kAborted, "IMAGE_IN_USE",
                   fmt::format("the image {} is in use: {}", image, cause));
}

absl::Status RegistryUnreachableError(std::string_view image, std::string_view cause) {
  return MakeError(absl::StatusCode::kUnavailable, "REGISTRY_UNREACHABLE",
                   fmt::format("the image {} could not be pulled: {}", image, cause),
                   "check the registry, and the Docker Engine's proxy and certificates on the "
                   "agent's machine");
}

absl::Status NetworkNotOursError(std::string_view network) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "NETWORK_NOT_OURS",
      fmt::format("the Docker network {} exists, and is not one this farm made with traffic "
                  "between containers off; it is left alone",
                  network),
      "set docker.network to another name, or remove that network if nobody needs it");
}

absl::Status NameTakenError(std::string_view cause) {
  return MakeError(absl::StatusCode::kAlreadyExists, "CONTAINER_NAME_TAKEN", cause);
}

absl::Status HostNetworkRefusedError(std::string_view container) {
  return MakeError(absl::StatusCode::kPermissionDenied, "HOST_NETWORK_REFUSED",
                   fmt::format("container {} asks for the host's network", container),
                   "set docker.allow_host_network if builds may reach everything this machine can");
}

}  // namespace slipway::executor
