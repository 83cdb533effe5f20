/**
 * Banners at the top of the page: those that the server rendered (templates/notifications/banners.html) and those that
 * come while the page is open look the same. A closed one is remembered in the cookie that the server reads, too.
 */

import { element } from "../markets/dom.js";

const COOKIE = "dismissed_banners";
/** As apps/notifications/policy.py has it. */
const KEPT_S = 120 * 24 * 3600;
const KEPT_MAX = 40;
const SEVERITIES = { info: "Info", warning: "Warning", critical: "Critical" };

const region = document.getElementById("banners");

/** Puts these in place of what is shown; what is there already stays as it is, and is not announced again. */
export function showBanners(banners) {
  const closed = new Set(dismissed());
  const wanted = banners.filter((banner) => !(banner.dismissible && closed.has(String(banner.id))));
  const ids = new Set(wanted.map((banner) => String(banner.id)));
  const there = new Map([...region.children].map((node) => [node.dataset.banner, node]));
  for (const [id, node] of there) {
    if (!ids.has(id)) remove(node);
  }
  let before = null;
  for (const banner of wanted) {
    const node = there.get(String(banner.id)) ?? makeBanner(banner);
    const place = before === null ? region.firstElementChild : before.nextElementSibling;
    if (node !== place) region.insertBefore(node, place);
    before = node;
  }
}

/** The close buttons of the page are forms, for browsers without scripts; with one nothing is sent. */
export function dismissInCookie() {
  region.addEventListener("submit", (event) => {
    event.preventDefault();
    close(event.target.closest(".banner"));
  });
}

function makeBanner(banner) {
  const text = element("p", { className: "banner-text" });
  text.append(element("span", { className: "visually-hidden" }, `${SEVERITIES[banner.severity]}: `), banner.text);
  if (banner.link) text.append(" ", element("a", { href: banner.link }, banner.link_text));
  const node = element("div", { className: `banner banner-${banner.severity}`, data: { banner: String(banner.id) } }, text);
  if (banner.dismissible) {
    const button = element("button", { type: "submit", className: "banner-close", attributes: { "aria-label": "Close this announcement" } }, "×");
    node.append(element("form", { className: "banner-form" }, button));
  }
  return node;
}

function close(node) {
  const kept = [...dismissed().filter((id) => id !== node.dataset.banner), node.dataset.banner].slice(-KEPT_MAX);
  const secure = window.location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${kept.join(".")}; Path=/; Max-Age=${KEPT_S}; SameSite=Lax${secure}`;
  remove(node);
}

/** Whoever had the focus in it goes on in the next banner, or in the page. */
function remove(node) {
  const hadFocus = node.contains(document.activeElement);
  const next = node.nextElementSibling ?? node.previousElementSibling;
  node.remove();
  if (hadFocus) (next?.querySelector("a, button") ?? document.getElementById("main")).focus({ preventScroll: true });
}

function dismissed() {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${COOKIE}=`));
  return found === undefined ? [] : found.slice(COOKIE.length + 1).split(".").filter((id) => /^[0-9]{1,19}$/.test(id));
}
