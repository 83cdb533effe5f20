// Sets the theme before the first paint: the saved choice, else what the system prefers.
// Loaded in <head> without defer for that reason; a classic script, so it blocks.
(function () {
  "use strict";
  const root = document.documentElement;
  let saved = null;
  try {
    saved = window.localStorage.getItem("theme");
  } catch (error) {
    // Storage is blocked in some private modes; the system preference is used then.
    console.info("theme choice is not stored:", error.message);
  }
  const prefers = (feature) => window.matchMedia(`(prefers-${feature})`).matches;
  const preferred = prefers("contrast: more") ? "contrast" : prefers("color-scheme: light") ? "light" : "dark";
  root.dataset.theme = ["dark", "light", "contrast"].includes(saved) ? saved : preferred;
  root.classList.add("js");
})();
