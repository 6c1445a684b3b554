#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "common/base/check.h"

// What libcurl gives out, given back by itself.
namespace slipway::outbound {

struct EndEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct EndList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EndEasy>;

class List {
 public:
  void Add(const std::string& line) {
    curl_slist* const longer = curl_slist_append(list_.get(), line.c_str());
    SLIPWAY_CHECK(longer != nullptr);
    (void)list_.release();
    list_.reset(longer);
  }
  [[nodiscard]] curl_slist* get() const { return list_.get(); }
  [[nodiscard]] curl_slist* Release() { return list_.release(); }

 private:
  std::unique_ptr<curl_slist, EndList> list_;
};

// Once per process, before the first transfer.
inline void EnsureCurl() {
  static const CURLcode made = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)made;
}

// `authorities`: certificates that a server's own has to come from, PEM; empty: those that the
// machine trusts. No proxy of the environment is asked, and nothing older than TLS 1.2 is spoken.
inline void UseOwnWay(CURL* easy, const std::string& authorities) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (authorities.empty()) return;
  curl_blob blob{const_cast<char*>(authorities.data()), authorities.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
}

}  // namespace slipway::outbound
