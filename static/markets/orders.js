/**
 * The account's orders and trades as the page knows them: the newest word on each order, wherever it came from.
 *
 * Two sources meet here: lists asked from the server (a read model that may lag) and executionReport events (live).
 * An order only moves forward: a word replaces an older one when it has filled more, or has filled the same and is at
 * least as final, or is newer. So the order of arrival does not matter, and repeats change nothing.
 */

import { parseDecimal } from "./decimal.js";

const RANK = { PENDING_NEW: 0, NEW: 1, PARTIALLY_FILLED: 2 };
const FINAL_RANK = 3;

/** Most closed orders and trades kept; older ones are on the history pages. */
const KEPT_MAX = 500;

export class OrderStore {
  constructor() {
    this.clear();
  }

  clear() {
    this.orders = new Map();
    this.trades = new Map();
    // Shares of block orders by order id: {account, quantity, filled}, in the order of their rule.
    this.shares = new Map();
  }

  /** Takes rows of blockOrder.allocations, whole orders of them. */
  takeShares(rows) {
    const fresh = new Map();
    for (const { orderId, accountId, quantity, executedQty } of rows) {
      if (!fresh.has(orderId)) fresh.set(orderId, []);
      fresh.get(orderId).push({ account: accountId, quantity: parseDecimal(quantity), filled: parseDecimal(executedQty) });
    }
    for (const [orderId, shares] of fresh) {
      // What fills only grows, so an answer that was overtaken changes nothing.
      const known = this.shares.get(orderId);
      if (known === undefined || filledOf(shares) >= filledOf(known)) this.shares.set(orderId, shares);
      trim(this.shares, () => true);
    }
  }

  /** Takes rows of openOrders.status or allOrders. */
  takeOrders(rows) {
    for (const row of rows) this.put(orderFromRow(row));
  }

  /** Takes rows of myTrades. */
  takeTrades(rows) {
    for (const row of rows) this.putTrade(tradeFromRow(row));
  }

  /**
   * Orders that the page holds as open although a complete list of open orders, asked after `askedAtMs`, lacks them.
   * They closed while the page was away. They leave the open list; their last state comes with the history.
   */
  dropOpenMissingFrom(rows, askedAtMs) {
    const listed = new Set(rows.map((row) => row.orderId));
    for (const order of this.open()) {
      if (!listed.has(order.orderId) && order.seenAtMs < askedAtMs) this.orders.delete(order.orderId);
    }
  }

  /** Takes an executionReport; returns {order, trade} with what it changed, trade null unless it was a fill. */
  takeReport(report, nowMs) {
    const order = orderFromReport(report);
    order.seenAtMs = nowMs;
    this.put(order);
    const trade = report.x === "TRADE" ? tradeFromReport(report) : null;
    if (trade !== null) this.putTrade(trade);
    return { order, trade };
  }

  put(order) {
    if (order.orderId < 0) return;
    const known = this.orders.get(order.orderId);
    if (known !== undefined && !supersedes(order, known)) return;
    this.orders.set(order.orderId, known === undefined ? order : { ...order, seenAtMs: Math.max(order.seenAtMs, known.seenAtMs) });
    trim(this.orders, (candidate) => !isOpen(candidate));
  }

  putTrade(trade) {
    const key = `${trade.symbol} ${trade.tradeId} ${trade.orderId}`;
    if (!this.trades.has(key)) this.trades.set(key, trade);
    trim(this.trades, () => true);
  }

  findByClientId(clientOrderId) {
    for (const order of this.orders.values()) if (order.clientOrderId === clientOrderId) return order;
    return null;
  }

  /** Open orders, newest first. */
  open(symbol = null) {
    return this.select((order) => isOpen(order), symbol);
  }

  /** Closed orders, newest first. */
  closed(symbol = null) {
    return this.select((order) => !isOpen(order), symbol);
  }

  /** Own trades, newest first. */
  ownTrades(symbol = null) {
    return [...this.trades.values()]
      .filter((trade) => symbol === null || trade.symbol === symbol)
      .sort((left, right) => right.timeMs - left.timeMs || right.tradeId - left.tradeId);
  }

  select(test, symbol) {
    return [...this.orders.values()]
      .filter((order) => test(order) && (symbol === null || order.symbol === symbol))
      .sort((left, right) => right.orderId - left.orderId);
  }
}

function filledOf(shares) {
  return shares.reduce((sum, share) => sum + share.filled, 0n);
}

export function isOpen(order) {
  return order.status in RANK;
}

function rank(order) {
  return RANK[order.status] ?? FINAL_RANK;
}

function supersedes(next, known) {
  if (next.filled !== known.filled) return next.filled > known.filled;
  if (rank(next) !== rank(known)) return rank(next) > rank(known);
  return next.updatedAtMs >= known.updatedAtMs;
}

function trim(map, removable) {
  if (map.size <= KEPT_MAX) return;
  for (const [key, value] of map) {
    if (removable(value)) {
      map.delete(key);
      return;
    }
  }
}

function orderFromRow(row) {
  return {
    orderId: row.orderId,
    clientOrderId: row.clientOrderId,
    symbol: row.symbol,
    side: row.side,
    type: row.type,
    status: row.status,
    timeInForce: row.timeInForce,
    price: parseDecimal(row.price),
    stop: parseDecimal(row.stopPrice ?? "0"),
    trail: row.trailingDelta ?? null,
    waits: row.isWorking === false,
    listId: row.orderListId ?? -1,
    quantity: parseDecimal(row.origQty),
    visible: parseDecimal(row.icebergQty ?? "0"),
    total: parseDecimal(row.origQuoteOrderQty ?? "0"),
    filled: parseDecimal(row.executedQty),
    filledTotal: parseDecimal(row.cummulativeQuoteQty),
    createdAtMs: row.time ?? row.transactTime,
    updatedAtMs: row.updateTime ?? row.transactTime,
    seenAtMs: 0,
  };
}

function orderFromReport(report) {
  return {
    orderId: report.i,
    // On a cancel `c` is the id of the cancel request and `C` the order's own.
    clientOrderId: report.C ? report.C : report.c,
    symbol: report.s,
    side: report.S,
    type: report.o,
    status: report.X,
    timeInForce: report.f,
    price: parseDecimal(report.p),
    stop: parseDecimal(report.P ?? "0"),
    trail: report.d ?? null,
    waits: report.w === false,
    listId: report.g ?? -1,
    quantity: parseDecimal(report.q),
    visible: parseDecimal(report.F ?? "0"),
    total: parseDecimal(report.Q ?? "0"),
    filled: parseDecimal(report.z),
    filledTotal: parseDecimal(report.Z),
    createdAtMs: report.O,
    updatedAtMs: report.T,
    seenAtMs: 0,
  };
}

function tradeFromRow(row) {
  return {
    symbol: row.symbol,
    tradeId: row.id,
    orderId: row.orderId,
    side: row.isBuyer ? "BUY" : "SELL",
    maker: row.isMaker,
    price: parseDecimal(row.price),
    quantity: parseDecimal(row.qty),
    total: parseDecimal(row.quoteQty),
    fee: row.commission,
    feeAsset: row.commissionAsset,
    timeMs: row.time,
  };
}

function tradeFromReport(report) {
  return {
    symbol: report.s,
    tradeId: report.t,
    orderId: report.i,
    side: report.S,
    maker: report.m,
    price: parseDecimal(report.L),
    quantity: parseDecimal(report.l),
    total: parseDecimal(report.Y),
    fee: report.n,
    feeAsset: report.N,
    timeMs: report.T,
  };
}
