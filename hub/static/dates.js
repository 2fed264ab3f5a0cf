// Add “3 days ago” to dates, by the reader's own clock: the page itself cannot know when it is read.
"use strict";
(() => {
  const { today, day, days } = document.currentScript.dataset;
  for (const time of document.querySelectorAll("main time")) {
    const age = Math.floor((Date.now() - Date.parse(time.dateTime)) / 86400000);
    if (age < 0 || age > 60) continue;
    time.append(" (" + (age === 0 ? today : age === 1 ? day : days.replace("{n}", age)) + ")");
  }
})();
