// js-waku clients, unmodified, with the options that a plain ws server on loopback needs.
import { createHash } from "node:crypto";

import { GossipSub } from "@chainsafe/libp2p-gossipsub";
import { multiaddr } from "@multiformats/multiaddr";
import { createLightNode } from "@waku/sdk";

export const CLUSTER = 16;
export const SHARD = 32;
export const PUBSUB_TOPIC = `/waku/2/rs/${CLUSTER}/${SHARD}`;
const RELAY = "/vac/waku/relay/2.0.0";

/**
 * A light client of one node or of several; with `relay` it is a relay node too, subscribed to the default shard. With
 * `shards` the network is autosharded over so many. `peerDiscovery` and `options` go to js-waku as they are.
 */
export async function startClient(addresses, protocols, { relay = false, shards, peerDiscovery, options } = {}) {
  const libp2p = { hideWebSocketInfo: true, filterMultiaddrs: false, peerDiscovery };
  if (relay) {
    libp2p.services = { pubsub: wakuRelay };
  }
  const client = await createLightNode({
    networkConfig: { clusterId: CLUSTER, ...(shards && { numShardsInCluster: shards }) },
    defaultBootstrap: false,
    numPeersToUse: 1,
    libp2p,
    ...options,
  });
  await client.start();
  if (relay) client.libp2p.services.pubsub.subscribe(PUBSUB_TOPIC);
  for (const address of [addresses].flat()) await client.dial(multiaddr(address));
  if (protocols.length > 0) await client.waitForPeers(protocols, 10_000);
  return client;
}

function wakuRelay(components) {
  const gossip = new GossipSub(components, {
    msgIdFn: ({ data }) => createHash("sha256").update(data).digest(),
    globalSignaturePolicy: "StrictNoSign",
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
  });
  gossip.multicodecs = gossip.protocols = [RELAY];
  return gossip;
}

export function coders(client, contentTopic) {
  return {
    encoder: client.createEncoder({ contentTopic, shardId: SHARD }),
    decoder: client.createDecoder({ contentTopic, shardId: SHARD }),
  };
}

/** Every page of a store query, each an array of decoded messages. */
export async function pages(client, decoder, options) {
  const all = [];
  for await (const page of client.store.queryGenerator([decoder], options)) {
    all.push(await Promise.all(page));
  }
  return all;
}

export const text = (bytes) => new TextDecoder().decode(bytes);
export const bytes = (string) => new TextEncoder().encode(string);
