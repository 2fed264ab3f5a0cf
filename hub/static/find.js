// Search and filter a directory of many pages: one file holds what finds a council, and is asked for
// when it is first needed. On the page of a letter, az.js filters what is there; this adds the rest.
"use strict";
(() => {
  const STEP = 50;
  const FRESH = ["7", "30", "90"];
  const form = document.getElementById("filters");
  const list = document.getElementById("list");
  const count = document.getElementById("count");
  const clear = document.getElementById("clear");
  const box = document.getElementById("elsewhere");
  const head = document.getElementById("found-head") || count;
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const say = form.dataset;
  const before = list ? "" : count.textContent;
  const here = new Set([...document.querySelectorAll("#list a.name")].map((a) => a.pathname.split("/").at(-2)));
  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const squeeze = (text) => text.replace(/[^\p{L}\p{N}]/gu, "");
  const fresh = (own, asked) =>
    FRESH.includes(asked) ? FRESH.includes(own) && +own <= +asked : own === asked;

  const load = async () => {
    const all = await (await fetch(say.index)).json();
    return all.councils.map(([id, name, words, nation, region, type, above, age, networks]) => {
      const row = {
        id, name, nation: all.nations[nation], region: all.regions[region], type: all.types[type],
        age, networks: networks.map((at) => all.networks[at]),
      };
      const text = fold([name, words, all.above[above], row.region, row.nation].join(" "));
      // A handle that only spells the name is not in the file.
      return { ...row, text: text + " " + squeeze(fold(name)) };
    });
  };
  let loading;
  let asking = 0;

  // The words of a choice are those of the form, in the language of the page.
  const label = (name, value) =>
    [...form.elements[name].options].find((option) => option.value === value)?.text || value;
  const item = (row) => {
    const made = document.createElement("li");
    const to = document.createElement("a");
    to.className = "name";
    to.href = say.page + row.id + "/";
    to.textContent = row.name;
    const about = document.createElement("small");
    about.textContent = row.type[0].toUpperCase() + row.type.slice(1) + ", " + label("nation", row.region || row.nation);
    const left = document.createElement("div");
    left.append(to, document.createElement("br"), about);
    const networks = document.createElement("small");
    networks.textContent = row.networks.map((name) => label("network", name)).join(", ");
    made.append(left, networks);
    return made;
  };

  const show = async (size = STEP) => {
    const turn = ++asking;
    const { q, ...chosen } = Object.fromEntries(new FormData(form));
    const asked = fold(q).split(/[\s,;]+/).map((word) => word.replace(/^@/, "")).filter(Boolean);
    const active = asked.length > 0 || Object.values(chosen).some(Boolean);
    if (!list) clear.hidden = !active;
    if (!active) {
      box.hidden = true;
      head.textContent = before;
      return;
    }
    let rows;
    try {
      if (!loading) head.textContent = say.loading;
      rows = await (loading ||= load());
    } catch {
      loading = undefined;
      head.textContent = say.failed;
      return;
    }
    if (turn !== asking) return; // a later letter has been typed meanwhile
    const matches = rows.filter((row) => !here.has(row.id) &&
      asked.every((word) => row.text.includes(word)) &&
      (!chosen.nation || row.nation === chosen.nation) && (!chosen.region || row.region === chosen.region) &&
      (!chosen.type || row.type === chosen.type) &&
      (!chosen.network || row.networks.includes(chosen.network)) &&
      (!chosen.fresh || fresh(row.age, chosen.fresh)));
    const shown = Math.min(matches.length, size);
    const words = list ? say.elsewhere : !shown ? say.none : shown < matches.length ? say.first : say.found;
    head.textContent = words.replace("{n}", list ? matches.length : shown).replace("{all}", matches.length);
    box.hidden = !shown;
    found.replaceChildren(...matches.slice(0, shown).map(item));
    more.hidden = shown === matches.length;
    more.onclick = async () => {
      await show(size + STEP);
      found.children[shown]?.querySelector("a").focus();
    };
  };
  const remember = () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
    history.replaceState(null, "", query ? "?" + query : location.pathname);
  };
  form.addEventListener("input", () => { if (!list) remember(); show(); });
  form.addEventListener("reset", () => setTimeout(() => {
    show();
    if (!list) { remember(); form.elements.q.focus(); }
  }));
  form.addEventListener("submit", (event) => event.preventDefault());
  if (!list) {
    for (const [name, value] of new URLSearchParams(location.search))
      if (form.elements[name]) form.elements[name].value = value;
    form.hidden = false;
  }
  show();
})();
