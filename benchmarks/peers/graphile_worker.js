// A Graphile Worker in a process of its own: `install` makes its schema; `work` runs until standard input ends, and
// writes a line of JSON when it begins to look for jobs and another with what it did. The connection is in PG*.
"use strict";

const { run, runMigrations } = require("graphile-worker");

const CONCURRENT_JOBS = 24;
// The options of "Quick stats" at https://worker.graphile.org/docs/performance.
const preset = {
  worker: {
    concurrentJobs: CONCURRENT_JOBS,
    maxPoolSize: CONCURRENT_JOBS + 1,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

async function work() {
  const { EventEmitter } = require("node:events");
  const events = new EventEmitter();
  let lookedAt = null;
  // The local queue fetches from the moment it exists; notifications arrive once the pool listens.
  events.once("localQueue:init", () => (lookedAt = process.hrtime.bigint()));
  events.once("pool:listen:success", () => say({ ready: Number(lookedAt) / 1e9 }));
  const runs = [];
  const taskList = {
    change: async (payload) => {
      runs.push([process.hrtime.bigint(), payload.id]);
    },
  };
  const runner = await run({ preset, events, taskList, noHandleSignals: true, logger: quiet() });
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once("end", resolve));
  await runner.stop();
  const began = {};
  for (const [time, row] of runs) began[row] = time.toString();
  say({ jobs: runs.length, began });
}

// It logs every job otherwise, which its own benchmark suppresses as well (NO_LOG_SUCCESS).
function quiet() {
  const { Logger } = require("graphile-worker");
  return new Logger(() => (level, message) => {
    if (level === "error" || level === "warning") process.stderr.write(`${level}: ${message}\n`);
  });
}

const action = process.argv[2] === "install" ? () => runMigrations({ preset }) : work;
action().catch((error) => {
  console.error(error);
  process.exit(1);
});
