// Keep a checklist's ticks in this browser, by the words of each line; nothing leaves it.
"use strict";
(() => {
  const key = "ticks:" + location.pathname;
  const boxes = [...document.querySelectorAll(".ticks input")];
  const clear = document.getElementById("untick");
  let kept;
  try {
    kept = new Set(JSON.parse(localStorage.getItem(key) || "[]"));
  } catch {
    return; // a browser that keeps nothing still has boxes to tick
  }
  const show = () => { clear.hidden = !boxes.some((box) => box.checked); };
  const keep = () => {
    localStorage.setItem(key, JSON.stringify(boxes.filter((box) => box.checked).map((box) => box.id)));
    show();
  };
  for (const box of boxes) {
    box.checked = kept.has(box.id);
    box.addEventListener("change", keep);
  }
  clear.addEventListener("click", () => {
    for (const box of boxes) box.checked = false;
    keep();
    boxes[0].focus();
  });
  document.getElementById("kept").hidden = false;
  show();
})();
