/** Short messages about what just happened. They are announced, stay long enough to read, and Escape closes the newest. */

import { byId, element } from "./dom.js";

const SHOWN_MS = { info: 6000, success: 6000, warning: 12000, error: 12000 };
const SHOWN_MAX = 4;

/**
 * Shows a message. One with a `key` replaces the text of the message with the same key while that is still shown.
 * `onGone` runs when the message has left the page.
 */
export function notify(kind, text, { key = "", onGone = () => {} } = {}) {
  const region = byId("page-notices");
  const shown = key === "" ? undefined : [...region.children].find((notice) => notice.dataset.key === key);
  if (shown !== undefined) {
    shown.firstElementChild.textContent = text;
    shown.dispatchEvent(new Event("renewed"));
    return;
  }
  region.append(makeNotice(kind, text, key, onGone));
  while (region.children.length > SHOWN_MAX) closeNotice(region.firstElementChild);
}

export function closeNewestNotice() {
  const newest = byId("page-notices").lastElementChild;
  if (newest !== null) closeNotice(newest);
}

function closeNotice(notice) {
  notice.querySelector("button").click();
}

function makeNotice(kind, text, key, onGone) {
  const close = element("button", { type: "button", className: "notice-close", attributes: { "aria-label": "Close message" } }, "×");
  const notice = element("div", { className: `notice notice-${kind}`, data: { key } }, element("span", {}, text), close);
  let timer = null;
  const stop = () => window.clearTimeout(timer);
  const wait = () => {
    stop();
    timer = window.setTimeout(remove, SHOWN_MS[kind]);
  };
  const remove = () => {
    stop();
    notice.remove();
    onGone();
  };
  close.addEventListener("click", remove);
  notice.addEventListener("pointerenter", stop);
  notice.addEventListener("pointerleave", wait);
  notice.addEventListener("renewed", wait);
  wait();
  return notice;
}
