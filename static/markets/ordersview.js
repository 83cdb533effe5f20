/** Open orders with cancel, order history and trade history. */

import { formatDecimal, formatRoundedDown } from "./decimal.js";
import { byId, element, oncePerFrame } from "./dom.js";
import { firesOnRise } from "./orderkinds.js";
import { fillTable } from "./rows.js";
import { momentText } from "./times.js";

const HISTORY_SHOWN = 100;

const STATUS_WORDS = {
  NEW: "Open", PARTIALLY_FILLED: "Partly filled", FILLED: "Filled", CANCELED: "Canceled", REJECTED: "Rejected",
  EXPIRED: "Expired", EXPIRED_IN_MATCH: "Expired (own order met)", PENDING_NEW: "In review",
};

export class OrdersView {
  /** `markets` maps a symbol to its market; `onCancel(order)` and `onCancelAll()` ask the exchange. */
  constructor({ market, markets, store, onCancel, onCancelAll }) {
    Object.assign(this, { market, markets, store, onCancel });
    this.canceling = new Set();
    // Block orders whose shares are shown, also once their row is made anew.
    this.unfolded = new Set();
    this.draw = oncePerFrame(() => this.render());
    this.onlyThis = byId("only-this-market");
    this.onlyThis.addEventListener("change", () => this.render());
    byId("cancel-all").addEventListener("click", onCancelAll);
    byId("open-orders-body").addEventListener("click", (event) => this.cancelClicked(event));
    // This event does not bubble.
    for (const name of ["open-orders", "order-history"]) byId(name).addEventListener("toggle", (event) => this.folded(event.target), true);
  }

  render() {
    const symbol = this.onlyThis.checked ? this.market.symbol : null;
    const open = this.store.open(symbol);
    fill("open-orders", open.map((order) => this.orderRow(order, [this.cancelButton(order)])));
    fill("order-history", this.store.closed(symbol).slice(0, HISTORY_SHOWN).map((order) => this.orderRow(order, [this.averageText(order), statusText(order)])));
    fill("trade-history", this.store.ownTrades(symbol).slice(0, HISTORY_SHOWN).map((trade) => this.tradeRow(trade)));
    byId("open-orders-count").textContent = open.length > 0 ? `(${open.length})` : "";
    byId("cancel-all").disabled = this.store.open(this.market.symbol).length === 0;
  }

  folded(details) {
    const orderId = Number(details.closest("tr").dataset.key);
    if (details.open) this.unfolded.add(orderId);
    else this.unfolded.delete(orderId);
  }

  cancelClicked(event) {
    const orderId = event.target.closest("button")?.dataset.order;
    const order = this.store.open().find((candidate) => String(candidate.orderId) === orderId);
    if (order === undefined || this.canceling.has(order.orderId)) return;
    this.canceling.add(order.orderId);
    this.render();
    this.onCancel(order).finally(() => {
      this.canceling.delete(order.orderId);
      this.render();
    });
  }

  cancelButton(order) {
    const busy = this.canceling.has(order.orderId);
    const label = `Cancel ${order.side.toLowerCase()} order ${order.orderId} in ${order.symbol}`;
    return element(
      "button",
      { type: "button", className: "row-button", disabled: busy, data: { order: String(order.orderId) }, attributes: { "aria-label": label } },
      busy ? "Canceling…" : "Cancel",
    );
  }

  orderRow(order, last) {
    const market = this.marketOf(order.symbol);
    const price = order.price === 0n ? "Market" : formatDecimal(order.price, market.pricePlaces, { group: true });
    const filled = formatDecimal(order.filled, market.quantityPlaces, { group: true });
    const cells = [momentText(order.createdAtMs), order.symbol, sideText(order.side), this.typeCell(order, market), triggerText(order, market), price, amountText(order, market), filled, ...last];
    return { key: order.orderId, cells };
  }

  /** Kind of the order; of a block order also what each account is to get and has got. */
  typeCell(order, market) {
    const shares = this.store.shares.get(order.orderId);
    if (shares === undefined) return typeText(order);
    const amount = (units) => formatDecimal(units, 0, { group: true });
    const lines = shares.map(({ account, quantity, filled }) =>
      element("li", {}, `${account}: ${amount(filled)} of ${amount(quantity)} ${market.base}`));
    const summary = element("summary", {}, `${typeText(order)} · block of ${shares.length}`);
    return element("details", { open: this.unfolded.has(order.orderId) }, summary, element("ul", { className: "shares" }, ...lines));
  }

  averageText(order) {
    if (order.filled === 0n) return "–";
    return formatRoundedDown((order.filledTotal * 10n ** 8n) / order.filled, this.marketOf(order.symbol).pricePlaces, { group: true });
  }

  tradeRow(trade) {
    const market = this.marketOf(trade.symbol);
    const cells = [
      momentText(trade.timeMs),
      trade.symbol,
      sideText(trade.side),
      formatDecimal(trade.price, market.pricePlaces, { group: true }),
      formatDecimal(trade.quantity, market.quantityPlaces, { group: true }),
      `${formatDecimal(trade.total, market.pricePlaces, { group: true })} ${market.quote}`,
      `${trade.fee} ${trade.feeAsset ?? ""}`,
      trade.maker ? "Maker" : "Taker",
    ];
    return { key: `${trade.symbol} ${trade.tradeId} ${trade.orderId}`, cells };
  }

  marketOf(symbol) {
    return this.markets.get(symbol) ?? this.market;
  }
}

function fill(name, rows) {
  const table = byId(name);
  const focused = document.activeElement?.dataset?.order;
  const unfolding = document.activeElement?.matches("summary") ? document.activeElement.closest("tr")?.dataset.key : undefined;
  fillTable(table, rows);
  table.hidden = rows.length === 0;
  byId(`${name}-empty`).hidden = rows.length > 0;
  if (focused !== undefined) table.querySelector(`[data-order="${focused}"]`)?.focus();
  if (unfolding !== undefined) table.querySelector(`tr[data-key="${unfolding}"] summary`)?.focus();
}

function sideText(side) {
  return element("span", { className: side === "BUY" ? "buy" : "sell" }, side === "BUY" ? "Buy" : "Sell");
}

const TYPE_WORDS = {
  LIMIT_MAKER: "Post-only", STOP_LOSS: "Stop market", STOP_LOSS_LIMIT: "Stop limit", TAKE_PROFIT: "Take profit",
  TAKE_PROFIT_LIMIT: "Take profit limit",
};

/** Kind, and what is special about it: its list, a review, and a time in force other than until canceled. */
function typeText(order) {
  const word = TYPE_WORDS[order.type] ?? order.type.charAt(0) + order.type.slice(1).toLowerCase();
  const marks = [
    order.trail === null ? null : "trailing",
    order.listId > -1 ? "list" : null,
    order.status !== "PENDING_NEW" ? null : order.listId > -1 ? "pending" : "in review",
    order.timeInForce === "GTC" ? null : order.timeInForce,
  ];
  return [word, ...marks.filter((mark) => mark !== null)].join(" · ");
}

/** The price at which a waiting order starts, and for a trailing one its distance; a dash for orders without. */
function triggerText(order, market) {
  const stop = order.stop === 0n ? null : `${firesOnRise(order.side, order.type) ? "≥" : "≤"} ${formatDecimal(order.stop, market.pricePlaces, { group: true })}`;
  const trail = order.trail === null ? null : `${formatDecimal(BigInt(order.trail) * 10n ** 6n, 0)} %`;
  return [stop, trail].filter((part) => part !== null).join(", ") || "–";
}

function amountText(order, market) {
  if (order.quantity === 0n) return `${formatDecimal(order.total, 0, { group: true })} ${market.quote}`;
  const whole = formatDecimal(order.quantity, market.quantityPlaces, { group: true });
  return order.visible === 0n ? whole : `${whole} (${formatDecimal(order.visible, 0, { group: true })} visible)`;
}

function statusText(order) {
  return STATUS_WORDS[order.status] ?? order.status;
}
