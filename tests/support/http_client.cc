#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>

namespace slipway::testing {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

std::string HttpAnswer::Get(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

HttpClient::HttpClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  REQUIRE(setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  REQUIRE(setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
}

HttpClient::~HttpClient() { Close(); }

void HttpClient::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

bool HttpClient::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool HttpClient::Fill() {
  std::array<char, 64 << 10> bytes{};
  const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  received_.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

std::optional<std::string> HttpClient::Take(std::size_t size) {
  while (received_.size() < size) {
    if (!Fill()) return std::nullopt;
  }
  std::string out = received_.substr(0, size);
  received_.erase(0, size);
  return out;
}

std::optional<std::string> HttpClient::TakeLine() {
  std::size_t end = 0;
  while ((end = received_.find("\r\n")) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  auto line = Take(end + 2);
  line->resize(end);
  return line;
}

std::optional<std::string> HttpClient::TakeChunk() {
  const auto line = TakeLine();
  if (!line) return std::nullopt;
  auto chunk = Take(std::strtoul(line->c_str(), nullptr, 16));
  if (!chunk || !Take(2)) return std::nullopt;
  return chunk;
}

std::optional<HttpAnswer> HttpClient::ReadHead() {
  HttpAnswer answer;
  const auto first = TakeLine();
  if (!first || first->size() < 12) return std::nullopt;
  answer.status = std::atoi(first->c_str() + 9);
  while (true) {
    const auto line = TakeLine();
    if (!line) return std::nullopt;
    if (line->empty()) break;
    const std::size_t colon = line->find(':');
    if (colon == std::string::npos) return std::nullopt;
    answer.headers[Lower(line->substr(0, colon))] = line->substr(colon + 2);
  }
  chunked_ = answer.Get("transfer-encoding") == "chunked";
  unread_.clear();
  return answer;
}

std::optional<HttpAnswer> HttpClient::Read() {
  auto answer = ReadHead();
  if (!answer) return std::nullopt;
  if (!chunked_) {
    auto body = Take(std::strtoul(answer->Get("content-length").c_str(), nullptr, 10));
    if (!body) return std::nullopt;
    answer->body = *std::move(body);
    return answer;
  }
  while (true) {
    const auto chunk = TakeChunk();
    if (!chunk) return std::nullopt;
    if (chunk->empty()) return answer;
    answer->body += *chunk;
  }
}

std::optional<StreamMessage> HttpClient::ReadMessage() {
  const auto take = [this](std::size_t size) -> std::optional<std::string> {
    while (chunked_ && unread_.size() < size) {
      const auto chunk = TakeChunk();
      if (!chunk || chunk->empty()) return std::nullopt;
      unread_ += *chunk;
    }
    if (!chunked_) return Take(size);
    std::string out = unread_.substr(0, size);
    unread_.erase(0, size);
    return out;
  };
  const auto prefix = take(5);
  if (!prefix) return std::nullopt;
  std::size_t size = 0;
  for (int i = 1; i < 5; ++i) size = size << 8U | static_cast<std::uint8_t>((*prefix)[i]);
  auto bytes = take(size);
  if (!bytes) return std::nullopt;
  return StreamMessage{static_cast<std::uint8_t>((*prefix)[0]), *std::move(bytes)};
}

bool HttpClient::ReadsEnd() {
  if (!received_.empty()) return false;
  char byte = 0;
  return recv(fd_, &byte, 1, 0) == 0;
}

std::string HttpClient::ReadSome() {
  if (received_.empty()) Fill();
  return std::exchange(received_, {});
}

std::string HttpRequest(std::string_view method, std::string_view target,
                        const HttpHeaders& headers, std::string_view body) {
  std::string out = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n";
  for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return out.append(body);
}

std::string StreamBody(std::string_view message, int flags) {
  std::string out(1, static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(message.size() >> shift));
  return out.append(message);
}

}  // namespace slipway::testing
