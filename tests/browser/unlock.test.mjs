// Access by the button, in real browsers: what the one that asked may do, and what everybody else may not.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, before, describe, it } from "node:test";
import { Box, mailserver } from "./box.mjs";
import { launch, look, visit } from "./browser.mjs";

describe("changing something", () => {
  let browser, box;
  before(async () => {
    browser = await launch(["--host-resolver-rules=MAP evil.example 127.0.0.1"]);
    box = await Box.start({ mailserver: await mailserver() });
    await box.statusWhen("ok", ({ state }) => state === "ok");
  });
  after(async () => {
    await box?.stop();
    await browser?.close();
  });

  it("needs the button, is for one browser, and ends", async () => {
    const mine = await visit(browser, box);
    const other = await visit(browser, box);
    assert.equal(await mine.locator("#change form").count(), 1, "only to ask");
    await mine.getByRole("button", { name: "Request access" }).click();
    const { asking } = await box.statusWhen("the light's question", ({ leds, asking }) =>
      asking[0]?.turn === "ready" && leds.status === `asking-${asking[0].number}`);
    const { number } = asking[0];
    await mine.getByText(`Your number: ${number}`).waitFor();
    await mine.getByText("Press the button on the box now if the light blinks this number").waitFor();
    // The other one shares the address, and one question is enough.
    await other.getByText("Another browser at your address has already requested access").waitFor();
    assert.equal(await other.getByText("Your number").count(), 0);
    for (const page of [mine, other]) await page.getByText(`${number}: Chrome on Linux at 127.0.0.1`).waitFor();
    await look(mine, "asking");

    await box.press();
    await mine.getByRole("button", { name: "Restart mailserver" }).waitFor();
    const status = await box.statusWhen("the light's answer", ({ leds }) => leds.status === "unlocked");
    assert.ok(status.unlocked_until > Date.now() / 1000);
    await other.getByText("Another browser has access right now").waitFor();
    assert.equal(await other.locator("#change form").count(), 0);
    await look(mine, "unlocked");
    await look(other, "taken");

    const { pid, restarts } = status.services[0];
    await mine.getByRole("button", { name: "Restart mailserver" }).click();
    await mine.getByText("The service is restarting.").waitFor();
    const later = await box.statusWhen("the restart", ({ services }) => services[0].state === "active" && services[0].pid !== pid);
    assert.ok(later.services[0].restarts > restarts);

    // Restart and power-off are disabled on this machine.
    for (const name of ["Restart the box", "Power off the box"]) {
      assert.equal(await mine.getByRole("button", { name }).count(), 0, name);
    }

    // A reset asks back first: without the tick the browser sends nothing.
    await mine.getByRole("button", { name: "Reset to factory settings" }).click();
    await mine.waitForTimeout(500);
    assert.equal((await box.status()).uptime_secs >= later.uptime_secs, true);
    assert.deepEqual(mine.complaints, []);
    assert.deepEqual(other.complaints, []);
    await mine.context().close();
    await other.context().close();
  });

  it("is refused to a page of another site", async () => {
    const site = createServer((_, answer) => {
      answer.setHeader("content-type", "text/html");
      answer.end(`<form method="post" action="${box.url("/ask")}"><button>go</button></form>`);
    });
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    const [answer] = await Promise.all([page.waitForResponse(box.url("/ask")), page.click("button")]);
    assert.equal(answer.status(), 403);
    await context.close();
    await new Promise((resolve) => site.close(resolve));
  });

  it("is refused under a name that is not the box's (DNS rebinding)", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    for (const path of ["/", "/status.json", "/metrics", "/healthz"]) {
      const answer = await page.goto(`http://evil.example:${box.port}${path}`);
      assert.equal(answer.status(), 421, path);
    }
    await context.close();
  });

  it("cannot be framed or scripted", async () => {
    const answer = await fetch(box.url("/"));
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
  });
});

/** Requests access from another address of the loopback network; answers with the status. */
function askFrom(localAddress, box) {
  return new Promise((resolve, reject) => {
    const asked = request(box.url("/ask"), {
      method: "POST",
      localAddress,
      headers: { origin: box.url("").replace(/\/$/, ""), "content-type": "application/x-www-form-urlencoded" },
    });
    asked.once("error", reject).once("response", (answer) => answer.resume().once("end", () => resolve(answer.statusCode)));
    asked.end();
  });
}

describe("two hosts that ask at once", () => {
  it("take turns, and a press gives access to the one whose number is shown", async () => {
    const browser = await launch();
    const box = await Box.start({ mailserver: await mailserver() });
    try {
      await box.statusWhen("ok", ({ state }) => state === "ok");
      assert.equal(await askFrom("127.0.0.66", box), 303);
      const page = await visit(browser, box);
      await page.getByRole("button", { name: "Request access" }).click();
      await page.getByText("One browser is before this one").waitFor();
      const { asking } = await box.status();
      assert.deepEqual(asking.map(({ address }) => address), ["127.0.0.66", "127.0.0.1"]);
      await page.getByText(`Your number: ${asking[1].number}`).waitFor();
      await page.getByText(`${asking[0].number}: an unknown program at 127.0.0.66`).waitFor();
      await look(page, "waiting");
      // Nobody presses: the turn ends, and the other one's begins.
      await box.statusWhen("the end of the other's turn", ({ asking: [first] }) => first?.address === "127.0.0.1");
      await box.statusWhen("this browser's turn", ({ asking: [first] }) => first?.turn === "ready");
      assert.equal(await askFrom("127.0.0.66", box), 429, "its address is quiet");
      await page.getByText("Press the button on the box now").waitFor();
      await box.press();
      await page.getByText("This browser can make changes for five minutes").waitFor();
      assert.deepEqual(page.complaints, []);
    } finally {
      await box.stop();
      await browser.close();
    }
  });
});
