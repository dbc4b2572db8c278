"use strict";
// Draws the tables from the page's data. Values become text nodes, never HTML.
(() => {
  const data = JSON.parse(document.getElementById("facts").textContent);
  const root = document.documentElement;
  const PAGE = 12;
  const TIER_COLUMNS = new Set(["tier", "from", "to", "target"]);
  const RISK_COLOURS = { High: "#e11d48", Medium: "#f59e0b", Low: "#94a3b8" };
  const SAY = {
    search: ["搜索…", "Search …"], previous: ["上一页", "Previous"], next: ["下一页", "Next"],
    none: ["没有符合的行", "No row matches"], of: [" / 共 ", " of "], rows: [" 行", " rows"],
    more: ["此外还有 {} 行,见工作簿与数据集市", "and {} more, see workbook and mart"],
    indicator: ["指标", "Indicator"], value: ["原值", "Value"], score: ["得分", "Score"], weight: ["权重", "Weight"],
    points: ["贡献", "Points"], total: ["合计", "Total"], since: ["自", "since"], coverage: ["覆盖率", "coverage"],
    range: ["未知部分可使得分在 {0} 与 {1} 之间", "with what is unknown the score lies between {0} and {1}"],
    why: ["为何是这一等级", "Why this tier"], alone: ["仅按得分", "by the score alone"], strategy: ["策略", "Strategy"],
    upward: ["距上一等级", "To the next tier"], missing: ["还差 {0} 分,需达到 {1}", "{0} points missing to {1}"],
    margin: ["(含缓冲 {})", ", a margin of {} included"], suffices: ["得分已达到 {}", "the score has the {} it takes"],
    earliest: ["最早 {}", "not before {}"],
    step: ["{0} 由 {1} 到 {2}({3}),可得 {4} 分", "{0} from {1} to {2} ({3}) brings {4}"],
    nostep: ["没有单项指标可独自达到", "no single indicator reaches it alone"],
    cap: ["{0} 要求 {1} 至少 {2},现为 {3}:封顶 {4}", "{0} needs {1} of {2}, it is {3}: capped at {4}"],
    history: ["近期变动", "Recent changes"], top: ["已是最高等级,或方案无得分距离", "The best tier, or a scheme without distances"],
  };
  const lang = () => (root.lang === "zh" ? 0 : 1);
  const say = (key, ...values) =>
    values.reduce((text, value, i) => text.replace(`{${i}}`, value).replace("{}", value), SAY[key][lang()]);
  const word = (number) => (number === null || number === undefined ? "" : data.words[number][lang()]);
  const locale = () => (lang() ? "en-US" : "zh-CN");
  const formats = {};
  const numeral = (value, digits, extra) => {
    const key = `${locale()}${digits}${JSON.stringify(extra)}`;
    formats[key] = formats[key] || new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, ...extra });
    return formats[key].format(value);
  };
  const show = (value, kind) => {
    if (value === null || value === undefined) return "–";
    if (kind === "label") return word(value);
    if (kind === "percent") return numeral(value, 1, { style: "percent", minimumFractionDigits: 1 });
    if (kind === "money") return numeral(value, 0, {});
    if (kind === "number" || kind === "integer") return numeral(value, 2, {});
    return String(value);
  };
  const indicator = (name) => word((data.indicators[name] || [])[0]) || name;
  const measured = (name, value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value === "string") return value;
    const [, kind, unit] = data.indicators[name] || [null, "number", null];
    return show(value, kind) + (unit === null || unit === undefined ? "" : ` ${word(unit)}`);
  };
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "on") element.addEventListener(...value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const isNumber = (kind) => ["integer", "number", "money", "percent"].includes(kind);

  const explanation = (id) => {
    const one = data.explanations[id];
    const head = ["indicator", "value", "score", "weight", "points"].map((key, i) =>
      make("th", { class: i ? "number" : undefined }, say(key)));
    const lines = (one.scores || []).map(([name, raw, score, weight, points, status]) =>
      make("tr", {},
        make("td", {}, indicator(name), word(status) ? ` (${word(status)})` : ""),
        make("td", { class: "number" }, measured(name, raw)),
        make("td", { class: "number" }, show(score, "number")),
        make("td", { class: "number" }, show(weight, "percent")),
        make("td", { class: "number" }, show(points, "number"))));
    lines.push(make("tr", { class: "total" }, make("td", { colspan: 4 }, say("total")),
      make("td", { class: "number" }, show(one.score, "number"))));
    const side = make("div", {},
      make("h4", {}, say("why")),
      make("p", { class: "verdict" }, chip(one.tier)),
      make("p", {}, `${say("since")} ${one.since} · ${word(one.reason)} · ${say("coverage")} ${show(one.coverage, "percent")}`),
      one.range ? make("p", {}, say("range", ...one.range.map((value) => show(value, "number")))) : null,
      one.computed === undefined ? null : make("p", {}, `${say("alone")}: `, chip(one.computed)),
      one.limit === undefined ? null : make("p", {}, word(one.limit)),
      ...(one.caps || []).map(([name, least, value, tier, cap]) =>
        make("p", {}, say("cap", word(tier), indicator(name), measured(name, least), measured(name, value), word(cap)))),
      word(one.strategy) ? make("p", { class: "about" }, `${say("strategy")}: ${word(one.strategy)}`) : null);
    if (one.next !== undefined) {
      const [tier, missing, needed, margin, earliest] = one.next;
      const points = [missing, needed, margin].map((value) => show(value, "number"));
      const text = missing ? say("missing", ...points) + (margin ? say("margin", points[2]) : "") : say("suffices", points[1]);
      side.append(make("h4", {}, say("upward")),
        make("p", {}, chip(tier), ` ${text}`),
        earliest ? make("p", {}, say("earliest", earliest)) : "",
        one.steps ? make("ul", {}, ...one.steps.map(([name, raw, needed, relative, gained, sign]) =>
          make("li", {}, say("step", indicator(name), measured(name, raw), `${sign} ${measured(name, needed)}`.trim(),
            show(relative, "percent"), show(gained, "number"))))) : missing ? make("p", {}, say("nostep")) : "");
    }
    if (one.history) {
      side.append(make("h4", {}, say("history")), make("ul", {}, ...one.history.map(([day, before, after, reason, cause]) =>
        make("li", {}, `${day}  ${word(before) || "–"} → ${word(after) || "–"} · ${word(reason)} · ${word(cause)}`))));
    }
    return make("div", { class: "why" }, make("div", {}, make("table", {}, make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...lines))), side);
  };

  const chip = (number) => {
    const colour = data.colours[number] || RISK_COLOURS[data.words[number][1]];
    const element = make("span", { class: "chip" }, word(number));
    if (colour) element.style.setProperty("--dot", colour);
    return element;
  };

  class Grid {
    constructor(panel) {
      this.name = panel.dataset.table;
      this.table = data.tables[this.name];
      this.sorted = null;
      this.page = 0;
      this.open = new Set();
      this.id = this.table.columns.findIndex((column) => column.name === "customer_id");
      // What a person may type: the words of both languages, and everything else as it stands.
      this.texts = this.table.rows.map((row) => row.map((value, i) =>
        this.table.columns[i].kind === "label" && value !== null ? data.words[value].join(" ") : String(value ?? "")
      ).join(" ").toLowerCase());
      this.search = make("input", { type: "search", on: ["input", () => { this.page = 0; this.draw(); }] });
      if (this.table.rows.length > PAGE) panel.querySelector(".tools").append(this.search);
      this.scroll = make("div", { class: "scroll" });
      this.pager = make("div", { class: "pager" });
      panel.append(this.scroll, this.pager);
    }
    rows() {
      const wanted = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      const found = this.table.rows.map((_, i) => i).filter((i) => wanted.every((part) => this.texts[i].includes(part)));
      if (this.sorted) {
        const [column, way] = this.sorted;
        const label = this.table.columns[column].kind === "label";
        const key = (i) => { const value = this.table.rows[i][column]; return label && value !== null ? word(value) : value; };
        const empty = (value) => value === null || value === undefined || value === "";
        found.sort((i, j) => {
          const [a, b] = [key(i), key(j)];
          if (empty(a) || empty(b)) return empty(a) - empty(b) || i - j;  // what is missing comes last
          const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), locale());
          return order * way || i - j;
        });
      }
      return found;
    }
    draw() {
      this.search.placeholder = say("search");
      this.search.setAttribute("aria-label", say("search"));
      const { columns, rows, total } = this.table;
      const found = this.rows();
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      this.page = Math.min(this.page, pages - 1);
      const head = make("tr", {}, ...columns.map((column, i) => {
        const active = this.sorted && this.sorted[0] === i;
        const sort = active ? (this.sorted[1] > 0 ? "ascending" : "descending") : "none";
        return make("th", { class: isNumber(column.kind) ? "number" : undefined, "aria-sort": sort },
          make("button", { type: "button", on: ["click", () => { this.sort(i); }] }, word(column.heading)));
      }));
      const body = found.slice(this.page * PAGE, (this.page + 1) * PAGE).flatMap((i) => this.line(rows[i]));
      this.scroll.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
      if (!found.length) this.scroll.append(make("p", { class: "empty" }, say("none")));
      const first = found.length ? this.page * PAGE + 1 : 0;
      const last = Math.min((this.page + 1) * PAGE, found.length);
      let text = `${first}–${last}${say("of")}${show(found.length, "integer")}${say("rows")}`;
      if (total > rows.length) text += ` · ${say("more", show(total - rows.length, "integer"))}`;
      const step = (key, by, off) => make("button", { type: "button", disabled: off ? "" : undefined,
        on: ["click", () => { this.page += by; this.draw(); }] }, say(key));
      this.pager.replaceChildren(make("span", {}, text), pages > 1 ? make("div", {},
        step("previous", -1, this.page === 0), step("next", 1, this.page >= pages - 1)) : "");
      this.pager.hidden = pages === 1 && total <= rows.length && rows.length <= PAGE;
    }
    sort(column) {
      const number = isNumber(this.table.columns[column].kind);
      const first = number ? -1 : 1;
      this.sorted = this.sorted && this.sorted[0] === column
        ? (this.sorted[1] === first ? [column, -first] : null) : [column, first];
      this.page = 0;
      this.draw();
    }
    line(row) {
      const id = this.id < 0 ? null : row[this.id];
      const known = id !== null && data.explanations[id] !== undefined;
      const key = row.join("\u0001");
      const cells = row.map((value, i) => this.cell(value, this.table.columns[i], i === this.id && known ? key : null));
      const line = make("tr", { class: "row" }, ...cells);
      if (!known || !this.open.has(key)) return [line];
      return [line, make("tr", { class: "more" }, make("td", { colspan: row.length }, explanation(id)))];
    }
    cell(value, column, opens) {
      if (opens !== null) {
        return make("td", {}, make("button", { class: "who", type: "button", "aria-expanded": String(this.open.has(opens)),
          on: ["click", () => { this.open.has(opens) ? this.open.delete(opens) : this.open.add(opens); this.draw(); }] },
        String(value)));
      }
      if ((TIER_COLUMNS.has(column.name) || column.name === "risk") && value !== null && word(value)) {
        return make("td", {}, chip(value));
      }
      const text = show(value, column.kind);
      const kind = isNumber(column.kind) ? "number" : column.width >= 36 ? "long" : column.width >= 24 ? "name" : "plain";
      return make("td", { class: kind }, text);
    }
  }

  const grids = [...document.querySelectorAll("[data-table]")].map((panel) => new Grid(panel));
  const choose = (language) => {
    root.lang = language;
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    for (const grid of grids) grid.draw();
  };
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => choose(button.dataset.language));
  }
  choose(root.lang === "zh" ? "zh" : "en");
})();
