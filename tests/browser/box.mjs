// A real Pillarbox for a browser to look at: pillarboxd with a directory of its own, free ports and the services that
// bring it to the wanted state. Its LED is a file and its button a FIFO, as on the `dev` board.
//
// PILLARBOXD and PILLARBOX_MAILSERVER name the programs; without them the workspace's debug build is used.

import { spawn } from "node:child_process";
import { mkdtemp, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const built = join(process.env.CARGO_TARGET_DIR ?? join(here, "../../target"), "debug");
export const PILLARBOXD = process.env.PILLARBOXD ?? join(built, "pillarboxd");
export const MAILSERVER = process.env.PILLARBOX_MAILSERVER ?? join(built, "pillarbox-mailserver");
/** Generous: the machine may be busy. */
export const DEADLINE_MS = 60_000;

export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const server = createServer().once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export async function until(what, condition) {
  const deadline = Date.now() + DEADLINE_MS;
  let last;
  while (Date.now() < deadline) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} never came${last ? `: ${last}` : ""}`);
}

/** A mailserver as it ships, on free ports. */
export async function mailserver() {
  const [tcp, ws, rest, metrics] = await freePorts(4);
  let file = await readFile(join(here, "../../daemon/services/mailserver.toml"), "utf8");
  for (const [from, to] of [[60000, tcp], [8000, ws], [8645, rest], [8008, metrics]]) {
    file = file.replace(`port = ${from}\n`, `port = ${to}\n`);
  }
  return file.replace('program = "pillarbox-mailserver"', `program = "${MAILSERVER}"`);
}

/** A program that runs but never answers its check. */
export async function neverHealthy() {
  const [port] = await freePorts(1);
  return `essential = true
program = "/bin/sleep"
arguments = ["1000"]
[health]
tcp = "127.0.0.1:${port}"
start_timeout = "10m"
`;
}

/** A program that fails at once, until its start limit. */
export const crashing = (essential, words = "<b>the disk</b> is on fire") => `essential = ${essential}
program = "/bin/sh"
arguments = ["-c", "echo '${words}' >&2; exit 3"]
[restart]
base = "10ms"
max = "20ms"
start_limit = 3
`;

export class Box {
  /**
   * `services` maps a service's name to the text of its file; `settings` is added to the daemon's, `path` put before
   * PATH; `root` maps files to texts that are there instead of the kernel's own.
   */
  static async start(services, { settings = "", path, root } = {}) {
    const dir = await mkdtemp(join(tmpdir(), "pillarbox-browser-"));
    for (const [name, text] of Object.entries(root ?? {})) {
      await mkdir(dirname(join(dir, "root", name)), { recursive: true });
      await writeFile(join(dir, "root", name), text);
    }
    const [port] = await freePorts(1);
    await mkdir(join(dir, "services"));
    for (const [name, text] of Object.entries(services)) {
      await writeFile(join(dir, "services", `${name}.toml`), text);
    }
    const config = join(dir, "pillarboxd.toml");
    await writeFile(config, `board = "dev"
state_dir = "state"
services_dir = "services"
clock = "trusted"
${settings}
[page]
listen = "127.0.0.1:${port}"
[health]
expects = "nothing"
${root ? 'root = "root"' : ""}
`);
    const log = await open(join(dir, "log"), "w");
    const child = spawn(PILLARBOXD, ["--config", config], {
      stdio: ["ignore", log.fd, log.fd],
      env: { ...process.env, PATH: [path, process.env.PATH].filter(Boolean).join(":") },
    });
    await log.close();
    const box = new Box(dir, port, child);
    try {
      await until("the page", async () => {
        if (child.exitCode !== null) throw new Error(`pillarboxd ended: ${await box.log()}`);
        return (await fetch(box.url("/status.json"))).ok;
      });
    } catch (error) {
      await box.stop();
      throw error;
    }
    return box;
  }

  constructor(dir, port, child) {
    Object.assign(this, { dir, port, child, ended: new Promise((resolve) => child.once("exit", (code) => resolve(code))) });
  }

  url(path) {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  log() {
    return readFile(join(this.dir, "log"), "utf8");
  }

  async status() {
    return (await fetch(this.url("/status.json"))).json();
  }

  /** The status, once it is as wanted. */
  statusWhen(what, wanted) {
    return until(what, async () => {
      const status = await this.status();
      return wanted(status) && status;
    });
  }

  async press() {
    await writeFile(join(this.dir, "state/simulated/button"), "down\nup\n");
  }

  /** Ends it as systemd would; says with which status. */
  async stop() {
    this.child.kill("SIGTERM");
    const code = await this.ended;
    await rm(this.dir, { recursive: true, force: true });
    return code;
  }
}
