// Behaviour of the page frame: theme switch, phone menu, account menu, copy buttons.

import "./live.js";
import "./themeswitch.js";

function wirePhoneMenu() {
  const button = document.getElementById("nav-toggle");
  const nav = document.getElementById("site-nav");
  function show(open) {
    nav.classList.toggle("is-open", open);
    button.setAttribute("aria-expanded", String(open));
  }
  button.addEventListener("click", () => show(!nav.classList.contains("is-open")));
  document.addEventListener("keydown", (event) => {
    // A menu inside it closes first.
    if (event.key !== "Escape" || !nav.classList.contains("is-open") || nav.querySelector("details[open]")) return;
    show(false);
    button.focus();
  });
}

function wireMenus() {
  const menus = [...document.querySelectorAll("details.menu")];
  document.addEventListener("click", (event) => {
    for (const menu of menus) {
      if (menu.open && !menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) {
      if (menu.open) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
  });
}

function wireCopyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(source.textContent.trim());
        button.textContent = "Copied";
      } catch {
        // No clipboard without HTTPS or permission: select the text so that the keyboard can copy it.
        window.getSelection().selectAllChildren(source);
        button.textContent = "Selected, press Ctrl+C";
      }
      window.setTimeout(() => { button.textContent = label; }, 2500);
    });
  }
}

// A second press while the answer is on its way would send the form again.
function wireFormsSentOnce() {
  const forms = document.querySelectorAll("form[data-once]");
  for (const form of forms) {
    form.addEventListener("submit", () => { form.querySelector("[type=submit]").disabled = true; });
  }
  // The browser may show the page again as it was left.
  window.addEventListener("pageshow", () => {
    for (const form of forms) form.querySelector("[type=submit]").disabled = false;
  });
}

wirePhoneMenu();
wireMenus();
wireCopyButtons();
wireFormsSentOnce();
