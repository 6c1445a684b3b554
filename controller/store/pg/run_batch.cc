#include "controller/store/pg/run_batch.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "controller/store/pg/channel_json.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string WithoutLastBrace(const json::object& object) {
  std::string text = json::serialize(object);
  text.pop_back();
  return text;
}

std::string Common(const domain::Run& run) {
  return WithoutLastBrace({{"application", run.application.value()},
                           {"ref", run.ref},
                           {"version", run.version},
                           {"description", run.description},
                           {"submitted_by", run.submitted_by},
                           {"parameters", LabelsToJson(run.parameters)},
                           {"recipients", LabelsToJson(run.recipients)},
                           {"packaging", PackagingToJson(run.packaging)},
                           {"script_name", run.script_name},
                           {"after_script", run.after_script.value()},
                           {"no_build_caches", run.no_build_caches}});
}

std::string Common(const domain::Task& task) {
  json::object common = {{"application", task.application.value()},
                         {"kind", View(KindName(task.kind))},
                         {"platform", task.platform},
                         {"target", task.target},
                         {"requirements", LabelsToJson(task.requirements)},
                         {"priority", task.priority},
                         {"concurrency_group", task.group},
                         {"queue_timeout", ToMicros(task.queue_timeout)},
                         {"state", View(domain::TaskStateName(task.state))},
                         {"attempt", task.attempt.value()},
                         {"agent", task.agent.value()},
                         {"starts", task.starts},
                         {"cancel_requested", task.cancel_requested}};
  if (task.result) {
    common["finished_at"] = ToUnixMicros(task.finished_at);
    common["result"] = ToJson(*task.result);
  }
  return WithoutLastBrace(common);
}

std::string Common(const domain::TargetUse& use) {
  return WithoutLastBrace(
      {{"platform", use.platform}, {"name", use.name}, {"environment", use.environment}});
}

std::string Micros(WallTime time) { return std::to_string(ToUnixMicros(time)); }

bool AreStorable(std::initializer_list<std::string_view> texts) {
  return std::all_of(texts.begin(), texts.end(), IsStorableText);
}

}  // namespace

RunBatch::Shape& RunBatch::Shapes::Of(std::string common, std::size_t columns) {
  const auto [it, is_new] = numbers_.try_emplace(common, shapes_.size());
  if (is_new) {
    shapes_.push_back({std::move(common), std::vector<TextArrayWriter>(columns)});
  }
  return shapes_[it->second];
}

std::string RunBatch::Shapes::Take(std::initializer_list<const char*> columns) {
  std::string text;
  for (Shape& shape : shapes_) {
    text += text.empty() ? '[' : ',';
    text += shape.common;
    std::size_t at = 0;
    for (const char* column : columns) {
      text += ",\"";
      text += column;
      text += "\":";
      text += json::serialize(json::value(shape.columns[at++].Take()));
    }
    text += '}';
  }
  return text.empty() ? "[]" : text + ']';
}

void RunBatch::Add(const CreateRun& change) {
  const domain::Run& run = change.run;
  auto& columns = runs_.Of(Common(run), 3).columns;
  columns[0].Add(run.id.value());
  columns[1].Add(run.request_id);
  columns[2].Add(Micros(run.submitted_at));
  if (!run.script_name.empty()) {
    scripts_.push_back(json::object{{"run", run.id.value()}, {"body", HexEncode(run.script)}});
  }
  for (const domain::Task& task : change.tasks) Add(task);
  for (const domain::TargetUse& use : change.targets) {
    targets_.Of(Common(use), 1).columns[0].Add(run.id.value());
  }
}

void RunBatch::Add(const domain::Task& task) {
  auto& columns = tasks_.Of(Common(task), 7).columns;
  columns[0].Add(std::to_string(place_++));
  columns[1].Add(task.id.value());
  columns[2].Add(task.run.value());
  columns[3].Add(task.depends_on.value());
  columns[4].Add(Micros(task.not_before));
  columns[5].Add(Micros(task.queued_since));
  columns[6].Add(Micros(task.created_at));
}

std::vector<std::string> RunBatch::TakeArguments() {
  return {runs_.Take({"ids", "request_ids", "submitted_at"}),
          tasks_.Take(
              {"places", "ids", "runs", "depend_on", "not_before", "queued_since", "created_at"}),
          targets_.Take({"runs"}), std::string(json::serialize(scripts_))};
}

bool IsStorable(const CreateRun& change) {
  const domain::Run& run = change.run;
  if (!AreStorable({run.id.value(), run.application.value(), run.ref, run.version, run.description,
                    run.submitted_by, run.request_id, run.script_name, run.after_script.value()})) {
    return false;
  }
  for (const auto* texts : {&run.parameters, &run.recipients}) {
    for (const auto& [name, value] : *texts) {
      if (!AreStorable({name, value})) return false;
    }
  }
  const domain::Packaging& packaging = run.packaging;
  if (!AreStorable({packaging.form, packaging.cipher, packaging.sealed_password,
                    packaging.page_password_hash}) ||
      !std::all_of(packaging.recipients.begin(), packaging.recipients.end(), IsStorableText)) {
    return false;
  }
  for (const domain::TargetUse& use : change.targets) {
    if (!AreStorable({use.platform, use.name, use.environment})) return false;
  }
  return std::all_of(change.tasks.begin(), change.tasks.end(), [](const domain::Task& task) {
    return AreStorable({task.id.value(), task.run.value(), task.application.value(), task.platform,
                        task.target, task.depends_on.value(), task.group, task.agent.value()}) &&
           std::all_of(task.requirements.begin(), task.requirements.end(), [](const auto& label) {
             return AreStorable({label.first, label.second});
           });
  });
}

}  // namespace slipway::store::pg
