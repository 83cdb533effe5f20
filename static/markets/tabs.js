/** Tabs as the ARIA practices describe them: one stop of the Tab key, arrow keys, Home and End. */

/** `onSelect(name)` runs for the first selected tab too; `name` is the tab's data-tab. */
export function wireTabs(list, onSelect) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];

  const select = (tab) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
    }
    onSelect(tab.dataset.tab);
  };

  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab !== null) select(tab);
  });
  list.addEventListener("keydown", (event) => {
    const index = tabs.indexOf(document.activeElement);
    const target = {
      ArrowRight: (index + 1) % tabs.length,
      ArrowLeft: (index - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (index < 0 || target === undefined) return;
    event.preventDefault();
    tabs[target].focus();
    select(tabs[target]);
  });
  select(tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ?? tabs[0]);
  return { select: (name) => select(tabs.find((tab) => tab.dataset.tab === name)) };
}
