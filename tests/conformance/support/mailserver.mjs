// `pillarbox-mailserver` processes on loopback, each with a data folder and ports of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { CLUSTER, SHARD } from "./clients.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, "target");
// What scripts/run builds, or what the environment names.
const PROGRAM = process.env.PILLARBOX_MAILSERVER ?? path.join(target, "quick", "pillarbox-mailserver");
const READY_MS = 30_000;
const STOP_MS = 10_000;

/** Reserves nothing: asks the kernel for ports that are free now. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => resolve(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class Mailserver {
  /** `flags` come last and so override; `sharding` is on which shards of the cluster the node is. */
  static async start({ flags = [], staticNodes = [], sharding = [`--shard=${SHARD}`] } = {}) {
    const folder = await mkdtemp(path.join(tmpdir(), "pillarbox-conformance-"));
    const [tcp, ws, rest] = await freePorts(3);
    const node = new Mailserver();
    Object.assign(node, { folder, tcp, ws, rest, flags, staticNodes, sharding });
    await node.#spawn();
    return node;
  }

  async #spawn() {
    this.stderr = "";
    this.child = spawn(PROGRAM, [
      `--cluster-id=${CLUSTER}`, ...this.sharding, "--listen-address=127.0.0.1", `--tcp-port=${this.tcp}`,
      "--websocket-support=true", `--websocket-port=${this.ws}`, "--rest=true", "--rest-address=127.0.0.1",
      `--rest-port=${this.rest}`, "--rest-admin=true", "--discv5-discovery=false", "--nat=none",
      `--nodekey-file=${path.join(this.folder, "nodekey")}`, "--store=true",
      `--archive-dir=${path.join(this.folder, "archive")}`,
      ...this.staticNodes.map((address) => `--staticnode=${address}`), ...this.flags,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr.on("data", (chunk) => (this.stderr = (this.stderr + chunk).slice(-20_000)));
    this.exited = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve({ code, signal })));
    const deadline = Date.now() + READY_MS;
    for (;;) {
      const info = await this.get("/debug/v1/info").catch(() => undefined);
      if (info) {
        this.address = info.listenAddresses.find((address) => address.includes(`/tcp/${this.ws}/ws`));
        this.record = info.enrUri;
        this.peerId = this.address.split("/p2p/")[1];
        this.tcpAddress = info.listenAddresses.find((address) => address.includes(`/tcp/${this.tcp}/p2p/`));
        return;
      }
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`pillarbox-mailserver did not come up (exit ${this.child.exitCode})\n${this.stderr}`);
      }
      await sleep(100);
    }
  }

  async get(url) {
    const response = await fetch(`http://127.0.0.1:${this.rest}${url}`);
    if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async kill(signal = "SIGTERM") {
    this.child.kill(signal);
    const end = await Promise.race([this.exited, sleep(STOP_MS, "late", { ref: false })]);
    if (end !== "late") return end;
    this.child.kill("SIGKILL");
    throw new Error(`pillarbox-mailserver was still there ${STOP_MS} ms after ${signal}\n${this.stderr}`);
  }

  /** Starts it again where it was: same key, ports and archive. */
  async start() {
    await this.#spawn();
  }

  async restart(signal) {
    await this.kill(signal);
    await this.start();
  }

  /** Ends it in good order and forgets its data. */
  async stop() {
    const end = await this.kill();
    await rm(this.folder, { recursive: true });
    return end;
  }
}
