"use strict";
(() => {
  const root = document.documentElement;
  const find = (selector) => Array.from(document.querySelectorAll(selector));
  for (const element of find("[data-script]")) element.hidden = false;

  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  const input = document.getElementById("search");
  if (input) {
    const leaks = find("#list > .leak").map((element) => ({ element, text: null }));
    const chips = find(".chip");
    const shown = document.getElementById("shown");
    const none = document.getElementById("none");
    const text = (leak) => {
      // read once, and only when somebody searches
      if (leak.text === null) leak.text = leak.element.textContent.toLowerCase();
      return leak.text;
    };
    const pressed = (name) => chips
      .filter((chip) => chip.dataset.group === name && chip.getAttribute("aria-pressed") === "true")
      .map((chip) => chip.value);
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kinds = pressed("kind");
      const states = pressed("state");
      let count = 0;
      for (const leak of leaks) {
        const { kind, state } = leak.element.dataset;
        const fits = (!kinds.length || kinds.includes(kind)) && (!states.length || states.includes(state))
          && words.every((word) => text(leak).includes(word));
        if (leak.element.hidden === fits) leak.element.hidden = !fits;
        count += fits;
      }
      shown.textContent = `${count.toLocaleString("en")} of ${leaks.length.toLocaleString("en")} shown`;
      none.hidden = count > 0;
    };
    let waiting = 0;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, 120);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { input.value = ""; apply(); }
    });
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
    });
    apply();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const told = button.textContent;
    const rows = button.parentElement.querySelectorAll(".row");
    const copied = Array.from(rows, (row) => row.textContent).join("\n") + "\n";
    navigator.clipboard.writeText(copied).then(() => {
      button.textContent = "copied";
      setTimeout(() => { button.textContent = told; }, 1200);
    }, () => { button.textContent = "not allowed here"; });
  });

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
