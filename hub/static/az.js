// Search and filter the A–Z in place; every choice is in the address, so that it can be shared.
"use strict";
(() => {
  const form = document.getElementById("filters");
  const count = document.getElementById("count");
  const clear = document.getElementById("clear");
  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const words = (text) => fold(text).split(/[\s,;]+/).filter(Boolean);
  const rows = [...document.querySelectorAll(".az section > ul > li")].map((item) => {
    const links = [...item.querySelectorAll("a[data-p]")];
    const { n: nation, r: region, t: type, d: fresh, w: other } = item.dataset;
    const text = [item.firstElementChild.textContent, other, region, nation, ...links.map((a) => a.href)];
    return { item, nation, region, type, fresh, text: fold(text.join(" ")), networks: links.map((a) => a.dataset.p) };
  });
  const letters = [...document.querySelectorAll('.letters a[href^="#"]')];
  const FRESH = ["7", "30", "90"];
  const isFresh = (row, wanted) =>
    FRESH.includes(wanted) ? FRESH.includes(row.fresh) && +row.fresh <= +wanted : row.fresh === wanted;

  const show = () => {
    const { q, nation, region, type, network, fresh } = Object.fromEntries(new FormData(form));
    const asked = words(q);
    let shown = 0;
    for (const row of rows) {
      const match = asked.every((word) => row.text.includes(word)) &&
        (!nation || row.nation === nation) && (!region || row.region === region) &&
        (!type || row.type === type) && (!network || row.networks.includes(network)) &&
        (!fresh || isFresh(row, fresh));
      row.item.hidden = !match;
      shown += match;
    }
    for (const link of letters) {
      const section = document.getElementById(link.hash.slice(1)).parentElement;
      section.hidden = !section.querySelector(":scope > ul > li:not([hidden])");
      if (section.hidden) link.setAttribute("aria-disabled", "true");
      else link.removeAttribute("aria-disabled");
    }
    const filtered = shown < rows.length || asked.length > 0;
    const say = !shown ? form.dataset.none : filtered ? form.dataset.some : form.dataset.all;
    count.textContent = say.replace("{n}", shown === rows.length && !filtered ? rows.length : shown).replace("{all}", rows.length);
    clear.hidden = !filtered;
  };
  const remember = () => {
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    const query = chosen.toString();
    history.replaceState(null, "", (query ? "?" + query : location.pathname) + location.hash);
  };
  const recall = () => {
    for (const [name, value] of new URLSearchParams(location.search))
      if (form.elements[name]) form.elements[name].value = value;
    show();
  };
  form.addEventListener("input", () => { show(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { show(); remember(); form.elements.q.focus(); }));
  for (const link of letters)
    link.addEventListener("click", (event) => { if (link.hasAttribute("aria-disabled")) event.preventDefault(); });
  window.addEventListener("popstate", recall);
  form.hidden = false;
  recall();
})();
