// The theme button of the site and of the staff admin. Pages that draw with theme colours listen for the
// `themechange` event on document.

const root = document.documentElement;

function label(button) {
  const next = root.dataset.theme === "light" ? "dark" : "light";
  button.setAttribute("aria-label", `Use the ${next} theme`);
  button.title = `Use the ${next} theme`;
}

function switchTheme(button) {
  const theme = root.dataset.theme === "light" ? "dark" : "light";
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
