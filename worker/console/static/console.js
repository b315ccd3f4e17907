// The console works without this. It adds: live figures, the viewer's time zone, keys.
"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const cookie = (name) => (document.cookie.match(`(?:^|; )${name}=([^;]*)`) || [])[1];
  const keep = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; path=/; max-age=31536000; SameSite=Lax${secure}`;
  };

  // Times: the server shows the zone of the cookie; the first page has none yet.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!cookie("voicecode_zone") && zone) {
    keep("voicecode_zone", zone);
    const form = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
    for (const time of all("time[datetime]")) {
      const at = new Date(time.getAttribute("datetime"));
      if (!Number.isNaN(at.getTime())) time.textContent = form.format(at);
    }
    const told = document.querySelector("footer > .aside");
    if (told) told.textContent = told.textContent.replace("UTC", zone);
  }

  // Pages about something that goes on load themselves again, unless somebody is typing.
  for (const part of all("[data-reload-after]")) {
    setTimeout(() => { if (!document.hidden) location.reload(); }, Number(part.dataset.reloadAfter));
    document.addEventListener("visibilitychange", () => { if (!document.hidden) location.reload(); });
  }

  // A second click on a form that is on its way does nothing; the server would not do it twice either.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => { for (const form of all("form[data-sent]")) delete form.dataset.sent; });

  // Live figures.
  const button = document.getElementById("live");
  if (button) {
    let source = null;
    const say = (name) => { button.textContent = button.dataset[name]; };
    const put = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
    const take = (event) => {
      const facts = JSON.parse(event.data);
      say("on");
      for (const element of all("[data-live]")) put(element, facts.texts[element.dataset.live]);
      for (const [name, curve] of Object.entries(facts.curves)) {
        put(document.querySelector(`[data-last="${name}"]`), curve.last);
        const picture = document.querySelector(`[data-curve="${name}"]`);
        const lines = curve.lines.map((points) => {
          const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
          line.setAttribute("points", points);
          return line;
        });
        if (picture) picture.replaceChildren(...lines);
      }
      const box = document.getElementById("advice");
      put(box.querySelector('[data-advice="title"]'), facts.advice.title);
      const told = all('[data-advice="line"]');
      for (const rest of told.splice(facts.advice.lines.length)) rest.remove();
      while (told.length < facts.advice.lines.length) {
        const line = document.createElement("p");
        line.dataset.advice = "line";
        line.append(document.createElement("bdi"));
        document.getElementById("changed").before(line);
        told.push(line);
      }
      facts.advice.lines.forEach((line, number) => put(told[number].firstElementChild, line));
      box.className = `advice ${facts.advice.level}`;
      // What may be done has changed: buttons do not come and go under somebody's finger.
      const changed = JSON.stringify(facts.reload) !== JSON.stringify(JSON.parse(box.dataset.reload));
      document.getElementById("changed").hidden = !changed;
    };
    const stop = () => { if (source) source.close(); source = null; };
    const start = () => {
      stop();
      source = new EventSource(`/live?row=${encodeURIComponent(button.dataset.row)}`);
      source.onmessage = take;
      source.onerror = () => say("away");
      source.addEventListener("away", () => say("away"));
      source.addEventListener("over", () => { stop(); say("over"); });
    };
    const set = (on) => {
      button.setAttribute("aria-pressed", String(on));
      say(on ? "on" : "off");
      if (on) start(); else stop();
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      keep("voicecode_live", on ? "1" : "0");
      set(on);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) stop();
      else if (button.getAttribute("aria-pressed") === "true") start();
    });
    set(cookie("voicecode_live") !== "0");
  }

  // Keys: g and a letter; / and ?. They can be switched off.
  const list = document.getElementById("keys");
  const use = document.getElementById("keys-use");
  const open = document.getElementById("keys-open");
  if (list && use && open) {
    open.hidden = false;
    open.addEventListener("click", () => list.showModal());
    use.checked = cookie("voicecode_keys") !== "0";
    use.addEventListener("change", () => keep("voicecode_keys", use.checked ? "1" : "0"));
    let before = "";
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
      if (typing || event.ctrlKey || event.metaKey || event.altKey || !use.checked || list.open) return;
      const target = before === "g" ? document.querySelector(`[data-go="${CSS.escape(event.key)}"]`) : null;
      if (target) location.assign(target.href);
      if (event.key === "?") list.showModal();
      if (event.key === "/") { event.preventDefault(); document.getElementById("find").focus(); }
      before = event.key;
    });
  }
})();
