// Each action of the page, done by a browser that has access, and refused to every other one.

import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, readdir, rm, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Box, mailserver, until } from "./box.mjs";
import { PHONE, launch, getAccess, visit } from "./browser.mjs";

const PASSPHRASE = "correct horse battery staple";
const FORM = "application/x-www-form-urlencoded";
const ACTIONS = [
  ["/act", "what=restart&service=mailserver"],
  ["/act", "what=reboot"],
  ["/act", "what=power-off"],
  ["/act", "what=factory-reset&sure=yes"],
  ["/diagnostics", ""],
  ["/backup", `passphrase=${PASSPHRASE}&again=${PASSPHRASE}`],
  ["/restore", `passphrase=${PASSPHRASE}&sure=yes`],
];

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

describe("the actions of a box", () => {
  let box;
  before(async () => {
    box = await Box.start({ mailserver: await mailserver() });
    await box.statusWhen("ok", ({ state }) => state === "ok");
  });
  after(() => box?.stop());

  it("are refused while locked, also to requests that look like the page's own", async () => {
    const { services } = await box.status();
    for (const [path, body] of ACTIONS) {
      const kinds = path === "/restore" ? [FORM, "multipart/form-data; boundary=x"] : [FORM];
      for (const kind of kinds) {
        const answer = await fetch(box.url(path), {
          method: "POST",
          headers: { origin: box.url("").replace(/\/$/, ""), "content-type": kind, cookie: "pillarbox=0123" },
          body: `${body}&csrf=0123`,
        });
        assert.equal(answer.status, 403, `${path} ${body}`);
      }
    }
    assert.equal((await box.status()).services[0].pid, services[0].pid);
  });

  it("are refused to another site, even in the browser that has access", async () => {
    const page = await visit(browser, box);
    await getAccess(page, box);
    const csrf = await page.locator("input[name=csrf]").first().inputValue();
    const forms = ACTIONS.map(([path, body], index) => {
      const inputs = [...new URLSearchParams(`${body}&csrf=${csrf}`)].map(
        ([name, value]) => `<input type="hidden" name="${name}" value="${value}">`,
      );
      const kind = path === "/restore" ? "multipart/form-data" : FORM;
      return `<form id="f${index}" method="post" enctype="${kind}" action="${box.url(path)}">${inputs.join("")}<button>go</button></form>`;
    });
    const site = createServer((_, answer) => {
      answer.setHeader("content-type", "text/html");
      answer.end(forms.join(""));
    });
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    const { pid } = (await box.status()).services[0];
    const evil = await page.context().newPage();
    for (const [index, [path, body]] of ACTIONS.entries()) {
      await evil.goto(`http://localhost:${site.address().port}/`);
      const [answer] = await Promise.all([evil.waitForResponse(box.url(path)), evil.click(`#f${index} button`)]);
      assert.equal(answer.status(), 403, `${path} ${body}`);
    }
    assert.equal((await box.status()).services[0].pid, pid);
    await page.context().close();
    await new Promise((resolve) => site.close(resolve));
  });
});

describe("backup and restore", () => {
  let box, peer, kept;
  before(async () => {
    box = await Box.start({ mailserver: await mailserver() });
    peer = await peerWhen(() => true);
  });
  after(() => box?.stop());

  const nodekey = () => join(box.dir, "state/mailserver/nodekey");
  const peerWhen = async (wanted) =>
    (await box.statusWhen("the peer ID", ({ state, mailserver }) => state === "ok" && mailserver.peer_id && wanted(mailserver.peer_id)))
      .mailserver.peer_id;
  const fillIn = async (page, button, { passphrase, again, file, sure }) => {
    const form = page.locator("form", { has: page.getByRole("button", { name: button }) });
    await form.locator("input[name=passphrase]").fill(passphrase);
    if (again !== undefined) await form.locator("input[name=again]").fill(again);
    if (file) await form.locator("input[type=file]").setInputFiles(file);
    if (sure) await form.locator("input[name=sure]").check();
    await form.getByRole("button", { name: button }).click();
  };

  it("is downloaded, encrypted, and brings a lost identity back", async () => {
    const page = await visit(browser, box);
    await getAccess(page, box);
    await page.setViewportSize(PHONE);
    const overhang = await page.evaluate(() => {
      const section = document.getElementById("change");
      return section.scrollWidth - section.clientWidth;
    });
    assert.ok(overhang <= 0, `${overhang} px too wide for a phone`);

    const [report] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download a report" }).click(),
    ]);
    assert.equal(report.suggestedFilename(), "pillarbox-diagnostics.txt");
    assert.match(await readFile(await report.path(), "utf8"), /^Report of a Pillarbox/);

    // Two that differ are said, and a short one is not even sent.
    await fillIn(page, "Download a backup", { passphrase: PASSPHRASE, again: `${PASSPHRASE}x` });
    await page.getByText("The two passphrases differ").waitFor();
    await page.goto(box.url("/"));
    await fillIn(page, "Download a backup", { passphrase: "short", again: "short" });
    assert.equal(page.url(), box.url("/"));

    const [download] = await Promise.all([
      page.waitForEvent("download"),
      fillIn(page, "Download a backup", { passphrase: PASSPHRASE, again: PASSPHRASE }),
    ]);
    assert.equal(download.suggestedFilename(), "pillarbox-backup.age");
    kept = await download.path();
    const bytes = await readFile(kept);
    assert.ok(bytes.subarray(0, 100).toString("latin1").startsWith("age-encryption.org/v1\n-> scrypt "));
    assert.ok(!bytes.includes((await readFile(nodekey())).toString().trim()), "no key in the open");

    // The identity is lost: the mailserver makes itself another.
    await unlink(nodekey());
    process.kill((await box.status()).services[0].pid, "SIGKILL");
    await peerWhen((now) => now !== peer);

    await fillIn(page, "Restore the backup", { passphrase: "not the passphrase", file: kept, sure: true });
    await page.getByText("Not done: the passphrase is wrong").waitFor();
    await page.goto(box.url("/"));
    const noBackup = join(box.dir, "noise");
    await writeFile(noBackup, "PK\u0003\u0004");
    await fillIn(page, "Restore the backup", { passphrase: PASSPHRASE, file: noBackup, sure: true });
    await page.getByText("Not done: this is not a Pillarbox backup").waitFor();
    await page.goto(box.url("/"));
    // Without the tick the browser sends nothing.
    await fillIn(page, "Restore the backup", { passphrase: PASSPHRASE, file: kept });
    assert.equal(page.url(), box.url("/"));

    await fillIn(page, "Restore the backup", { passphrase: PASSPHRASE, file: kept, sure: true });
    await page.getByText("The backup is being restored").waitFor();
    assert.equal(await peerWhen((now) => now === peer), peer);
    const aside = (await readdir(join(box.dir, "state/mailserver"))).filter((name) => name.startsWith("nodekey.set-aside-"));
    assert.equal(aside.length, 1, "the lost and found identity");
    // Access does not outlive the restart.
    await page.goto(box.url("/"));
    await page.getByRole("button", { name: "Request access" }).waitFor();
    await page.context().close();
  });

  it("survives a factory reset, which keeps the identity and sets the rest aside", async () => {
    const page = await visit(browser, box);
    await getAccess(page, box);
    const form = page.locator("form", { has: page.getByRole("button", { name: "Reset to factory settings" }) });
    await form.locator("input[name=sure]").check();
    await form.getByRole("button").click();
    await page.getByText("The box moves its current data aside and starts over").waitFor();
    await until("what was set aside", async () =>
      (await readdir(join(box.dir, "state"))).some((name) => name.startsWith("archive.set-aside-")));
    assert.equal(await peerWhen((now) => now === peer), peer);
    await page.context().close();
  });
});

describe("a machine that the page may power off", () => {
  for (const [button, verb, said] of [
    ["Restart the box", "reboot", "The box is restarting"],
    ["Power off the box", "poweroff", "The box is shutting down"],
  ]) {
    it(`is asked to ${verb}`, async () => {
      const bin = await mkdtemp(join(tmpdir(), "pillarbox-bin-"));
      await writeFile(join(bin, "systemctl"), `#!/bin/sh\necho "$@" >> ${bin}/asked\n`);
      await chmod(join(bin, "systemctl"), 0o755);
      const box = await Box.start({ mailserver: await mailserver() }, { settings: 'power = "systemctl"', path: bin });
      try {
        await box.statusWhen("ok", ({ state }) => state === "ok");
        const page = await visit(browser, box);
        await getAccess(page, box);
        await page.getByRole("button", { name: button }).click();
        await page.getByText(said).waitFor();
        assert.equal(await box.ended, 0);
        assert.equal(await readFile(join(bin, "asked"), "utf8"), `${verb}\n`);
        await page.context().close();
      } finally {
        await box.stop();
        await rm(bin, { recursive: true, force: true });
      }
    });
  }
});
