#include "controller/cli/render_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "common/protocol/health.h"
#include "common/rpc/convert.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

std::int64_t SkewSeconds(const v1::AgentHealth& health) {
  return std::chrono::duration_cast<std::chrono::seconds>(rpc::FromProto(health.clock_skew()))
      .count();
}

bool ClockIsOff(const v1::AgentHealth& health) {
  if (!health.has_clock_skew()) return false;
  const Duration skew = rpc::FromProto(health.clock_skew());
  return skew > protocol::kClockSkewBound || skew < -protocol::kClockSkewBound;
}

std::string ClockWords(const v1::AgentHealth& health, Text t) {
  const std::int64_t seconds = SkewSeconds(health);
  return seconds < 0 ? fmt::format(fmt::runtime(t("clock {} s behind", "时钟慢 {} 秒")), -seconds)
                     : fmt::format(fmt::runtime(t("clock {} s ahead", "时钟快 {} 秒")), seconds);
}

const char* EngineWord(v1::EngineState state, Text t) {
  if (state == v1::ENGINE_STATE_HUNG) return t("engine hung", "引擎无响应");
  return state == v1::ENGINE_STATE_DOWN ? t("engine down", "引擎已停止") : t("ok", "正常");
}

const char* DiskWord(v1::DiskState state, Text t) {
  if (state == v1::DISK_STATE_FULL) return t("disk full", "磁盘已满");
  return state == v1::DISK_STATE_PRESSURE ? t("disk filling up", "磁盘空间不足") : t("ok", "正常");
}

std::string DiskFigures(const v1::DiskHealth& disk, Text t) {
  std::string text =
      fmt::format(fmt::runtime(t("{}: {} of {} free", "{}：剩余 {}，共 {}")), disk.path(),
                  FormatBytes(disk.free_bytes()), FormatBytes(disk.total_bytes()));
  // Files matter only when they are what is running out.
  if (disk.total_inodes() > 0 && disk.free_inodes() * 5 < disk.total_inodes()) {
    text += fmt::format(fmt::runtime(t(", {} of {} files", "，可建文件 {}，共 {}")),
                        disk.free_inodes(), disk.total_inodes());
  }
  return text;
}

std::string EngineFigures(const v1::EngineHealth& engine, Text t) {
  return fmt::format(fmt::runtime(t("since {}: {}", "自 {}：{}")), FormatTime(engine.since()),
                     engine.words());
}

bool EngineIsOff(const v1::AgentHealth& health) {
  return health.engine().state() == v1::ENGINE_STATE_HUNG ||
         health.engine().state() == v1::ENGINE_STATE_DOWN;
}

}  // namespace

std::string HealthWord(const v1::AgentHealth& health, const View& view) {
  const Text t = view.text;
  std::vector<std::string> words;
  if (EngineIsOff(health)) words.emplace_back(EngineWord(health.engine().state(), t));
  v1::DiskState worst = v1::DISK_STATE_OK;
  for (const v1::DiskHealth& disk : health.disks()) worst = std::max(worst, disk.state());
  if (worst != v1::DISK_STATE_OK) words.emplace_back(DiskWord(worst, t));
  if (ClockIsOff(health)) words.push_back(ClockWords(health, t));
  if (words.empty()) return t("ok", "正常");
  return fmt::format("{}", fmt::join(words, t(", ", "，")));
}

std::string RenderTroubles(const v1::AgentHealth& health, const std::string& indent,
                           const View& view) {
  const Text t = view.text;
  std::string text;
  const auto add = [&](const std::string& what, const std::string& remedy) {
    text += Indented(fmt::format("{}\n  → {}", OneLine(what), remedy), indent);
  };
  if (EngineIsOff(health)) {
    add(fmt::format("{} {}", EngineWord(health.engine().state(), t),
                    EngineFigures(health.engine(), t)),
        t("Look at the Docker Engine of that machine: systemctl status docker, journalctl -u "
          "docker. The agent takes work again by itself.",
          "请检查该机器上的 Docker：systemctl status docker、journalctl -u "
          "docker。恢复后代理会自动接受任务。"));
  }
  for (const v1::DiskHealth& disk : health.disks()) {
    if (disk.state() == v1::DISK_STATE_FULL) {
      add(fmt::format("{}: {}", DiskWord(disk.state(), t), DiskFigures(disk, t)),
          t("The agent has deleted what it may; free space on that machine, or lower disk_floor.",
            "代理已清理自己的缓存；请在该机器上释放空间，或调小 disk_floor。"));
    } else if (disk.state() == v1::DISK_STATE_PRESSURE) {
      add(fmt::format("{}: {}", DiskWord(disk.state(), t), DiskFigures(disk, t)),
          t("The agent deletes its caches, oldest first.", "代理正在从最旧的开始清理自己的缓存。"));
    }
  }
  if (ClockIsOff(health)) {
    add(ClockWords(health, t),
        t("Let both machines keep their time by NTP: times in logs do not fit together, and "
          "certificates may be refused.",
          "请让两台机器通过 NTP 校时：否则日志时间对不上，证书也可能被拒绝。"));
  }
  return text;
}

std::string RenderHealth(const v1::AgentHealth& health, const std::string& indent,
                         const View& view) {
  const Text t = view.text;
  Facts facts(indent);
  for (const v1::DiskHealth& disk : health.disks()) {
    facts.Add(t("disk", "磁盘"),
              fmt::format("{}; {}", DiskWord(disk.state(), t), DiskFigures(disk, t)));
  }
  facts.Add(t("engine", "引擎"), EngineIsOff(health)
                                     ? fmt::format("{} {}", EngineWord(health.engine().state(), t),
                                                   EngineFigures(health.engine(), t))
                                     : t("ok", "正常"));
  if (health.has_clock_skew()) {
    const double seconds = static_cast<double>(rpc::FromProto(health.clock_skew()).count()) / 1e9;
    facts.Add(
        t("clock", "时钟"),
        fmt::format(fmt::runtime(t("{:+.1f} s against the controller", "与控制器相差 {:+.1f} 秒")),
                    seconds));
  }
  const v1::StartCounts& starts = health.starts();
  if (starts.warm() + starts.kept_network() + starts.cold() > 0) {
    facts.Add(t("starts", "启动"),
              fmt::format(fmt::runtime(t("{} warm, {} in a kept network, {} cold; {} waiting now",
                                         "预热 {}，复用网络 {}，全新 {}；当前待命 {}")),
                          starts.warm(), starts.kept_network(), starts.cold(), starts.waiting()));
  }
  return facts.Render();
}

std::string RenderImages(const v1::ListImagesResponse& images, const View& view) {
  const Text t = view.text;
  if (images.images().empty()) {
    return t("no images are kept ready; `slipway agents prepare --image REF` asks for one\n",
             "没有需要预备的镜像；用 `slipway agents prepare --image 镜像` 指定\n");
  }
  Table table({t("AGENT", "代理"), t("IMAGE", "镜像"), t("STATE", "状态"), t("ID", "镜像 ID"),
               t("ASKED BY", "请求人")});
  std::string failures;
  for (const v1::AgentImage& image : images.images()) {
    const char* state = t("preparing", "准备中");
    if (!image.online()) {
      state = t("offline", "离线");
    } else if (image.state() == v1::IMAGE_STATE_READY) {
      state = t("ready", "就绪");
    } else if (image.state() == v1::IMAGE_STATE_FAILED) {
      state = t("failed", "失败");
    }
    constexpr std::size_t kShortId = 19;  // "sha256:" and twelve digits
    table.Add({image.agent_name(), image.image(), state, image.id().substr(0, kShortId),
               image.requested_by()});
    if (!image.has_failure() || image.state() != v1::IMAGE_STATE_FAILED) continue;
    failures += fmt::format("\n{}: {}\n", OneLine(image.agent_name()), OneLine(image.image()));
    failures += RenderFailure(image.failure(), "  ", view);
  }
  return table.Render() + failures;
}

}  // namespace slipway::cli
