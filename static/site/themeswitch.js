// The theme button of the site and of the staff admin. Pages that draw with theme colours listen for the
// `themechange` event on document.

const root = document.documentElement;
// Each leads to the next; the names are those of tokens.css.
const NEXT = { dark: "light", light: "contrast", contrast: "dark" };
const WORDS = { dark: "dark", light: "light", contrast: "high-contrast" };

function label(button) {
  const words = `Use the ${WORDS[NEXT[root.dataset.theme]]} theme`;
  button.setAttribute("aria-label", words);
  button.title = words;
}

function switchTheme(button) {
  const theme = NEXT[root.dataset.theme];
  root.dataset.theme = theme;
  try {
    window.localStorage.setItem("theme", theme);
  } catch (error) {
    console.info("theme choice is not stored:", error.message);
  }
  label(button);
  document.dispatchEvent(new CustomEvent("themechange", { detail: { theme } }));
}

for (const button of document.querySelectorAll(".theme-toggle")) {
  label(button);
  button.addEventListener("click", () => switchTheme(button));
}
