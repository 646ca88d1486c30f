// Measures how long a trainer is at work on this page: while it is visible, they do something, and they haven't paused.
// It records times and the project, nothing else; they see it, and can pause it. docs/how-to/timer.md describes it.
(() => {
  "use strict";
  // Once in a page, however often it is loaded.
  const once = Symbol.for("opentrain.timer");
  if (window[once]) return;
  window[once] = true;

  const script = document.currentScript;
  const url = script.dataset.url;
  // Without one, the site says to which project a path belongs: pages that change without being loaded.
  const project = script.dataset.project;

  const TICK = 1000;
  // The clock has gone on by more than this since the last tick: the computer slept, or the browser was stopped.
  const MAX_GAP = 10_000;
  const CHUNK = 60_000;
  const RETRY = 10_000;
  const DAY = 86_400_000;
  // An interval that another tab has not closed for so long was left behind by one that ended.
  const LEFT_BEHIND = 120_000;
  const MOST_AT_ONCE = 50;
  const MOST_KEPT = 800;
  const PREFIX = "opentrain.timer.";
  const PAUSED = `${PREFIX}paused`;
  const COUNTED = `${PREFIX}counted`;

  // Of the project of this page; null where there is nothing to measure.
  let config = null;
  // The last one: what was measured is sent also from a page without a project.
  let sender = null;
  let path = null;
  let retryAt = 0;
  let lastTick = Date.now();
  let lastInput = lastTick;
  // { key, start, end }
  let interval = null;
  let sending = false;
  let failed = false;
  let view = null;

  // Storage may be full or forbidden: then what can't be sent at once is lost.
  const memory = new Map();
  const storage = {
    get: (area, name) => {
      try {
        return area.getItem(name);
      } catch {
        return memory.get(name) ?? null;
      }
    },
    set: (area, name, value) => {
      try {
        area.setItem(name, value);
      } catch {
        memory.set(name, value);
      }
    },
    remove: (name) => {
      memory.delete(name);
      try {
        localStorage.removeItem(name);
      } catch {}
    },
    names: () => {
      try {
        return [...new Set([...Object.keys(localStorage), ...memory.keys()])];
      } catch {
        return [...memory.keys()];
      }
    },
  };
  const isPaused = () => storage.get(window.localStorage, PAUSED) === "yes";

  let counted = Number(storage.get(window.sessionStorage, COUNTED)) || 0;

  // What was measured ----------------------------------------------------------------------------

  function itemsOf(owner) {
    const now = Date.now();
    const items = [];
    for (const name of storage.names()) {
      if (!name.startsWith(`${PREFIX}item.`)) continue;
      let item = null;
      try {
        item = JSON.parse(storage.get(window.localStorage, name));
      } catch {}
      if (!item || !(now - item.end < DAY)) storage.remove(name);
      else if (item.owner === owner) items.push({ ...item, name });
    }
    items.sort((a, b) => a.end - b.end);
    for (const item of items.splice(0, items.length - MOST_KEPT)) storage.remove(item.name);
    return items;
  }

  function keep(isOpen) {
    const { ticket, owner } = config;
    const item = { ...interval, owner, ticket, project: config.project, isOpen };
    storage.set(window.localStorage, `${PREFIX}item.${interval.key}`, JSON.stringify(item));
  }

  function close() {
    if (interval && interval.end - interval.start >= TICK / 2) keep(false);
    else if (interval) storage.remove(`${PREFIX}item.${interval.key}`);
    interval = null;
    storage.set(window.sessionStorage, COUNTED, String(counted));
  }

  const newKey = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  function isActive(now) {
    const isIdle = now - lastInput >= config?.idleSeconds * 1000;
    return config !== null && document.visibilityState === "visible" && !isIdle && !isPaused();
  }

  function tick() {
    const now = Date.now();
    if (now < lastTick || now - lastTick > MAX_GAP) close();
    lastTick = now;
    if (project === undefined && location.pathname !== path) {
      close();
      send();
      config = null;
      load();
    } else if (path === null && now >= retryAt) load();
    if (isActive(now)) {
      if (interval) {
        counted += now - interval.end;
        interval.end = now;
        keep(true);
        // At whole minutes: the intervals of several tabs begin and end together.
        if (Math.floor(interval.start / CHUNK) !== Math.floor(now / CHUNK)) {
          close();
          send();
        }
      }
      interval ??= { key: newKey(), start: now, end: now };
    } else if (interval) {
      close();
      send();
    }
    show();
  }

  // The site -------------------------------------------------------------------------------------

  async function load() {
    const here = location.pathname;
    path = here;
    const query = new URLSearchParams(project === undefined ? { path: here } : { project });
    try {
      const response = await fetch(`${url}?${query}`, { credentials: "same-origin", cache: "no-store" });
      const answer = response.ok ? await response.json() : { project: null };
      if (path !== here) return;
      config = answer.project === null ? null : answer;
      sender = config ?? sender;
      send();
    } catch {
      path = null;
      retryAt = Date.now() + RETRY;
    }
    show();
  }

  // Once for each ticket: of several pages, some of which were closed while the browser was offline.
  async function send(isLast = false) {
    if (!sender || (sending && !isLast)) return;
    const now = Date.now();
    const items = itemsOf(sender.owner).filter(
      (item) => item.key !== interval?.key && !(item.isOpen && now - item.end < LEFT_BEHIND),
    );
    sending = true;
    failed = false;
    try {
      while (items.length > 0 && !failed) {
        const { ticket } = items[0];
        const batch = items.filter((item) => item.ticket === ticket).slice(0, MOST_AT_ONCE);
        for (const item of batch) items.splice(items.indexOf(item), 1);
        if (await post(batch)) for (const item of batch) storage.remove(item.name);
        else failed = true;
      }
    } finally {
      sending = false;
    }
    show();
  }

  // Whether the site has answered for good: it has them, or doesn't want them.
  async function post(batch) {
    const now = Date.now();
    const intervals = batch.map(({ key, start, end }) => ({
      key,
      // Ages, not times: this clock may be wrong.
      ago: Math.max(0, (now - end) / 1000),
      seconds: (end - start) / 1000,
    }));
    const body = JSON.stringify({ project: batch[0].project, ticket: batch[0].ticket, intervals });
    const headers = { "Content-Type": "application/json", [sender.csrfHeader]: sender.csrfToken };
    try {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body,
        credentials: "same-origin",
        referrerPolicy: "same-origin",
        // Goes on while the page is left.
        keepalive: true,
      });
      // A CSRF token that isn't right any more: the next page has a new one.
      if (response.status === 401 || response.status === 403) path = null;
      return response.ok || [400, 409, 413, 415].includes(response.status);
    } catch {
      return false;
    }
  }

  // What the trainer sees ------------------------------------------------------------------------

  function build() {
    const host = document.createElement("opentrain-timer");
    const root = host.attachShadow({ mode: "open" });
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: config.style, nonce: script.nonce });
    const box = Object.assign(document.createElement("div"), { className: "timer" });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", config.texts.label);
    const dot = Object.assign(document.createElement("span"), { className: "dot" });
    dot.setAttribute("aria-hidden", "true");
    // Announced when it changes, unlike the time, which always does.
    const state = Object.assign(document.createElement("span"), { className: "state" });
    state.setAttribute("role", "status");
    const time = Object.assign(document.createElement("span"), { className: "time" });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.addEventListener("click", () => {
      storage.set(window.localStorage, PAUSED, isPaused() ? "no" : "yes");
      tick();
    });
    box.append(dot, state, time, button);
    root.append(style, box);
    document.body.append(host);
    return { host, box, state, time, button };
  }

  function set(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function show() {
    if (!config) {
      view?.host.remove();
      view = null;
      return;
    }
    view ??= build();
    // A page that makes itself anew has thrown it away.
    if (!view.host.isConnected) document.body.append(view.host);
    const running = failed ? "kept" : "running";
    const name = isPaused() ? "paused" : interval ? running : "away";
    view.box.dataset.state = name;
    set(view.state, config.texts[name]);
    const minutes = Math.floor(counted / 60_000);
    set(view.time, `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`);
    set(view.button, isPaused() ? config.texts.resume : config.texts.pause);
  }

  // ----------------------------------------------------------------------------------------------

  function noteInput(event) {
    if (!event.isTrusted) return;
    const wasAway = !interval;
    // After a gap the last input is older than the tick that finds it.
    if (wasAway || Date.now() - lastTick > MAX_GAP) tick();
    lastInput = Date.now();
    if (wasAway) tick();
  }

  for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "scroll", "touchstart", "input"]) {
    window.addEventListener(name, noteInput, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") lastInput = Date.now();
    tick();
  });
  window.addEventListener("pagehide", () => {
    tick();
    close();
    send(true);
  });
  window.addEventListener("online", () => send());
  window.addEventListener("storage", (event) => {
    if (event.key === PAUSED) tick();
  });
  setInterval(tick, TICK);
  load();
})();
