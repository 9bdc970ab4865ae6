// Senders of the npm registry: node log_senders.js SENDER URL COUNT, with NODE_PATH at their node_modules.
"use strict";
const [, , sender, url, n] = process.argv;
const count = Number(n);

async function otel(format) {
  const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
  const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${format}`);
  const { resourceFromAttributes } = require("@opentelemetry/resources");
  const exporter = new OTLPLogExporter({ url: `${url}/v1/logs` });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": `otel-${format}`, "host.arch": "any" }),
    processors: [new BatchLogRecordProcessor({ exporter, maxQueueSize: count + 1, maxExportBatchSize: 500 })],
  });
  const logger = provider.getLogger("test", "1.0");
  for (let i = 0; i < count; i++)
    logger.emit({ severityNumber: 13, severityText: "WARN", body: i % 2 ? `message ${i}` : { n: i, s: "x" }, attributes: { "order.id": i, tags: ["a", "b"] } });
  await provider.forceFlush();
  await provider.shutdown();
}

async function pino() {
  const transport = require("pino").transport({
    target: "pino-loki",
    options: { host: url, batching: { interval: 1, maxBufferSize: count + 1 }, labels: { app: "pino" }, silenceErrors: false },
  });
  const logger = require("pino")(transport);
  for (let i = 0; i < count; i++) logger.info({ order: i }, `message ${i}`);
  await new Promise((resolve) => {
    transport.on("close", resolve);
    transport.end();
  });
}

async function winston() {
  const LokiTransport = require("winston-loki");
  const winstonLib = require("winston");
  for (const json of [true, false]) {
    const transport = new LokiTransport({ host: url, labels: { app: json ? "winston-json" : "winston-proto" }, json, interval: 1, replaceTimestamp: false });
    const logger = winstonLib.createLogger({ transports: [transport] });
    for (let i = 0; i < count; i++) logger.info({ message: `message ${i}`, labels: { kind: i % 2 ? "odd" : "even" } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await transport.flush();
    logger.close();
  }
}

const senders = { "otel-http": () => otel("http"), "otel-proto": () => otel("proto"), pino, winston };
senders[sender]().then(
  () => process.exit(0),
  (e) => {
    console.error(e);
    process.exit(1);
  },
);
