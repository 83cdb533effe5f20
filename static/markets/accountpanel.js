/**
 * The signed-in half of the page: own orders, trades and balances, asked for on every connection and live afterwards.
 */

import { socketUrl } from "./address.js";
import { BalanceStore } from "./balances.js";
import { BalancesView } from "./balancesview.js";
import { parseSigned } from "./decimal.js";
import { byId } from "./dom.js";
import { notifyFill } from "./fillnotices.js";
import { notify } from "./notices.js";
import { OrderStore } from "./orders.js";
import { OrdersView } from "./ordersview.js";
import { refusalOf } from "./refusals.js";
import { ApiError } from "./rest.js";
import { TradingSession, Unanswered } from "./tradingsession.js";

const HISTORY_LIMIT = 100;
const RESYNC_RETRY_MS = 2000;
/** Fills of a block order come in crowds; its shares are asked for once for what came within this time. */
const SHARES_DELAY_MS = 500;

export class AccountPanel {
  /** `onChange()` runs after each change of orders or balances, `onFound(clientOrderId)` for each own order seen. */
  constructor({ page, market, markets, onPhase, onChange, onFound }) {
    Object.assign(this, { page, market, markets, onChange, onFound });
    this.orders = new OrderStore();
    this.balances = new BalanceStore();
    // {maker, taker} in units (0.001 = 0.1 %), of this market and from the site: the API's account rates span all.
    this.rates = { maker: parseSigned(page.dataset.makerRate), taker: parseSigned(page.dataset.takerRate) };
    this.generation = 0;
    this.sharesAsked = new Set();
    this.ordersView = new OrdersView({
      market,
      markets,
      store: this.orders,
      onCancel: (order) => this.cancel(order),
      onCancelAll: () => this.cancelAll(),
    });
    this.balancesView = new BalancesView(market, this.balances);
    this.session = new TradingSession({
      url: socketUrl(page.dataset.wsApi),
      ticketUrl: page.dataset.ticketUrl,
      csrfToken: page.dataset.csrf,
      handlers: {
        onReady: () => this.resync(),
        onEvent: (event) => this.takeEvent(event),
        onPhase,
        onSignedOut: (error) => this.signedOut(error),
      },
    });
  }

  start() {
    this.session.start();
  }

  /** Own open prices of a book side in this market, for the marks in the book. */
  ownPrices(side) {
    const wanted = side === "bid" ? "BUY" : "SELL";
    return new Set(this.orders.open(this.market.symbol).filter((order) => order.side === wanted).map((order) => order.price));
  }

  place({ method, params }) {
    return this.session.request(method, params);
  }

  /** Asks for everything that may have changed while there was no connection. Repeats until it has all of it. */
  async resync() {
    this.generation += 1;
    const mine = this.generation;
    const { symbol } = this.market;
    const askedAtMs = Date.now();
    const mark = this.balances.mark();
    const answers = await Promise.allSettled([
      this.session.request("account.status").then((account) => this.balances.takeAccount(account, mark)),
      this.session.request("openOrders.status").then((rows) => {
        this.orders.dropOpenMissingFrom(rows, askedAtMs);
        this.orders.takeOrders(rows);
      }),
      this.session.request("allOrders", { symbol, limit: HISTORY_LIMIT }).then((rows) => this.orders.takeOrders(rows)),
      this.session.request("myTrades", { symbol, limit: HISTORY_LIMIT }).then((rows) => this.orders.takeTrades(rows)),
      // Only a master account has block orders.
      ...(this.page.dataset.blocks === "yes" ? [this.askShares({ symbol })] : []),
    ]);
    if (mine !== this.generation) return;
    this.changed();
    for (const order of this.orders.orders.values()) this.onFound(order.clientOrderId);
    const failed = answers.find((answer) => answer.status === "rejected");
    if (failed === undefined || !this.session.ready) return;
    console.warn("the account did not load completely:", failed.reason.message);
    window.setTimeout(() => mine === this.generation && this.session.ready && this.resync(), RESYNC_RETRY_MS);
  }

  /** Shares of block orders of this market: of one, or of all that are open. */
  askShares(params) {
    return this.session.request("blockOrder.allocations", params).then((rows) => this.orders.takeShares(rows));
  }

  /** A block order has filled, so its accounts have more. */
  followShares({ orderId, symbol }) {
    if (!this.orders.shares.has(orderId) || this.sharesAsked.has(orderId)) return;
    this.sharesAsked.add(orderId);
    window.setTimeout(() => {
      this.sharesAsked.delete(orderId);
      // Without an answer the next fill or connection asks again.
      this.askShares({ symbol, orderId }).then(() => this.changed(), (error) => console.warn("the shares of a block order did not load:", error.message));
    }, SHARES_DELAY_MS);
  }

  /** Takes the answer to an order; of a block order it has the shares. */
  takePlaced({ orderId, allocations }) {
    if (allocations === undefined || this.orders.shares.has(orderId)) return;
    this.orders.takeShares(allocations.map((share) => ({ orderId, executedQty: "0", ...share })));
    this.followShares({ orderId, symbol: this.market.symbol });
    this.changed();
  }

  takeEvent(event) {
    if (event.e === "executionReport") this.takeReport(event);
    else if (event.e === "outboundAccountPosition") this.balances.takePosition(event);
    // A deposit or withdrawal says only how much moved; the position event beside it carries the balance.
    this.changed();
  }

  takeReport(report) {
    const { order, trade } = this.orders.takeReport(report, Date.now());
    this.onFound(order.clientOrderId);
    if (trade !== null) this.followShares(order);
    const market = this.markets.get(order.symbol) ?? this.market;
    if (trade !== null) notifyFill(trade, market);
    else if (order.status === "EXPIRED") {
      notify("warning", `${order.symbol}: ${report.z === report.q ? "" : "what was left of "}your ${order.side.toLowerCase()} order expired${expiryText(report.eR)}.`);
    } else if (order.status === "REJECTED") {
      notify("warning", `${order.symbol}: your ${order.side.toLowerCase()} order was rejected in review.`);
    } else if (order.status === "EXPIRED_IN_MATCH") {
      notify("warning", `${order.symbol}: your ${order.side.toLowerCase()} order met one of your own orders and was stopped.`);
    }
  }

  changed() {
    this.ordersView.draw();
    this.balancesView.draw();
    this.onChange();
  }

  async cancel(order) {
    try {
      const done = await this.session.request("order.cancel", { symbol: order.symbol, orderId: order.orderId });
      if (done?.status === "CANCELED") notify("info", `Canceled ${order.side.toLowerCase()} order in ${order.symbol}.`);
    } catch (error) {
      this.explain(error, "The cancel was not confirmed. Check whether the order is still open.");
    }
  }

  async cancelAll() {
    const count = this.orders.open(this.market.symbol).length;
    if (!(await confirmed(`Cancel ${count === 1 ? "the open order" : `all ${count} open orders`} in ${this.market.symbol}?`))) return;
    try {
      await this.session.request("openOrders.cancelAll", { symbol: this.market.symbol });
      notify("info", `Canceled all open orders in ${this.market.symbol}.`);
    } catch (error) {
      this.explain(error, "The cancel was not confirmed. Check your open orders.");
    }
  }

  explain(error, unansweredText) {
    if (error instanceof Unanswered) notify("warning", unansweredText);
    else if (error instanceof ApiError) notify("error", refusalOf(error).text);
    else notify("error", error.message);
    if (error instanceof ApiError && this.session.ready) this.resync();
  }

  signedOut(error) {
    this.generation += 1;
    this.orders.clear();
    this.balances.clear();
    this.page.dataset.signedIn = "no";
    this.changed();
    notify("warning", error.message);
  }
}

/** Why an order expired, in the trader's words; nothing where there is nothing to add. */
function expiryText(reason) {
  const words = {
    INSUFFICIENT_LIQUIDITY: "nothing in the book could fill it", UNFILLED_IOC_QUANTITY_EXPIRED: "nothing more could fill it at once",
    UNFILLED_FOK_ORDER_EXPIRED: "the book could not fill all of it at once", EXPIRED_BY_TIME: "its time was over",
    OCO_TRIGGER: "the other order of its pair began", OTO_PHASE_ONE_EXPIRED: "the order before it ended unfilled",
    PARK_EXPIRED: "nobody reviewed it in time",
    EXECUTION_RULE_PRICE_RANGE_EXCEEDED: "trading halts at its price", REJECTED: "it could not be placed when its time came",
  };
  return words[reason] === undefined ? "" : `, because ${words[reason]}`;
}

/** Asks in a dialog; Escape and Cancel mean no. */
function confirmed(question) {
  const dialog = byId("confirm-dialog");
  byId("confirm-question").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
