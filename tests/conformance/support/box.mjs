// A Pillarbox as its user starts it: `scripts/run`, read by its printed lines, ended by SIGTERM to its own process.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const BUILD_AND_START_MS = 30 * 60_000; // a first build on two cores
const STOP_MS = 10_000; // what scripts/run promises

export async function startBox(...args) {
  const child = spawn("scripts/run", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr = (stderr + chunk).slice(-20_000)));
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));

  const address = await printed(() => stdout.match(/\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\/\S+/)?.[0]);
  const page = await printed(() => stdout.match(/http:\/\/\S+/)?.[0]);

  async function printed(find) {
    const deadline = Date.now() + BUILD_AND_START_MS;
    for (;;) {
      const found = find();
      if (found) return found;
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`scripts/run did not come up (exit ${child.exitCode})\n${stdout}\n${stderr}`);
      }
      await sleep(100);
    }
  }

  return {
    address,
    page,
    status: async () => (await fetch(new URL("/status.json", page))).json(),
    /** Ends it as Ctrl-C would; fails unless everything ended in time with exit 0. */
    stop: async () => {
      child.kill("SIGTERM");
      const late = sleep(STOP_MS, "late", { ref: false });
      const end = await Promise.race([exited, late]);
      if (end === "late") {
        child.kill("SIGKILL");
        throw new Error(`scripts/run was still there ${STOP_MS} ms after SIGTERM\n${stderr}`);
      }
      return end;
    },
  };
}
