// One envelope's whole life, by clients that other people wrote: js-waku puts envelopes into what `scripts/run`
// starts and gets them back by every kind of query.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Protocols } from "@waku/sdk";

import { startBox } from "./support/box.mjs";
import { bytes, coders, PUBSUB_TOPIC, pages, startClient, text } from "./support/clients.mjs";
import { until } from "./support/until.mjs";

const COUNT = 50;
// A topic of its own for each run: the box keeps envelopes from one run to the next, as it should.
const contentTopic = `/pillarbox/1/first-light-${Date.now()}/proto`;

let box;
let client;
const clients = [];
const sent = Array.from({ length: COUNT }, (_, i) => `envelope ${String(i).padStart(2, "0")}`);
const times = [];

async function connect(protocols, options) {
  const started = await startClient(box.address, protocols, options);
  clients.push(started);
  return started;
}

before(async () => {
  box = await startBox();
  client = await connect([Protocols.LightPush, Protocols.Store]);
});

after(async () => {
  await Promise.all(clients.map((started) => started.stop()));
  const end = await box?.stop();
  assert.deepEqual(end, { code: 0, signal: null });
  // js-waku leaves timers behind; the exit code is the test runner's.
  setTimeout(() => process.exit(), 500).unref();
});

test("50 envelopes are light-pushed", async () => {
  const { encoder } = coders(client, contentTopic);
  for (const payload of sent) {
    const timestamp = new Date();
    times.push(timestamp);
    const result = await client.lightPush.send(encoder, { payload: bytes(payload), timestamp }, { autoRetry: false });
    assert.deepEqual(result.failures, [], `pushing ${payload}`);
    assert.equal(result.successes.length, 1);
    await sleep(5); // js dates are milliseconds: no two alike, so that the order is the sent one
  }
});

test("a content topic gives them all back, page by page, forward", async () => {
  const { decoder } = coders(client, contentTopic);
  const got = await pages(client, decoder, { paginationForward: true, paginationLimit: 20 });
  assert.deepEqual(got.map((page) => page.length), [20, 20, 10]);
  assert.deepEqual(got.flat().map((message) => text(message.payload)), sent);
  assert.ok(got.flat().every((message) => message.pubsubTopic === PUBSUB_TOPIC));
});

test("backward, the newest page comes first and is ascending inside", async () => {
  const { decoder } = coders(client, contentTopic);
  const got = await pages(client, decoder, { paginationForward: false, paginationLimit: 20 });
  assert.deepEqual(got.map((page) => page.length), [20, 20, 10]);
  assert.deepEqual(got.reverse().flat().map((message) => text(message.payload)), sent);
});

test("a time range gives what lies in it", async () => {
  const { decoder } = coders(client, contentTopic);
  // js-waku multiplies milliseconds in floating point, so its bounds are up to 128 ns off: a millisecond of room.
  const got = await pages(client, decoder, {
    paginationForward: true,
    timeStart: new Date(times[10].getTime() - 1),
    timeEnd: new Date(times[29].getTime() + 1),
  });
  assert.deepEqual(got.flat().map((message) => text(message.payload)), sent.slice(10, 30));
});

test("hashes give just their envelopes, and a cursor goes on after them", async () => {
  const { decoder } = coders(client, contentTopic);
  const all = (await pages(client, decoder, { paginationForward: true })).flat();
  const wanted = [all[3], all[17], all[42]];
  const got = await pages(client, decoder, {
    paginationForward: true,
    messageHashes: wanted.map((message) => Buffer.from(message.hashStr, "hex")),
  });
  assert.deepEqual(got.flat().map((message) => message.hashStr), wanted.map((message) => message.hashStr));

  const rest = await pages(client, decoder, {
    paginationForward: true,
    paginationCursor: Buffer.from(all[44].hashStr, "hex"),
  });
  assert.deepEqual(rest.flat().map((message) => text(message.payload)), sent.slice(45));
});

test("a cursor that does not exist is an error of the protocol", async () => {
  const { decoder } = coders(client, contentTopic);
  await assert.rejects(
    pages(client, decoder, { paginationForward: true, paginationCursor: Buffer.alloc(32, 7) }),
    /status code: 400/,
  );
});

test("a second js-waku relay node receives what the first published, and the box stores it", async () => {
  const [a, b] = await Promise.all([connect([], { relay: true }), connect([], { relay: true })]);
  const received = new Set();
  b.libp2p.services.pubsub.addEventListener("gossipsub:message", ({ detail }) => {
    if (detail.msg.topic === PUBSUB_TOPIC) received.add(Buffer.from(detail.msg.data).toString("hex"));
  });
  const topic = `${contentTopic.slice(0, -"/proto".length)}-relay/proto`;
  const { encoder, decoder } = coders(a, topic);
  await until(() => [a, b].every((node) => node.libp2p.services.pubsub.getMeshPeers(PUBSUB_TOPIC).length > 0));

  for (let i = 0; i < 5; i++) {
    const message = await encoder.toWire({ payload: bytes(`relayed ${i}`), timestamp: new Date() });
    await a.libp2p.services.pubsub.publish(PUBSUB_TOPIC, message);
    await until(() => received.has(Buffer.from(message).toString("hex")));
    await sleep(5);
  }
  await client.waitForPeers([Protocols.Store], 10_000);
  await until(async () => {
    const stored = (await pages(client, decoder, { paginationForward: true })).flat();
    return stored.length === 5 && stored.every((message, i) => text(message.payload) === `relayed ${i}`);
  });
});

test("the page's numbers agree", async () => {
  await until(async () => {
    const status = await box.status();
    return status.state === "ok" && status.archive.envelopes >= COUNT + 5 && status.mailserver.peers >= 1;
  });
  const status = await box.status();
  assert.ok(box.address.endsWith(status.mailserver.peer_id));
  assert.ok(status.mailserver.multiaddrs.includes(box.address));
});
