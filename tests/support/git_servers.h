#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

// Real git servers on free ports of the loopback that want a credential.
namespace slipway::testing {

// A program that runs until this is destroyed; what it prints is in `log`.
class ServerProgram {
 public:
  ServerProgram(std::vector<std::string> argv, const std::string& log) {
    std::vector<char*> raw;
    for (std::string& one : argv) raw.push_back(one.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int error = posix_spawnp(&pid_, raw[0], &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    INFO(argv[0]);
    REQUIRE(error == 0);
  }
  ~ServerProgram() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  ServerProgram(const ServerProgram&) = delete;
  ServerProgram& operator=(const ServerProgram&) = delete;

 private:
  pid_t pid_ = 0;
};

// A certificate authority of openssl's, and a server's certificate for 127.0.0.1 by it.
struct TlsAuthority {
  explicit TlsAuthority(const std::string& name) {
    const TempDir dir;
    const auto make = [&](const std::string& arguments) {
      const std::string command =
          "cd " + dir.path() + " && openssl req -x509 -newkey ec -pkeyopt " +
          "ec_paramgen_curve:P-256 -noenc -days 2 " + arguments + " 2>openssl.log";
      INFO(command);
      REQUIRE(std::system(command.c_str()) == 0);
    };
    make("-subj '/CN=" + name + "' -keyout ca.key -out ca.pem");
    make(
        "-subj /CN=git -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,"
        "CA:FALSE -CA ca.pem -CAkey ca.key -keyout git.key -out git.pem");
    authority = ReadFile(dir / "ca.pem");
    server = ReadFile(dir / "git.key") + ReadFile(dir / "git.pem");
  }
  std::string authority;  // its certificate
  std::string server;     // private key and certificate
};

// git's http-backend behind basic authentication, for the repositories below `root`; over TLS with
// what `tls` holds, a private key and a certificate.
class GitHttpServer {
 public:
  GitHttpServer(const std::string& root, const std::string& user, const std::string& password,
                const std::string& tls = "")
      : tls_(!tls.empty()),
        program_((SetPassword(password), WriteFile(dir_ / "tls", tls), Argv(root, user)),
                 dir_ / "log") {
    const bool listening = WaitUntil([&] { return std::filesystem::exists(dir_ / "port"); });
    INFO(ReadFile(dir_ / "log"));
    REQUIRE(listening);
    host_ = "127.0.0.1:" + ReadFile(dir_ / "port");
  }
  void SetPassword(const std::string& password) { WriteFile(dir_ / "password", password); }
  // Of the repository at root/path.
  [[nodiscard]] std::string Url(const std::string& path) const {
    return (tls_ ? "https://" : "http://") + host_ + "/" + path;
  }
  [[nodiscard]] const std::string& host() const { return host_; }

 private:
  std::vector<std::string> Argv(const std::string& root, const std::string& user) const {
    std::vector<std::string> argv = {
        "python3", SLIPWAY_SOURCE_DIR "/tests/support/git_http_server.py",
        root,      dir_ / "port",
        user,      dir_ / "password"};
    if (tls_) argv.push_back(dir_ / "tls");
    return argv;
  }

  const TempDir dir_;
  const bool tls_;
  ServerProgram program_;
  std::string host_;
};

// A key pair of ssh-keygen.
struct SshKeyPair {
  explicit SshKeyPair(const std::string& file) {
    REQUIRE(std::system(("ssh-keygen -q -t ed25519 -N '' -C test -f " + file).c_str()) == 0);
    secret = ReadFile(file);
    open = ReadFile(file + ".pub");
  }
  std::string secret;
  std::string open;
};

// sshd that lets one key in, as the user that runs the test.
class GitSshServer {
 public:
  explicit GitSshServer(const std::string& public_key)
      : host_key_(dir_ / "host"), port_(FreeSshPort()), program_(Argv(public_key), dir_ / "log") {
    const bool listening = WaitUntil(
        [&] { return ReadFile(dir_ / "log").find("Server listening") != std::string::npos; });
    INFO(ReadFile(dir_ / "log"));
    REQUIRE(listening);
  }
  // Of the repository in the directory `path`.
  [[nodiscard]] std::string Url(const std::string& path) const {
    return "ssh://" + std::string(getpwuid(getuid())->pw_name) +
           "@127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] std::string KnownHosts() const {
    return "[127.0.0.1]:" + std::to_string(port_) + " " + host_key_.open;
  }

 private:
  static int FreeSshPort() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
  }
  std::vector<std::string> Argv(const std::string& public_key) const {
    // Where sshd of Debian separates its privileges; there is none without its service.
    mkdir("/run/sshd", 0755);
    WriteFile(dir_ / "authorized_keys", public_key);
    WriteFile(dir_ / "sshd_config",
              "ListenAddress 127.0.0.1:" + std::to_string(port_) + "\nHostKey " + (dir_ / "host") +
                  "\nAuthorizedKeysFile " + (dir_ / "authorized_keys") +
                  "\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\n"
                  "PasswordAuthentication no\nKbdInteractiveAuthentication no\n");
    return {"/usr/sbin/sshd", "-D", "-e", "-f", dir_ / "sshd_config"};
  }

  const TempDir dir_;
  const SshKeyPair host_key_;
  const int port_;
  ServerProgram program_;
};

}  // namespace slipway::testing
