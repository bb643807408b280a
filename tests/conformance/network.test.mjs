// js-waku against networks of `pillarbox-mailserver`: peers found by peer exchange, autosharding, and every service of
// three nodes while one of them is killed in the middle.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { PeerExchangeDiscovery } from "@waku/discovery";
import { Protocols } from "@waku/sdk";

import { bytes, CLUSTER, coders, pages, PUBSUB_TOPIC, SHARD, startClient, text } from "./support/clients.mjs";
import { Mailserver } from "./support/mailserver.mjs";
import { until } from "./support/until.mjs";

// Beyond this a node that was away asks the others' stores for what it missed; what is shorter, relay's gossip covers.
const MISSED_MS = 10_000;
const open = [];
async function keep(promise) {
  const started = await promise;
  open.push(started);
  return started;
}
const topic = (name) => `/pillarbox/1/${name}/proto`;

after(async () => {
  for (const started of open.reverse()) {
    const end = await started.stop();
    if (started instanceof Mailserver) assert.deepEqual(end, { code: 0, signal: null });
  }
  setTimeout(() => process.exit(), 500).unref();
});

async function freeUdpPort() {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** A node that is found: discv5 on, and an address that its record may carry. */
async function discoverable(bootstrap) {
  const flags = ["--discv5-discovery=true", "--nat=extip:127.0.0.1", `--discv5-udp-port=${await freeUdpPort()}`];
  if (bootstrap) flags.push(`--discv5-bootstrap-node=${bootstrap.record}`);
  return keep(Mailserver.start({ flags }));
}

async function send(client, encoder, payload, options = {}) {
  const message = { payload: bytes(payload), timestamp: new Date() };
  return client.lightPush.send(encoder, message, { autoRetry: false, ...options });
}

test("peer exchange leads a client from the node it knows to one that it does not", async () => {
  const known = await discoverable();
  const other = await discoverable(known);
  let discovery;
  const peerDiscovery = [(components) => (discovery = new PeerExchangeDiscovery(components, { TTL: 2_000 }))];
  const client = await keep(startClient(known.address, [], { peerDiscovery }));

  let record;
  await until(async () => {
    const [connection] = client.libp2p.getConnections().filter((one) => one.remotePeer.toString() === known.peerId);
    const { peerInfos } = await discovery.peerExchange.query({ numPeers: 10, peerId: connection.remotePeer });
    record = peerInfos?.map((info) => info.ENR).find((found) => found?.peerInfo?.id.toString() === other.peerId);
    return record !== undefined;
  }, 60_000);
  assert.deepEqual(record.shardInfo, { clusterId: CLUSTER, shards: [SHARD] });
  const addresses = record.multiaddrs.map(String);
  assert.ok(addresses.some((address) => other.address.startsWith(address)), `${other.address} in ${addresses}`);

  // What js-waku's own discovery makes of it: it dials the other node over ws, and uses it.
  await until(() => client.libp2p.getConnections().some((one) => one.remotePeer.toString() === other.peerId), 60_000);
});

test("autosharding: both sides put a content topic on the same shard", async () => {
  const shards = 8;
  const node = await keep(Mailserver.start({ sharding: [`--num-shards-in-network=${shards}`] }));
  const client = await keep(startClient(node.address, [Protocols.LightPush, Protocols.Store, Protocols.Filter], { shards }));
  // The first three from nwaku's and go-waku's tests, the last from js-waku's.
  for (const [contentTopic, shard] of [
    ["/toychat/2/huilong/proto", 3],
    ["/toychat2/2/huilong/proto", 6],
    ["/toychat/4/huilong/proto", 7],
    ["/my-app/1/x/proto", 5],
  ]) {
    const encoder = client.createEncoder({ contentTopic });
    const decoder = client.createDecoder({ contentTopic });
    const pubsubTopic = `/waku/2/rs/${CLUSTER}/${shard}`;
    assert.equal(decoder.pubsubTopic, pubsubTopic);
    const received = [];
    assert.equal(await client.filter.subscribe(decoder, (message) => received.push(text(message.payload))), true);
    for (const useLegacy of [false, true]) {
      assert.deepEqual((await send(client, encoder, `legacy: ${useLegacy}`, { useLegacy })).failures, []);
    }
    await until(() => received.length === 2);
    const stored = (await pages(client, decoder, { paginationForward: true })).flat();
    assert.deepEqual(stored.map((message) => text(message.payload)), ["legacy: false", "legacy: true"]);
    assert.ok(stored.every((message) => message.pubsubTopic === pubsubTopic));
  }
});

test("a ping finds a subscription, and none after unsubscribing", async () => {
  const node = await keep(Mailserver.start());
  const options = { filter: { keepAliveIntervalMs: 500, numPeersToUse: 1 } };
  const client = await keep(startClient(node.address, [Protocols.Filter], { options }));
  const { decoder } = coders(client, topic("ping"));
  assert.equal(await client.filter.subscribe(decoder, () => {}), true);
  const subscribers = () => node.get("/admin/v1/filter/subscriptions");
  await until(async () => (await subscribers()).length === 1);
  // Several keep-alives later it is still the same subscription.
  await sleep(2_000);
  assert.equal((await subscribers()).length, 1);
  assert.equal(await client.filter.unsubscribe(decoder), true);
  await until(async () => (await subscribers()).length === 0);
});

test("three nodes, one killed in the middle: nothing acknowledged is lost, and the subscription comes back", async () => {
  const flags = ["--store-resume=true"];
  const first = await keep(Mailserver.start({ flags }));
  const second = await keep(Mailserver.start({ flags, staticNodes: [first.tcpAddress] }));
  const third = await keep(Mailserver.start({ flags, staticNodes: [first.tcpAddress, second.tcpAddress] }));
  const nodes = [first, second, third];
  const meshed = async (node) => {
    const mesh = await node.get("/admin/v1/peers/mesh");
    return new Set(mesh.flatMap((shard) => shard.peers.map((peer) => peer.multiaddr))).size >= 2;
  };
  for (const node of nodes) await until(() => meshed(node), 60_000);

  const sender = await keep(startClient(first.address, [Protocols.LightPush]));
  const contentTopic = topic("killed");
  const { encoder } = coders(sender, contentTopic);
  const acknowledged = [];
  async function push(payload, useLegacy) {
    const { failures } = await send(sender, encoder, payload, { useLegacy });
    assert.deepEqual(failures, [], payload);
    acknowledged.push(payload);
  }

  // A subscriber that js-waku may move between the third node, which is killed, and the second.
  const options = { filter: { keepAliveIntervalMs: 1_000, pingsBeforePeerRenewed: 1, numPeersToUse: 1 } };
  const subscriber = await keep(startClient([third.address], [Protocols.Filter], { options }));
  const received = new Set();
  const { decoder } = coders(subscriber, contentTopic);
  assert.equal(await subscriber.filter.subscribe(decoder, (message) => received.add(text(message.payload))), true);
  // Relay clients at the two ends: one of them hangs on the node that is killed.
  const [left, right] = await Promise.all([first, third].map((node) => keep(startClient(node.address, [], { relay: true }))));
  const relayed = new Map([left, right].map((client) => [client, new Set()]));
  for (const [client, seen] of relayed) {
    client.libp2p.services.pubsub.addEventListener("gossipsub:message", ({ detail }) => {
      if (detail.msg.topic === PUBSUB_TOPIC) seen.add(Buffer.from(detail.msg.data).toString("hex"));
    });
  }
  const inMesh = (client) => client.libp2p.services.pubsub.getMeshPeers(PUBSUB_TOPIC).length > 0;
  async function relayBothWays(name) {
    await until(() => inMesh(left) && inMesh(right), 60_000);
    for (const [from, to] of [[left, right], [right, left]]) {
      const wire = await encoder.toWire({ payload: bytes(`${name} ${from === left}`), timestamp: new Date() });
      await from.libp2p.services.pubsub.publish(PUBSUB_TOPIC, wire);
      await until(() => relayed.get(to).has(Buffer.from(wire).toString("hex")), 30_000);
      acknowledged.push(`${name} ${from === left}`);
      await sleep(5);
    }
  }

  await relayBothWays("relayed before");
  for (let i = 0; i < 10; i++) await push(`before ${i}`, i % 2 === 1);
  await until(() => acknowledged.filter((payload) => payload.startsWith("before")).every((payload) => received.has(payload)));

  // Killed while pushes go on, away for long enough that it has to ask for what it missed.
  await third.kill("SIGKILL");
  const back = Date.now() + MISSED_MS + 1_000;
  for (let i = 0; Date.now() < back; i++) {
    await push(`away ${i}`, i % 2 === 1);
    await sleep(200);
  }
  await third.start();
  await until(() => meshed(third), 60_000);

  // js-waku comes back to a node that it knows, by itself or when told its address, and subscribes anew by itself.
  for (const client of [subscriber, right]) await client.dial(third.address);
  await until(async () => (await third.get("/admin/v1/filter/subscriptions")).length === 1, 60_000);
  for (let i = 0; i < 10; i++) await push(`after ${i}`, i % 2 === 1);
  await until(() => acknowledged.filter((payload) => payload.startsWith("after")).every((payload) => received.has(payload)));
  await relayBothWays("relayed after");

  const wanted = [...acknowledged].sort();
  for (const node of nodes) {
    const reader = await keep(startClient(node.address, [Protocols.Store]));
    await until(async () => {
      const stored = (await pages(reader, coders(reader, contentTopic).decoder, { paginationForward: true })).flat();
      return JSON.stringify(stored.map((message) => text(message.payload)).sort()) === JSON.stringify(wanted);
    }, 60_000);
  }
});
