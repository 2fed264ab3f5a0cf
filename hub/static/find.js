// Search a directory too large for one page: its names come in one file, once, when they are needed.
"use strict";
(() => {
  const SHOWN = 50;
  const form = document.getElementById("filters");
  const count = document.getElementById("count");
  const found = document.getElementById("found");
  const say = form.dataset;
  const before = count.textContent;
  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const load = async () => {
    const { councils } = await (await fetch(say.index)).json();
    return councils.map(([id, name, words]) => ({ id, name, text: fold(name + " " + words) }));
  };
  let loading;

  const link = ({ id, name }) => {
    const item = document.createElement("li");
    const to = document.createElement("a");
    to.href = say.page + id + "/";
    to.textContent = name;
    item.append(to);
    return item;
  };
  const show = async () => {
    const asked = fold(form.elements.q.value).split(/[\s,;]+/).filter(Boolean);
    let rows;
    try {
      rows = asked.length ? await (loading ||= load()) : [];
    } catch {
      loading = undefined;
      count.textContent = say.failed;
      return;
    }
    const matches = rows.filter(({ text }) => asked.every((word) => text.includes(word)));
    const words = !matches.length ? say.none : matches.length > SHOWN ? say.more : say.some;
    count.textContent = !asked.length ? before
      : words.replace("{n}", Math.min(matches.length, SHOWN)).replace("{all}", matches.length);
    found.replaceChildren(...matches.slice(0, SHOWN).map(link));
  };
  form.addEventListener("input", () => {
    const { value } = form.elements.q;
    history.replaceState(null, "", value ? "?" + new URLSearchParams({ q: value }) : location.pathname);
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.q.value = new URLSearchParams(location.search).get("q") || "";
  form.hidden = false;
  show();
})();
