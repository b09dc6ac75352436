(() => {
  "use strict";
  const strip = document.getElementById("strip");
  const items = (pane) => [...pane.querySelectorAll("[data-told]")];
  const counterparts = (item) =>
    (item.dataset.link || "").split(" ").map((id) => document.getElementById(id)).filter(Boolean);
  let pinned = null;

  function tell(item) {
    const [first, ...rest] = item.dataset.told.split("\n");
    const lines = [["first", first], ["rest", rest.join("\n")]];
    strip.replaceChildren(...lines.map(([name, text]) => {
      const line = document.createElement("p");
      line.className = name;
      line.textContent = text;
      return line;
    }));
  }

  // Brings the first counterpart in each other column into sight, and moves no column that shows one already.
  function reveal(item, lit) {
    for (const pane of new Set(lit.map((it) => it.closest(".pane")))) {
      if (!pane || pane === item.closest(".pane")) continue;
      const frame = pane.getBoundingClientRect();
      const inside = lit.filter((it) => it.closest(".pane") === pane);
      const isSeen = (it) => {
        const box = it.getBoundingClientRect();
        return box.top >= frame.top + 40 && box.bottom <= frame.bottom;
      };
      if (inside.some(isSeen)) continue;
      pane.scrollTop += inside[0].getBoundingClientRect().top - frame.top - frame.height / 3;
    }
  }

  function light(item) {
    for (const it of document.querySelectorAll(".lit, .here")) it.classList.remove("lit", "here");
    if (!item) return;
    const lit = counterparts(item);
    item.classList.add("here");
    for (const it of lit) it.classList.add("lit");
    tell(item);
    reveal(item, lit);
  }

  function pin(item) {
    if (pinned) {
      pinned.classList.remove("pinned");
      pinned.setAttribute("aria-pressed", "false");
    }
    pinned = pinned === item ? null : item;
    if (pinned) {
      pinned.classList.add("pinned");
      pinned.setAttribute("aria-pressed", "true");
    }
    light(pinned || item);
  }

  function move(item, step) {
    const all = items(item.closest(".pane"));
    const next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(item) + step))];
    item.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  const keys = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  const itemOf = (event) => event.target.closest("[data-told]");

  for (const pane of document.querySelectorAll(".pane")) {
    const first = items(pane)[0];
    if (first) first.tabIndex = 0;
  }
  document.addEventListener("pointerover", (event) => {
    const item = itemOf(event);
    if (item && !pinned) light(item);
  });
  document.addEventListener("focusin", (event) => {
    const item = itemOf(event);
    if (item && !pinned) light(item);
  });
  document.addEventListener("click", (event) => {
    const item = itemOf(event);
    if (item) pin(item);
  });
  document.addEventListener("keydown", (event) => {
    const item = itemOf(event);
    if (event.key === "Escape" && pinned) pin(pinned);
    if (!item) return;
    if (event.key in keys) move(item, keys[event.key]);
    else if (event.key === "Enter" || event.key === " ") pin(item);
    else return;
    event.preventDefault();
  });
  // A link such as page.html#OBX[3]-6 opens at that field.
  const asked = decodeURIComponent(location.hash.slice(1));
  const start = asked && items(document).find((it) => it.dataset.place === asked || it.id === asked);
  if (start) pin(start);
})();
