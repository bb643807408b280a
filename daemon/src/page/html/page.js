// Keeps the page fresh: fetches it again and swaps the parts that changed. The page is whole without it.
(() => {
  "use strict";
  const EVERY_MS = 3000;
  const offline = document.getElementById("offline");
  const announce = document.getElementById("announce");
  let word = document.getElementById("word").textContent;

  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch("/", { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of fresh.querySelectorAll("[data-live]")) {
        const old = document.getElementById(part.id);
        if (!old || old.innerHTML === part.innerHTML) continue;
        const open = new Set([...old.querySelectorAll("details[open]")].map((details) => details.id));
        if (old.contains(document.activeElement) && document.activeElement !== old) continue;
        old.className = part.className;
        old.replaceChildren(...[...part.childNodes].map((node) => document.adoptNode(node)));
        for (const details of old.querySelectorAll("details")) details.open = open.has(details.id);
        arm(old);
      }
      document.title = fresh.title;
      const now = document.getElementById("word").textContent;
      if (now !== word) announce.textContent = word = now;
      offline.hidden = true;
    } catch {
      offline.hidden = false;
    }
  }

  function arm(root) {
    for (const button of root.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
      button.onclick = () => {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        const selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        // Works without HTTPS, where the clipboard interface does not.
        if (document.execCommand("copy")) button.textContent = button.dataset.done;
        button.blur();
      };
    }
  }

  arm(document);
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
})();
