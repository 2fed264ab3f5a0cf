// “Is this account official?” Compare a pasted address with the directory, in the browser alone.
"use strict";
(() => {
  const form = document.getElementById("check");
  const answer = document.getElementById("answer");
  const say = form.dataset;
  const KINDS = ["company", "school", "showcase", "groups", "in", "channel", "user", "c", "show", "agency-detail"];
  const HANDLE = /^@?[\w.-]{2,60}$/;

  // An account has one key however it is written: host aliases, case, dots and tracking do not count.
  const network = (host, networks) => networks.find((entry) =>
    entry.hosts.some((name) => host === name || host.endsWith("." + name)));
  const decode = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const keyOf = (url, networks) => {
    const host = url.hostname.replace(/^www\./, "");
    const known = network(host, networks);
    const id = known ? known.id : host;
    const parts = url.pathname.split("/").filter(Boolean).map(decode);
    const asked = url.searchParams;
    const given = asked.get("screen_name") || (parts[0] === "profile.php" && asked.get("id"));
    let name = given || (KINDS.includes(parts[0]) && parts[1] ? parts[0] + "/" + parts[1] : parts[0] || "");
    if (id === "facebook" && !given) {
      const old = { pages: parts[2], people: parts[2], p: (parts[1] || "").match(/\d{6,}$/)?.[0] }[parts[0]];
      const tail = (parts[0] || "").match(/-(\d{9,})$/)?.[1];
      name = old || tail || name.replace(/\./g, "");
    }
    if (!/^channel\/UC/.test(name)) name = name.normalize("NFC").toLowerCase();
    return name && id + "|" + name.replace(/^@/, "");
  };
  const parse = (text) => {
    const clean = text.replace(/[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\s]/g, "");
    try {
      const url = new URL(/^[a-z]+:\/\//i.test(clean) ? clean : "https://" + clean);
      return /^https?:$/.test(url.protocol) && url.hostname.includes(".") ? url : null;
    } catch {
      return null;
    }
  };
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const show = (kind, heading, ...more) => {
    const box = element("div", "", { class: "box " + kind });
    box.append(element("h2", heading), ...more);
    answer.replaceChildren(box);
  };

  const load = async () => {
    const get = async (address) => (await fetch(address)).json();
    const [{ accounts }, { councils }, { networks }] =
      await Promise.all([say.accounts, say.councils, say.networks].map(get));
    const byId = new Map(councils.map((council) => [council.council_id, council]));
    const byKey = new Map();
    const byHandle = new Map();
    for (const [platform, url, handle, council, status, scope] of accounts) {
      const entry = { platform, handle, status, scope, council: byId.get(council) };
      byKey.set(keyOf(new URL(url), networks), entry);
      const name = handle.toLowerCase().replace(/^@/, "");
      byHandle.set(name, [...(byHandle.get(name) || []), entry]);
    }
    const bySite = new Map(councils.filter((c) => c.website)
      .map((c) => [new URL(c.website).hostname.replace(/^www\./, ""), c]));
    return { networks, byKey, byHandle, bySite };
  };
  let loading;

  const found = (entry, networks) => {
    const sure = entry.status === "current";
    const list = element("dl", "", { class: "pairs" });
    const pair = (term, text) => list.append(element("dt", term), element("dd", text));
    pair(say.network, networks.find((one) => one.id === entry.platform)?.name || entry.platform);
    pair(say.account, entry.handle);
    pair(say.scope, entry.scope === "service" ? say.scopeService : say.scopeCorporate);
    pair(say.status, say["status" + entry.status[0].toUpperCase() + entry.status.slice(1)]);
    const see = element("p", "");
    see.append(element("a", say.see, { href: say.page + entry.council.council_id + "/" }));
    show(sure ? "good" : "warn", (sure ? say.yes : say.maybe).replace("{council}", entry.council.name), list, see);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = form.elements.link.value.trim();
    let data;
    try {
      data = await (loading ||= load());
    } catch {
      loading = undefined;
      return show("warn", say.failed);
    }
    const named = HANDLE.test(text) && (text.startsWith("@") || !text.includes("."));
    const byName = named && data.byHandle.get(text.toLowerCase().replace(/^@/, ""));
    if (byName) return found(byName[0], data.networks);
    if (named) return show("warn", say.no, element("p", say.noText));
    const url = parse(text);
    if (!url) return show("warn", say.unreadable);
    const entry = data.byKey.get(keyOf(url, data.networks));
    if (entry) return found(entry, data.networks);
    const site = data.bySite.get(url.hostname.replace(/^www\./, ""));
    if (site) {
      const see = element("p", "");
      see.append(element("a", say.see, { href: say.page + site.council_id + "/" }));
      return show("good", say.site.replace("{council}", site.name), see);
    }
    return show("warn", say.no, element("p", url.hostname + decode(url.pathname)), element("p", say.noText));
  });
  form.hidden = false;
})();
