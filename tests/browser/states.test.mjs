// What the page shows in each state of a real box.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Box, crashing, mailserver, neverHealthy } from "./box.mjs";
import { inspect, launch, visit } from "./browser.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** The pattern that the page says the light shows, by its animation's length and its words. */
const light = (page) => page.locator(".lights li").first();

describe("a box whose mailserver never answers", () => {
  let box;
  before(async () => { box = await Box.start({ mailserver: await neverHealthy() }); });
  after(() => box?.stop());

  it("says that it is starting", async () => {
    await box.statusWhen("starting", (status) => status.state === "starting" && status.leds.status === "starting");
    await inspect(browser, box, "starting", async (page, where) => {
      assert.equal(await page.locator("h1").textContent(), "Starting", where);
      assert.match(await light(page).textContent(), /Blinks evenly/, where);
      assert.equal(await page.locator("#state animate").first().getAttribute("dur"), "800ms", where);
      assert.match(await page.locator("#use").textContent(), /appears here as soon as the mailserver is running/, where);
      assert.match(await page.locator("#services").textContent(), /mailserver\s*Starting/, where);
      assert.equal(await page.locator(".qr").count(), 0, where);
    });
  });

  it("is not healthy for machines", async () => {
    const answer = await fetch(box.url("/healthz"));
    assert.equal(answer.status, 503);
    assert.equal(await answer.text(), "starting\n");
  });
});

describe("a box whose mailserver crashes", () => {
  let box;
  before(async () => { box = await Box.start({ mailserver: crashing(true) }); });
  after(() => box?.stop());

  it("says that it failed, with the code that the light blinks", async () => {
    const status = await box.statusWhen("failure", ({ state, leds }) => state === "failed" && leds.status?.startsWith("failed"));
    assert.equal(status.leds.status, `failed-${status.code}`);
    await inspect(browser, box, "failed", async (page, where) => {
      assert.equal(await page.locator("h1").textContent(), "Failed", where);
      assert.equal(await page.locator(".fault b").first().textContent(), String(status.code), where);
      assert.match(await page.locator(".fault").textContent(), /Mailserver not running.*What to do:/s, where);
      assert.match(await light(page).textContent(), /one long flash and 1 short one/, where);
      assert.equal(await light(page).locator(".strip .lit").count(), 1 + status.code, where);
      const services = await page.locator("#services").textContent();
      assert.match(services, /mailserver\s*Failed/, where);
      assert.match(services, /<b>the disk<\/b> is on fire/, `${where}: the child's last line, as text`);
      assert.match(await page.locator(".reason").first().textContent(), /mailserver/i, where);
    });
    assert.equal((await fetch(box.url("/healthz"))).status, 503);
  });

  it("says so in German, too", async () => {
    await inspect(browser, box, "failed-de", async (page, where) => {
      assert.equal(await page.locator("h1").textContent(), "Ausfall", where);
      assert.match(await page.locator(".fault").textContent(), /Mailserver läuft nicht.*Abhilfe:/s, where);
      assert.match(await page.locator(".reason").first().textContent(), /fällt immer wieder aus und wird nur noch selten neu gestartet: wurde beendet mit exit 3/, where);
    }, { locale: "de" });
  });
});

describe("a working box", () => {
  let box;
  before(async () => {
    const settings = "[network]\ncluster = 16\nshards = [32, 64]\nbandwidth_kib_per_sec = 500";
    box = await Box.start({ mailserver: await mailserver() }, { settings });
    await box.statusWhen("ok", ({ state, leds, mailserver }) => state === "ok" && leds.status === "ok" && mailserver.peer_id);
  });
  after(() => box?.stop());

  it("says that it works, what it keeps and how to use it", async () => {
    const status = await box.statusWhen("a count", ({ archive }) => archive.envelopes !== null);
    await inspect(browser, box, "ok", async (page, where) => {
      assert.equal(await page.locator("h1").textContent(), "Working", where);
      assert.match(await light(page).textContent(), /short wink every two seconds/, where);
      assert.equal(await page.locator("#state animate").first().getAttribute("dur"), "2000ms", where);
      assert.match(await page.locator("#facts").textContent(), /0\s*Messages kept|Messages kept\s*0/, where);
      const address = await page.locator("#address").textContent();
      assert.ok(status.mailserver.multiaddrs.includes(address), `${where}: ${address}`);
      assert.ok(address.endsWith(`/p2p/${status.mailserver.peer_id}`), where);
      assert.equal(await page.locator(".qr").count(), 1, where);
      assert.match(await page.locator("#system").textContent(), /Bandwidth limit\s*500\sKiB per second each way/, where);
      assert.match(await page.locator("#day").textContent(), /No message has arrived yet/, where);
      assert.match(await page.locator("#services").textContent(), /mailserver\s*Running/, where);
      assert.equal(await page.locator(".fault").count(), 0, where);
    });
    assert.equal(await (await fetch(box.url("/healthz"))).text(), "ok\n");
  });

  it("is in German for a browser that asks for it", async () => {
    const locale = { locale: "de-AT" };
    await inspect(browser, box, "ok-de", async (page, where) => {
      assert.equal(await page.locator("html").getAttribute("lang"), "de", where);
      assert.equal(await page.locator("h1").textContent(), "Läuft", where);
      assert.match(await light(page).textContent(), /Die Box arbeitet normal/, where);
      assert.match(await page.locator("#system").textContent(), /Bandbreitenlimit\s*500\sKiB pro Sekunde je Richtung/, where);
      assert.match(await page.locator("#services").textContent(), /mailserver\s*Läuft/, where);
    }, locale);
    // The script fetches the page in the same language.
    const page = await visit(browser, box, locale);
    await page.waitForResponse((answer) => answer.url() === box.url("/") && answer.request().resourceType() === "fetch");
    assert.equal(await page.locator("h1").textContent(), "Läuft");
    await page.getByRole("button", { name: "Zugriff anfordern" }).waitFor();
    await page.context().close();
  });

  it("can be read without a script", async () => {
    const page = await visit(browser, box, { javaScriptEnabled: false });
    assert.equal(await page.locator("h1").textContent(), "Working");
    assert.equal(await page.locator("#address").isVisible(), true);
    assert.equal(await page.locator("button[data-copy]").isVisible(), false, "no button that does nothing");
    await page.context().close();
  });

  it("stands still for who asked for less motion", async () => {
    const page = await visit(browser, box, { reducedMotion: "reduce" });
    assert.equal(await page.locator("#state .moving").first().isVisible(), false);
    assert.equal(await page.locator("#state .still").first().isVisible(), true);
    await page.context().close();
  });

  it("shows a restart without being asked again, and comes back", async () => {
    const page = await visit(browser, box);
    const { pid } = (await box.status()).services[0];
    process.kill(pid, "SIGKILL");
    await page.locator("#services", { hasText: "restarted once" }).waitFor();
    await page.locator("h1", { hasText: "Working" }).waitFor();
    assert.match(await page.locator("#services").textContent(), /last exit: SIGKILL/);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  it("copies the address", async () => {
    const page = await visit(browser, box);
    await page.locator("button[data-copy]").click();
    assert.equal(await page.locator("button[data-copy]").textContent(), "Copied");
    await page.context().close();
  });
});

describe("a box with something broken beside the mailserver", () => {
  let box;
  before(async () => {
    box = await Box.start({ mailserver: await mailserver(), extra: crashing(false), broken: "colour = 1\n" });
    await box.statusWhen("degraded", ({ state, leds }) => state === "degraded" && leds.status?.startsWith("degraded"));
  });
  after(() => box?.stop());

  it("needs attention and says for what", async () => {
    const status = await box.statusWhen("the crash", ({ services }) => services.some(({ state }) => state === "failed"));
    await inspect(browser, box, "degraded", async (page, where) => {
      assert.equal(await page.locator("h1").textContent(), "Attention", where);
      assert.match(await light(page).textContent(), /Lit for a while/, where);
      assert.equal(await page.locator(".fault b").first().textContent(), String(status.code), where);
      const services = await page.locator("#services").textContent();
      assert.match(services, /broken\s*Off.*colour/s, `${where}: the mistake in its file`);
      assert.match(services, /extra\s*Failed/, where);
      assert.match(services, /mailserver\s*Running/, where);
    });
    assert.equal((await fetch(box.url("/healthz"))).status, 200, "the mailserver is working");
  });
});

describe("a box on which a new version is being installed", () => {
  it("says not to unplug it", async () => {
    const root = { "run/pillarbox/updating": "77\n", "proc/77/stat": "" };
    const box = await Box.start({ mailserver: await mailserver() }, { root });
    try {
      await box.statusWhen("updating", ({ state, activity, leds }) =>
        state === "ok" && activity === "updating" && leds.status === "updating");
      await inspect(browser, box, "updating", async (page, where) => {
        assert.equal(await page.locator("h1").textContent(), "Working", where);
        assert.match(await light(page).textContent(), /Do not unplug the box/, where);
      });
    } finally {
      await box.stop();
    }
  });
});

describe("the page of a daemon that ends", () => {
  it("says that the box is not responding", async () => {
    const box = await Box.start({ mailserver: await neverHealthy() });
    const page = await visit(browser, box);
    assert.equal(await box.stop(), 0);
    await page.locator("#offline").waitFor({ state: "visible" });
    await page.context().close();
  });
});
