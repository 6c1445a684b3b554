#include "controller/outbound/web_post.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "controller/outbound/curl_handles.h"

namespace slipway::outbound {
namespace {

constexpr long kConnectSeconds = 10;
constexpr std::size_t kMostAnswer = std::size_t{64} << 10;
constexpr curl_off_t kMostWait = 3600;

struct Exchange {
  const PostOptions& options;
  std::string body{};
  bool begun = false;
};

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* exchange) {
  std::string& body = static_cast<Exchange*>(exchange)->body;
  body.append(data, std::min(size, kMostAnswer - body.size()));
  return size;
}

int OnDebug(CURL*, curl_infotype type, char*, std::size_t, void* exchange) {
  if (type == CURLINFO_HEADER_OUT) static_cast<Exchange*>(exchange)->begun = true;
  return 0;
}

int OnProgress(void* exchange, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(exchange)->options.canceled() ? 1 : 0;
}

}  // namespace

PostOutcome SendPost(const Post& post, const PostOptions& options) {
  EnsureCurl();
  Exchange exchange{options};
  std::array<char, CURL_ERROR_SIZE> error{};
  PostOutcome outcome;
  const Easy easy(curl_easy_init());
  if (!easy) {
    outcome.message = "no memory for the post";
    return outcome;
  }
  CURL* const handle = easy.get();
  List headers;
  for (const std::string& header : post.headers) headers.Add(header);
  // Waits for no leave to send the body, and takes no answer as for another client.
  headers.Add("Expect:");
  UseOwnWay(handle, post.ca_pem);
  curl_easy_setopt(handle, CURLOPT_URL, post.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, post.plain ? "http" : "https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "slipway");
  curl_easy_setopt(handle, CURLOPT_POST, 1L);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, post.body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(
      handle, CURLOPT_TIMEOUT_MS,
      static_cast<long>(
          std::chrono::duration_cast<std::chrono::milliseconds>(options.deadline).count()));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, &OnDebug);
  curl_easy_setopt(handle, CURLOPT_DEBUGDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  const CURLcode code = curl_easy_perform(handle);
  if (code != CURLE_OK) {
    outcome.end = exchange.begun ? PostEnd::kUnknown : PostEnd::kNotSent;
    outcome.message = options.canceled() ? "it was canceled"
                      : error[0] != '\0' ? std::string(error.data())
                                         : curl_easy_strerror(code);
    return outcome;
  }
  outcome.end = PostEnd::kAnswered;
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  outcome.status = static_cast<int>(status);
  outcome.body = std::move(exchange.body);
  curl_off_t wait = 0;
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &wait);
  if (wait > 0) outcome.retry_after = std::chrono::seconds(std::min(wait, kMostWait));
  return outcome;
}

}  // namespace slipway::outbound
