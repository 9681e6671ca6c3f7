// Keeps an open page up to date: asks for its live part again, and replaces what differs. Without this script the page
// is as good, and older.
"use strict";
(() => {
  const place = document.querySelector("[data-every]");
  const sign = document.getElementById("live");
  if (!place || !sign || !window.fetch) return;
  const every = Number(place.dataset.every) * 1000;
  if (!every) return;
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("part", "live");
  let etag = "", timer = 0, asking = false, answered = Date.now(), fails = 0;

  const clock = (at) => new Date(at).toISOString().slice(11, 19);
  const say = (text, late) => {
    sign.hidden = false;
    sign.classList.toggle("is-late", late);
    if (sign.textContent !== text) sign.textContent = text;
  };

  // Of two elements with the same id, the new one takes the place of the old one if it says something else. What has
  // the focus keeps it: it is found again by its id or its address.
  const path = (element) =>
    element.id ? `#${CSS.escape(element.id)}` : element.getAttribute("href") ? `[href="${CSS.escape(element.getAttribute("href"))}"]` : "";
  const merge = (fresh) => {
    const names = (from) => [...from.querySelectorAll("[data-part]")].map((part) => part.dataset.part).join();
    if (names(place) !== names(fresh)) {
      if (place.contains(document.activeElement)) return false;
      place.replaceChildren(...document.importNode(fresh.body, true).childNodes);
      return true;
    }
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = place.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!old) return false;  // a part that is new: the whole page again
      if (old.outerHTML === part.outerHTML) continue;
      const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      if (focused && /^(INPUT|SELECT|TEXTAREA)$/.test(focused.tagName)) continue;
      const again = focused && path(focused);
      const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const now = document.importNode(part, true);
      for (const one of now.querySelectorAll("details[id]")) one.open = one.open || opened.includes(one.id);
      if (part.dataset.said !== undefined && old.dataset.said === undefined) now.removeAttribute("data-said");
      // A region that is read aloud stays; what it says changes.
      if (old.hasAttribute("aria-live")) { old.replaceChildren(...now.childNodes); old.className = now.className; }
      else old.replaceWith(now);
      const here = place.querySelector(`[data-part="${part.dataset.part}"]`);
      here.querySelectorAll(".scroll").forEach((one, number) => { one.scrollLeft = scrolled[number] || 0; });
      if (again) { const next = here.querySelector(again); if (next) next.focus({ preventScroll: true }); }
    }
    return true;
  };

  const ask = async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(address, {
        headers: etag ? { "If-None-Match": etag } : {}, credentials: "same-origin", cache: "no-store", redirect: "error",
        signal: AbortSignal.timeout(Math.max(every, 10000)),
      });
      if (answer.status === 401) { say("Signed out: reload the page to sign in again.", true); clearTimeout(timer); timer = -1; return; }
      if (answer.status === 200) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!merge(fresh)) { location.reload(); return; }
        etag = answer.headers.get("ETag") || "";
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      answered = Date.now();
      fails = 0;
      say(`Live · ${clock(answered)} UTC`, false);
    } catch {
      fails += 1;
      if (fails > 1) say(`No answer since ${clock(answered)} UTC: what is shown is that old.`, true);
    } finally {
      asking = false;
    }
  };
  const turn = async () => {
    await ask();
    // Not all pages at the same moment, and the less often the longer nobody answers.
    if (timer !== -1) timer = setTimeout(turn, every * Math.min(4, 1 + fails / 2) * (0.9 + Math.random() / 5));
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && timer !== -1) { clearTimeout(timer); turn(); } });
  say(`Live · ${clock(answered)} UTC`, false);
  timer = setTimeout(turn, every);
})();
