// js-waku as it runs outside tests: by wss alone, with a certificate that an authority vouches for.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Mailserver } from "./support/mailserver.mjs";

const run = promisify(execFile);
const CLIENT = fileURLToPath(new URL("support/wss_client.mjs", import.meta.url));
const CLIENT_MS = 60_000;

let folder;
let node;
const file = (name) => path.join(folder, name);

/** An authority of the test's own, and a key and a certificate by it for localhost. */
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "pillarbox-wss-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", ["req", "-x509", ...key, "-subj", "/CN=Test authority", "-days", "2",
    "-keyout", file("ca.key"), "-out", file("ca.pem")]);
  await run("openssl", ["req", ...key, "-subj", "/CN=localhost", "-keyout", file("key.pem"), "-out", file("request.pem")]);
  await writeFile(file("extensions"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
  await run("openssl", ["x509", "-req", "-in", file("request.pem"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
    "-CAcreateserial", "-days", "2", "-extfile", file("extensions"), "-out", file("chain.pem")]);
  node = await Mailserver.start({
    flags: ["--websocket-secure-support=true", `--websocket-secure-key-path=${file("key.pem")}`,
      `--websocket-secure-cert-path=${file("chain.pem")}`, "--dns4-domain-name=localhost"],
  });
});

after(async () => {
  const end = await node?.stop();
  await rm(folder, { recursive: true });
  assert.deepEqual(end, { code: 0, signal: null });
});

/** What a client of a process of its own printed; authorities are read when a process starts. */
async function client(environment) {
  const { listenAddresses } = await node.get("/debug/v1/info");
  const address = listenAddresses.find((listed) => listed.startsWith(`/dns4/localhost/tcp/${node.ws}/wss/p2p/`));
  assert.ok(address, `no wss in ${listenAddresses}`);
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...environment };
  const { stdout } = await run(process.execPath, [CLIENT, address], { env, timeout: CLIENT_MS });
  return JSON.parse(stdout.trim().split("\n").at(-1)); // js-waku prints a hint before it
}

test("js-waku pushes and finds an envelope by wss", async () => {
  assert.deepEqual(await client({ NODE_EXTRA_CA_CERTS: file("ca.pem") }), { stored: ["by wss"] });
});

test("a client that does not know the authority is not let down to ws", async () => {
  await assert.rejects(client({}), /Could not connect to/);
});
