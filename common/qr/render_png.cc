#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <vector>

#include "common/qr/qr_code.h"
#include "common/status/status.h"

namespace slipway::qr {
namespace {

constexpr int kMaxScale = 64;

void AppendBytes(png_structp png, png_bytep data, png_size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), size);
}
void NothingToFlush(png_structp /*png*/) {}
[[noreturn]] void Fail(png_structp png, png_const_charp /*message*/) { png_longjmp(png, 1); }
void IgnoreWarning(png_structp /*png*/, png_const_charp /*message*/) {}

// libpng leaves by longjmp: everything with a destructor lives in the caller.
bool Write(png_structp png, png_infop info, int size, const std::vector<png_bytep>& rows,
           std::string& out) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, &out, AppendBytes, NothingToFlush);
  png_set_IHDR(png, info, static_cast<png_uint_32>(size), static_cast<png_uint_32>(size), 1,
               PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  png_write_image(png, const_cast<png_bytepp>(rows.data()));
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

absl::StatusOr<std::string> RenderPng(const QrMatrix& matrix, int scale) {
  if (scale < 1 || scale > kMaxScale) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     fmt::format("the scale must be 1 to {} pixels per module", kMaxScale));
  }
  const int modules = matrix.width() + 2 * kQuietZone;
  const int size = modules * scale;
  const auto row_bytes = static_cast<std::size_t>((size + 7) / 8);
  // One row of pixels per row of modules, used `scale` times. A set bit is white.
  std::vector<png_byte> pixels(row_bytes * static_cast<std::size_t>(modules), 0xff);
  std::vector<png_bytep> rows;
  for (int y = 0; y < modules; ++y) {
    png_byte* const row = &pixels[static_cast<std::size_t>(y) * row_bytes];
    for (int x = 0; x < size; ++x) {
      if (!matrix.dark(x / scale - kQuietZone, y - kQuietZone)) continue;
      row[x / 8] = static_cast<png_byte>(row[x / 8] & ~(0x80 >> (x % 8)));
    }
    rows.insert(rows.end(), static_cast<std::size_t>(scale), row);
  }
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, Fail, IgnoreWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  const bool written = info != nullptr && Write(png, info, size, rows, out);
  png_destroy_write_struct(&png, &info);
  if (!written) return MakeError(absl::StatusCode::kInternal, "", "cannot write the PNG");
  return out;
}

}  // namespace slipway::qr
