/** Short messages about what just happened. They are announced, stay long enough to read, and Escape closes the newest. */

import { byId, element } from "./dom.js";

const SHOWN_MS = { info: 6000, success: 6000, warning: 12000, error: 12000 };
const SHOWN_MAX = 4;

export function notify(kind, text) {
  const region = byId("page-notices");
  const close = element("button", { type: "button", className: "notice-close", attributes: { "aria-label": "Close message" } }, "×");
  const notice = element("div", { className: `notice notice-${kind}` }, element("span", {}, text), close);
  let timer = null;
  const remove = () => {
    window.clearTimeout(timer);
    notice.remove();
  };
  const wait = () => {
    timer = window.setTimeout(remove, SHOWN_MS[kind]);
  };
  close.addEventListener("click", remove);
  notice.addEventListener("pointerenter", () => window.clearTimeout(timer));
  notice.addEventListener("pointerleave", wait);
  wait();
  region.append(notice);
  while (region.children.length > SHOWN_MAX) region.firstElementChild.remove();
}

export function closeNewestNotice() {
  byId("page-notices").lastElementChild?.querySelector("button").click();
}
