// js-waku against `pillarbox-mailserver` itself: filter, both light pushes, and three nodes of which one restarts.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Protocols } from "@waku/sdk";

import { bytes, coders, pages, startClient, text } from "./support/clients.mjs";
import { Mailserver } from "./support/mailserver.mjs";
import { until } from "./support/until.mjs";

const DURABILITY_MS = 2000; // the archive's group commit
const open = [];
async function keep(promise) {
  const started = await promise;
  open.push(started);
  return started;
}
const startNode = (options) => keep(Mailserver.start(options));
const connect = (node, protocols, options) => keep(startClient(node.address, protocols, options));
const topic = (name) => `/pillarbox/1/${name}/proto`;

after(async () => {
  for (const started of open.reverse()) {
    const end = await started.stop();
    if (started instanceof Mailserver) assert.deepEqual(end, { code: 0, signal: null });
  }
  setTimeout(() => process.exit(), 500).unref();
});

async function push(client, contentTopic, payload, options = {}) {
  const { encoder } = coders(client, contentTopic);
  const message = { payload: bytes(payload), timestamp: new Date() };
  const result = await client.lightPush.send(encoder, message, { autoRetry: false, ...options });
  assert.deepEqual(result.failures, [], `pushing ${payload}`);
}

test("both versions of light push reach the store", async () => {
  const node = await startNode();
  const client = await connect(node, [Protocols.LightPush, Protocols.Store]);
  await push(client, topic("push"), "version 3");
  await push(client, topic("push"), "version 2", { useLegacy: true });
  const stored = (await pages(client, coders(client, topic("push")).decoder, { paginationForward: true })).flat();
  assert.deepEqual(stored.map((message) => text(message.payload)), ["version 3", "version 2"]);
});

test("a filter subscriber gets every one of 250 envelopes, and none once it has unsubscribed", async () => {
  const node = await startNode();
  const [sender, subscriber] = await Promise.all([
    connect(node, [Protocols.LightPush]),
    connect(node, [Protocols.Filter]),
  ]);
  const { decoder } = coders(subscriber, topic("filter"));
  const received = [];
  assert.equal(await subscriber.filter.subscribe(decoder, (message) => received.push(text(message.payload))), true);

  // More than 100: a node that opens a stream for each push loses its subscriber there.
  const sent = Array.from({ length: 250 }, (_, i) => `filtered ${i}`);
  for (const payload of sent) await push(sender, topic("filter"), payload);
  await until(() => received.length >= sent.length);
  assert.deepEqual([...received].sort(), [...sent].sort());

  assert.equal(await subscriber.filter.unsubscribe(decoder), true);
  await push(sender, topic("filter"), "after unsubscribing");
  // The push stream keeps its order, so a later envelope of another subscription shows that this one was not sent.
  const other = coders(subscriber, topic("filter-other")).decoder;
  const otherReceived = [];
  assert.equal(await subscriber.filter.subscribe(other, (message) => otherReceived.push(text(message.payload))), true);
  await push(sender, topic("filter-other"), "marker");
  await until(() => otherReceived.length === 1);
  assert.equal(received.length, sent.length);
});

test("twenty clients push at once", async () => {
  const node = await startNode();
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(node, [Protocols.LightPush])));
  await Promise.all(clients.flatMap((client, c) => Array.from({ length: 10 }, (_, i) =>
    push(client, topic("crowd"), `client ${c} envelope ${i}`))));
  const reader = await connect(node, [Protocols.Store]);
  await until(async () => {
    const got = (await pages(reader, coders(reader, topic("crowd")).decoder, { paginationForward: true })).flat();
    return new Set(got.map((message) => text(message.payload))).size === 200;
  });
});

test("a wrong shard is refused, and the node goes on", async () => {
  const node = await startNode();
  const client = await connect(node, [Protocols.LightPush]);
  const encoder = client.createEncoder({ contentTopic: topic("wrong-shard"), shardId: 999 });
  const result = await client.lightPush.send(encoder, { payload: bytes("lost") }, { autoRetry: false });
  assert.equal(result.successes.length, 0);
  assert.ok(result.failures.length > 0);
  await push(client, topic("right-shard"), "kept");
});

test("three nodes keep one another's envelopes while one of them restarts", async () => {
  const first = await startNode();
  const second = await startNode({ staticNodes: [first.tcpAddress] });
  const third = await startNode({ staticNodes: [first.tcpAddress, second.tcpAddress] });
  const nodes = [first, second, third];
  const meshed = async (node, count) => {
    const relay = await node.get("/admin/v1/peers/mesh");
    const peers = new Set(relay.flatMap((shard) => shard.peers.map((peer) => peer.multiaddr)));
    return peers.size >= count;
  };
  for (const node of nodes) await until(() => meshed(node, 2), 60_000);

  const sender = await connect(first, [Protocols.LightPush]);
  const envelopes = async (node) => {
    const reader = await startClient(node.address, [Protocols.Store]);
    try {
      const got = (await pages(reader, coders(reader, topic("three")).decoder, { paginationForward: true })).flat();
      return got.map((message) => text(message.payload)).sort().join();
    } finally {
      await reader.stop();
    }
  };

  for (let i = 0; i < 10; i++) await push(sender, topic("three"), `before ${i}`);
  const before = Array.from({ length: 10 }, (_, i) => `before ${i}`);
  for (const node of nodes) await until(async () => (await envelopes(node)) === [...before].sort().join());

  await sleep(DURABILITY_MS + 500); // what is younger may be lost to a SIGKILL
  await third.restart("SIGKILL");
  await until(() => meshed(third, 2), 60_000);
  for (let i = 0; i < 10; i++) await push(sender, topic("three"), `after ${i}`);
  const all = [...before, ...before.map((payload) => payload.replace("before", "after"))].sort().join();
  for (const node of nodes) await until(async () => (await envelopes(node)) === all);
});
