// Calls the farm with Connect's own client, without generated code: the services come from a descriptor set.
// Environment: DESCRIPTORS, HTTP (URL), GRPC (URL), CA (file), TOKEN (file), and what a case needs.
//   node client.mjs CASE    prints one JSON value
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(process.env.DESCRIPTORS)));
const token = readFileSync(process.env.TOKEN, "utf8").trim();
const says = (value) => (next) => async (request) => {
  if (value) request.header.set("Authorization", `Bearer ${value}`);
  return await next(request);
};
const connect = (more = {}) =>
  createConnectTransport({ baseUrl: process.env.HTTP, httpVersion: "1.1", interceptors: [says(more.token ?? token)], ...more });
const grpc = () =>
  createGrpcTransport({ baseUrl: process.env.GRPC, interceptors: [says(token)], nodeOptions: { ca: readFileSync(process.env.CA) } });
const client = (service, transport) => createClient(registry.getService(`slipway.v1.${service}`), transport);

// What a client sees of a refused call.
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    const known = ConnectError.from(error);
    return {
      code: Code[known.code],
      message: known.rawMessage,
      details: known.findDetails(registry.getMessage("slipway.v1.ErrorDetail")).map(({ reason, remedy, remedyZh }) => ({ reason, remedy, remedyZh })),
    };
  }
  return { code: "Ok" };
}

async function readLog(transport, task) {
  const pieces = [];
  let last;
  for await (const message of client("TaskService", transport).readLog({ task, follow: true })) {
    pieces.push(Buffer.from(message.data));
    last = message;
  }
  return { base64: Buffer.concat(pieces).toString("base64"), complete: last.complete, messages: pieces.length };
}

const transports = {
  json: () => connect({ useBinaryFormat: false }),
  binary: () => connect({ useBinaryFormat: true }),
  get: () => connect({ useBinaryFormat: false, useHttpGet: true }),
  get_binary: () => connect({ useBinaryFormat: true, useHttpGet: true }),
  gzip: () => connect({ sendCompression: compressionGzip, acceptCompression: [compressionGzip], compressMinBytes: 1 }),
  grpc,
};

const cases = {
  // The same list by each transport.
  async lists() {
    const answers = {};
    for (const [name, transport] of Object.entries(transports)) {
      const answer = await client("ApplicationService", transport()).listApplications({});
      answers[name] = answer.applications.map((application) => application.name);
    }
    return answers;
  },
  async logs() {
    const answers = {};
    for (const [name, transport] of Object.entries(transports)) answers[name] = await readLog(transport(), process.env.TASK);
    return answers;
  },
  // Submits and watches until the run has ended.
  async submit() {
    const tasks = client("TaskService", connect());
    const { run } = await tasks.submitRun({ application: process.env.APPLICATION, platforms: ["demo"], ref: "main", requestId: process.env.REQUEST });
    const again = await tasks.submitRun({ application: process.env.APPLICATION, platforms: ["demo"], ref: "main", requestId: process.env.REQUEST });
    const states = new Set();
    let messages = 0;
    for await (const message of tasks.watchRun({ run })) {
      ++messages;
      for (const task of message.tasks) states.add(task.state);
    }
    return { run, again: again.run, messages, states: [...states] };
  },
  async refusals() {
    const answers = {};
    for (const name of ["json", "binary", "get", "grpc"]) {
      answers[name] = await refusal(() => client("TaskService", transports[name]()).getTask({ task: "task-none" }));
    }
    answers.stream = await refusal(() => readLog(connect(), "task-none"));
    answers.stranger = await refusal(() => client("TaskService", connect({ token: "slp_none" })).listTasks({}));
    answers.nobody = await refusal(() => client("TaskService", connect({ token: "" })).listTasks({}));
    answers.malformed = await refusal(() => client("TaskService", connect()).submitRun({ application: "x".repeat(70) }));
    return answers;
  },
  // Streams that the client gives up: by its deadline, and by going away.
  async given_up() {
    const tasks = (transport) => client("TaskService", transport);
    const drain = async (stream) => {
      for await (const message of stream) void message;
    };
    const answers = {};
    for (const name of ["binary", "grpc"]) {
      const begin = Date.now();
      answers[name] = await refusal(() => drain(tasks(transports[name]()).readLog({ task: process.env.TASK, follow: true }, { timeoutMs: 700 })));
      answers[name].after = Date.now() - begin;
    }
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 500);
    answers.aborted = await refusal(() => drain(tasks(connect()).readLog({ task: process.env.TASK, follow: true }, { signal: abort.signal })));
    return answers;
  },
};

const answer = JSON.stringify(await cases[process.argv[2]](), (_, value) => (typeof value === "bigint" ? value.toString() : value));
// Connections that the client keeps would hold the process.
process.stdout.write(answer, () => process.exit(0));
