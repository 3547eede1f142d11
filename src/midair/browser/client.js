// What a page under `midair dev` runs: it listens to midair, refreshes the page when new code serves, swaps style sheets in place,
// and shows why a save is not live. Plain JavaScript, no build. Whatever is said of an error is text: textContent, never markup.
//
// A page is reloaded when `hello` or `compiled` names another generation than the one it came from, or when a file that it has loaded
// has changed; a reload that changes nothing is tried three times and then left to the person, so it never goes on for ever.
(() => {
  "use strict";
  if (window.__midair) return; // Once a page, however often the script got into it.

  const script = document.currentScript;
  const source = new URL(script ? script.src : "", location.href);
  const token = source.searchParams.get("t") || "";
  if (!token) return;
  try {
    if (window.top !== window && window.top.__midair) return; // A frame is loaded anew with the page around it.
  } catch {} // That page is another's: this one listens by itself.
  const own = Number(source.searchParams.get("g") || 0); // The generation that this page came from.
  const base = source.href.replace(/client\.js.*$/, "");
  const isApart = source.origin !== location.origin; // Another program answers this page; the hub has a port of its own.
  const KEPT = "midair:kept";
  const RELOADS = "midair:reloads";
  const FIRST_WAIT_MS = 250;
  const LONGEST_WAIT_MS = 4000;
  const BUILDING_AFTER_MS = 400;

  const state = { tries: 0, timer: 0, soon: 0, socket: null, status: "", canOpen: false, shown: "", dismissed: "" };
  window.__midair = { generation: own, state };

  // --- listening --------------------------------------------------------------------------------------------------------------

  function connect() {
    clearTimeout(state.timer);
    const url = base.replace(/^http/, "ws") + "live?t=" + encodeURIComponent(token);
    const socket = (state.socket = new WebSocket(url));
    socket.onmessage = (event) => {
      state.tries = 0;
      badge("");
      hear(JSON.parse(event.data));
    };
    socket.onclose = () => {
      if (state.socket === socket) away();
    };
  }

  // Nobody is there: ask again, less and less often; at once when the person comes back to the page.
  function away() {
    state.socket = null;
    state.tries += 1;
    if (state.tries > 3) badge("midair does not answer; waiting for it");
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 1.6 ** (state.tries - 1));
    state.timer = setTimeout(again, wait * (0.75 + Math.random() / 2));
  }

  async function again() {
    if (state.socket) return;
    if (await isForgotten()) reload("start");
    else connect();
  }

  // Whether midair is back, as another start of it that does not know this page.
  async function isForgotten() {
    try {
      if (!isApart) {
        const answer = await fetch(base + "client.js?t=" + encodeURIComponent(token), { method: "HEAD", cache: "no-store" });
        // Whoever answers instead of midair is not down, either: a program that has taken its place on this port.
        const isScript = answer.ok && /javascript/.test(answer.headers.get("content-type") || "");
        return !isScript && answer.status < 500;
      }
      // The hub of a program's pages has a port of its own, which is another one after a restart: the page itself tells.
      const page = await (await fetch(location.href, { cache: "no-store" })).text();
      const found = page.match(/["']([^"']*\/__midair\/client\.js\?[^"']*)["']/);
      return found !== null && new URL(found[1].replace(/&amp;/g, "&"), location.href).searchParams.get("t") !== token;
    } catch {
      return false;
    }
  }

  addEventListener("visibilitychange", () => {
    if (!document.hidden && !state.socket) again();
  });
  addEventListener("online", () => {
    if (!state.socket) again();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted && !state.socket) connect();
  });
  addEventListener("pagehide", () => {
    clearTimeout(state.timer);
    const socket = state.socket;
    state.socket = null;
    if (socket) socket.close();
  });

  function hear(message) {
    clearTimeout(state.soon);
    switch (message.type) {
      case "hello":
        state.status = message.status;
        if (state.canOpen !== (message.can_open === true)) {
          state.canOpen = message.can_open === true;
          const again = state.shown;
          hide();
          if (again) show(JSON.parse(again));
        }
        if (isNewer(message.generation)) reload(message.generation);
        else if (message.error) show(message.error);
        else settled();
        // Most saves are served before anybody could read that.
        if (message.status === "building") state.soon = setTimeout(badge, BUILDING_AFTER_MS, "building");
        break;
      case "compiled":
        if (message.reload && message.generation && message.generation !== own) reload(message.generation);
        else settled();
        break;
      case "error":
        show(message.error);
        break;
      case "asset":
        changed(message.paths);
        break;
    }
  }

  // 0 is the stand-in: as long as nothing better serves, the page that is here is worth more. A program accepts before midair knows
  // that it is ready, so its page may be ahead of what its hub says.
  const isNewer = (generation) => generation !== 0 && (isApart ? generation > own : generation !== own);

  function settled() {
    badge("");
    if (!embedded()) hide();
  }

  // --- loading the page anew ----------------------------------------------------------------------------------------------------

  function reload(target) {
    let before = null;
    try {
      before = JSON.parse(sessionStorage.getItem(RELOADS));
    } catch {}
    const now = Date.now();
    const same = before && before.target === target && before.path === location.pathname && now - before.at < 15000;
    const count = same ? before.count + 1 : 1;
    if (count > 3) {
      badge("a newer version serves; click to load it", () => location.reload());
      return;
    }
    try {
      sessionStorage.setItem(RELOADS, JSON.stringify({ target, path: location.pathname, at: now, count }));
    } catch {}
    // The first at once. A page that came back the same may have been answered by the old version's last connections.
    setTimeout(loadAnew, count === 1 ? 0 : count * 400);
  }

  // Never into nothing: the browser's own error page has no script that would come back.
  async function loadAnew() {
    const asked = isApart ? location.href : base + "client.js?t=" + encodeURIComponent(token);
    try {
      await fetch(asked, { method: "HEAD", cache: "no-store" });
    } catch {
      if (state.socket) state.socket.close();
      else if (!state.timer) away();
      return;
    }
    keep();
    location.reload();
  }

  const FIELDS = "input, textarea, select, [contenteditable], button, a[href]";
  const isSecret = (field) => /^(password|file|hidden)$/.test(field.type || "");

  function isTouched(field) {
    if (isSecret(field)) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected) && field.selectedIndex > 0;
    return "defaultValue" in field && field.value !== field.defaultValue;
  }

  const nameOf = (field) => field.tagName + "#" + field.id + "/" + (field.getAttribute("name") || "");

  // Where the person was, and what they had typed: browsers keep most of that over a reload, and forget it where pages are not stored.
  function keep() {
    const fields = [...document.querySelectorAll(FIELDS)];
    const active = document.activeElement;
    const focus = fields.indexOf(active);
    const typed = fields
      .map((field, at) => [at, field])
      .filter(([, field]) => isTouched(field))
      .map(([at, field]) => ({ at, name: nameOf(field), value: field.value, checked: field.checked }));
    let selection = null;
    try {
      if (focus >= 0 && "selectionStart" in active) selection = [active.selectionStart, active.selectionEnd];
    } catch {}
    const kept = { path: location.pathname + location.search, x: scrollX, y: scrollY, typed, selection };
    kept.focus = focus < 0 ? null : { at: focus, name: nameOf(active) };
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {}
  }

  function restore() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(KEPT));
      sessionStorage.removeItem(KEPT);
    } catch {}
    if (!kept || kept.path !== location.pathname + location.search) return;
    const fields = [...document.querySelectorAll(FIELDS)];
    const find = (one) => (one && fields[one.at] && nameOf(fields[one.at]) === one.name ? fields[one.at] : null);
    for (const one of kept.typed) {
      const field = find(one);
      if (!field || isSecret(field)) continue;
      if (field.type === "checkbox" || field.type === "radio") field.checked = one.checked;
      else field.value = one.value;
    }
    const field = find(kept.focus);
    if (field) {
      field.focus({ preventScroll: true });
      try {
        if (kept.selection) field.setSelectionRange(...kept.selection);
      } catch {}
    }
    const back = () => scrollTo({ left: kept.x, top: kept.y, behavior: "instant" });
    back();
    if (document.readyState !== "complete") addEventListener("load", back, { once: true });
  }

  // --- files that the page has loaded -------------------------------------------------------------------------------------------

  const baseName = (path) => path.split(/[?#]/)[0].split("/").pop();

  function changed(paths) {
    for (const path of paths) {
      const name = baseName(path);
      if (/\.css$/i.test(name) && swapSheets(name)) continue;
      if (/\.(png|jpe?g|gif|svg|webp|avif|ico)$/i.test(name) && swapImages(name)) continue;
      if (/\.(html?|jinja2?|j2|mako|njk|hbs|ejs|tmpl|gohtml)$/i.test(name) || isLoaded(name)) {
        refreshFor(name);
        return;
      }
    }
  }

  function refreshFor(name) {
    const isTyping = [...document.querySelectorAll(FIELDS)].some(isTouched);
    if (isTyping) badge(name + " has changed; click to load the page anew", loadAnew);
    else loadAnew();
  }

  const fresh = (address) => {
    const url = new URL(address, location.href);
    url.searchParams.set("midair", String(Date.now()));
    return url.href;
  };

  // The new sheet comes first, then the old one goes: the page is never without style.
  function swapSheets(name) {
    const links = [...document.querySelectorAll('link[rel~="stylesheet"][href]')];
    const found = links.filter((link) => baseName(link.href) === name);
    for (const link of found) {
      const next = link.cloneNode();
      next.href = fresh(link.href);
      const done = () => link.remove();
      next.addEventListener("load", done, { once: true });
      next.addEventListener("error", done, { once: true });
      link.after(next);
    }
    return found.length > 0;
  }

  function swapImages(name) {
    const found = [...document.images].filter((image) => baseName(image.currentSrc || image.src) === name);
    for (const image of found) {
      image.removeAttribute("srcset");
      image.src = fresh(image.src);
    }
    return found.length > 0;
  }

  const isLoaded = (name) => performance.getEntriesByType("resource").some((entry) => baseName(entry.name) === name);

  // --- what is shown ------------------------------------------------------------------------------------------------------------

  const STYLE = `
    :host { all: initial; color-scheme: light dark; }
    * { box-sizing: border-box; }
    .back { position: fixed; inset: 0; z-index: 2147483647; display: flex; justify-content: center; align-items: flex-start;
      padding: 5vh 16px; overflow: auto; background: rgb(17 20 28 / 45%); backdrop-filter: blur(3px);
      --paper: #fff; --ink: #1d2330; --soft: #667085; --line: #e5e8ee; --code: #f6f7fa; --hit: #fdeceb; --red: #c4281c; --green: #176b3a;
      --greenish: #e9f6ee; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; color: var(--ink); }
    @media (prefers-color-scheme: dark) { .back { background: rgb(4 6 10 / 60%); --paper: #161a22; --ink: #e8ebf1; --soft: #98a2b3;
      --line: #2b313d; --code: #0f131a; --hit: #3a1c1d; --red: #ff7b70; --green: #6fd699; --greenish: #12261b; } }
    .card { width: min(860px, 100%); background: var(--paper); border: 1px solid var(--line); border-top: 4px solid var(--red);
      border-radius: 10px; box-shadow: 0 24px 70px rgb(0 0 0 / 35%); overflow: hidden; }
    .head { display: flex; align-items: center; gap: 10px; padding: 16px 22px 0; }
    .phase { padding: 2px 10px; border-radius: 99px; background: var(--hit); color: var(--red); font-size: 12.5px; font-weight: 600; }
    .title { color: var(--soft); font-size: 13.5px; }
    .close { margin-left: auto; border: 0; border-radius: 6px; padding: 4px 9px; background: none; color: var(--soft); font: inherit;
      font-size: 13px; cursor: pointer; }
    .close:hover { background: var(--code); color: var(--ink); }
    .message { margin: 10px 22px 14px; font-size: 18px; font-weight: 600; line-height: 1.4; white-space: pre-wrap; overflow-wrap: anywhere; }
    .place { display: inline-block; margin: 0 22px 8px; padding: 0; border: 0; background: none; color: var(--soft); text-align: left;
      font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
    button.place { color: inherit; text-decoration: underline dotted; text-underline-offset: 3px; cursor: pointer; }
    .source { margin: 0; padding: 10px 0; border-block: 1px solid var(--line); background: var(--code); overflow-x: auto; tab-size: 4;
      font: 13.5px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
    .row { display: flex; white-space: pre; width: max-content; min-width: 100%; padding-right: 22px; }
    .row.hit { background: var(--hit); }
    .number { flex: none; width: 62px; padding-right: 16px; text-align: right; color: var(--soft); user-select: none; }
    .row.hit .number { color: var(--red); font-weight: 700; }
    .caret { color: var(--red); font-weight: 700; line-height: 1; }
    details { border-bottom: 1px solid var(--line); }
    summary { padding: 9px 22px; color: var(--soft); font-size: 13px; cursor: pointer; }
    .detail { margin: 0; padding: 0 22px 14px; max-height: 38vh; overflow: auto; color: var(--soft); white-space: pre-wrap;
      overflow-wrap: anywhere; font: 12.5px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
    .foot { padding: 12px 22px; font-size: 13.5px; background: var(--greenish); color: var(--green); }
    .foot.none { background: var(--hit); color: var(--red); }
    .badge { position: fixed; right: 14px; bottom: 14px; z-index: 2147483647; padding: 7px 14px; border: 0; border-radius: 99px;
      background: #1d2330; color: #fff; font: 13px/1.4 system-ui, sans-serif; box-shadow: 0 6px 24px rgb(0 0 0 / 30%); opacity: .93; }
    button.badge { cursor: pointer; }
    [hidden] { display: none; }`;

  let shadow = null;

  function root() {
    if (!shadow) {
      const host = document.createElement("midair-panel");
      shadow = host.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet(); // Not a <style>: no policy of the page forbids this one.
      sheet.replaceSync(STYLE);
      shadow.adoptedStyleSheets = [sheet];
      document.documentElement.append(host);
    } else if (!shadow.host.isConnected) {
      document.documentElement.append(shadow.host); // A framework has cleared the document.
    }
    return shadow;
  }

  function make(tag, name, text) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  }

  function badge(text, act) {
    const before = shadow && shadow.querySelector(".badge");
    if (before) before.remove();
    if (!text) return;
    const element = make(act ? "button" : "div", "badge", text);
    element.setAttribute("role", "status");
    if (act) element.addEventListener("click", act, { once: true });
    root().append(element);
  }

  function show(error) {
    const key = JSON.stringify(error);
    badge("");
    if (key === state.shown || key === state.dismissed) return;
    hide();
    state.shown = key;
    root().append(panel(error));
  }

  function hide() {
    state.shown = "";
    const before = shadow && shadow.querySelector(".back");
    if (before) before.remove();
  }

  function dismiss() {
    if (!state.shown) return;
    state.dismissed = state.shown;
    hide();
  }

  function panel(error) {
    const back = make("div", "back");
    const card = make("section", "card");
    card.setAttribute("role", "alertdialog");
    card.setAttribute("aria-label", "midair: " + error.phase);
    back.append(card);
    const head = make("div", "head");
    head.append(make("span", "phase", error.phase || "error"), make("span", "title", error.title));
    const close = make("button", "close", "Esc closes");
    close.addEventListener("click", dismiss);
    head.append(close);
    card.append(head, make("div", "message", error.message));
    if (error.file) card.append(place(error));
    if (error.source && error.source.length) card.append(lines(error));
    if (error.detail && error.detail.trim() !== error.message.trim()) {
      const details = make("details");
      details.append(make("summary", "", "The whole output"), make("pre", "detail", error.detail));
      card.append(details);
    }
    const serving = error.serving
      ? "generation " + error.serving + " is still serving, your save is not live"
      : error.phase === "request"
        ? "the next request gets another chance, and so does the next save"
        : "nothing serves yet: the first version that starts will";
    card.append(make("div", error.serving ? "foot" : "foot none", serving));
    return back;
  }

  function place(error) {
    const where = [error.file, error.line || "", error.line && error.column ? error.column : ""].filter(Boolean).join(":");
    if (!state.canOpen || error.file.startsWith("/")) return make("div", "place", where);
    const button = make("button", "place", where);
    button.title = "open in the editor";
    button.addEventListener("click", async () => {
      const query = new URLSearchParams({ t: token, file: error.file, line: error.line || 1, column: error.column || 1 });
      try {
        // Apart, the answer is nobody's to read.
        const answer = await fetch(base + "open?" + query, { method: "POST", mode: isApart ? "no-cors" : "same-origin" });
        if (!isApart && !answer.ok) badge((await answer.text()).trim());
      } catch {
        badge("midair does not answer");
      }
    });
    return button;
  }

  function lines(error) {
    const source = make("div", "source");
    for (const [number, text] of error.source) {
      const isHit = number === error.line;
      const row = make("div", isHit ? "row hit" : "row");
      row.append(make("span", "number", String(number)), make("span", "text", text));
      source.append(row);
      if (isHit && error.column) {
        // Tabs stand under tabs, so that the caret stands where the eye looks.
        const lead = text.slice(0, error.column - 1).replace(/[^\t]/g, " ");
        const under = make("div", "row hit");
        under.append(make("span", "number"), make("span", "", lead), make("span", "caret", "^"));
        source.append(under);
      }
    }
    return source;
  }

  // An error that stands in the page itself: one of midair's own pages.
  function embedded() {
    const element = document.getElementById("midair-error");
    try {
      return element && JSON.parse(element.textContent);
    } catch {
      return null;
    }
  }

  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !state.shown) return;
      event.stopImmediatePropagation();
      dismiss();
    },
    true,
  );

  restore();
  const error = embedded();
  if (error) show(error);
  connect();
})();
