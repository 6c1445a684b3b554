#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/crypto/pki.h"
#include "slipway/v1/agent.grpc.pb.h"
#include "slipway/v1/enrollment.grpc.pb.h"
#include "tests/support/fake_credential_call.h"

namespace slipway::testing {

// A controller without scheduler, database and disk, on a port of 127.0.0.1 with real TLS: offers
// what it is told to, takes logs, products and results, gives permits. Thread-safe.
class FakeController {
 public:
  FakeController();
  ~FakeController();
  FakeController(const FakeController&) = delete;
  FakeController& operator=(const FakeController&) = delete;

  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::string token() const;
  [[nodiscard]] FarmId farm() const;
  // The server goes and comes back on the same port, remembering everything.
  void StopServer();
  void StartServer();

  // Offers the task to whoever is connected, then starts it.
  void Queue(const AttemptKey& key, const v1::TaskSpec& spec);
  void Cancel(const AttemptKey& key);
  // What the agent should have from its next inventory on.
  void SetImages(std::vector<v1::ImageOrder> images);
  // What the controller's clock shows more than this machine's.
  void SetClockAhead(std::chrono::seconds ahead);
  // True once an inventory came for which `holds` is true.
  [[nodiscard]] bool WaitForInventory(const std::function<bool(const v1::Inventory&)>& holds,
                                      std::chrono::seconds patience = std::chrono::seconds(30));
  [[nodiscard]] v1::Inventory LastInventory();
  // What permits hand out.
  void SetSecret(std::string secret);
  // What builds of private repositories get.
  FakeCredentialCall::Credential& repository_credential() { return repository_credential_; }
  // Permits are kept back until GivePermits, which gives what was asked for, valid for so long.
  void HoldPermits();
  void GivePermits(std::chrono::milliseconds valid_for);
  [[nodiscard]] bool WaitForPermitRequest(std::chrono::seconds patience = std::chrono::seconds(30));
  // How often a permit was asked for.
  [[nodiscard]] int asks();
  // AppendLog of the attempt, from now on of no other, fails as if the disk were broken.
  void FailLog(std::optional<AttemptKey> key);
  // Connect calls so far.
  [[nodiscard]] int streams_seen();
  // Acks say that nothing is durable until released.
  void HoldDurable(bool hold);

  // nullopt: not in time.
  [[nodiscard]] std::optional<v1::AttemptResult> WaitForResult(
      const AttemptKey& key, std::chrono::seconds patience = std::chrono::seconds(60));
  // True once the log holds `text`.
  [[nodiscard]] bool WaitForLog(const AttemptKey& key, const std::string& text,
                                std::chrono::seconds patience = std::chrono::seconds(20));
  [[nodiscard]] bool WaitForStream(std::chrono::seconds patience = std::chrono::seconds(30));
  // True once the agent's inventory no longer lists it.
  [[nodiscard]] bool WaitUntilForgotten(const AttemptKey& key);
  [[nodiscard]] std::string Log(const AttemptKey& key);
  // "1 fetch started", "1 fetch succeeded", …: each once, in the order of arrival.
  [[nodiscard]] std::vector<std::string> Steps(const AttemptKey& key);
  [[nodiscard]] int permits_given();
  [[nodiscard]] int results_of(const AttemptKey& key);

  // Path → content of an uploaded product; empty when it is not complete.
  [[nodiscard]] std::map<std::string, std::string> Product(const Sha256Digest& manifest);
  // Puts a product in, for publishes; its manifest's digest.
  [[nodiscard]] Sha256Digest PutProduct(const std::map<std::string, std::string>& files);

 private:
  class Agents;
  class Enrollment;
  struct State;

  FakeCredentialCall::Credential repository_credential_;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::testing
