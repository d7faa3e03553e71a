// Decision tables as tables that can be edited, above the JSON that is sent. Whoever writes the JSON sees the tables
// follow. Enter and the arrows go from row to row; what is wrong with a cell stands below it.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const { parse, written, make, button, note, history, warnWhoLeaves } = Editing;
  const text = document.getElementById("id_definition");
  const field = text.closest(".group");
  let definition = null;

  const isTable = (table) =>
    [table?.inputs, table?.outputs, table?.rules].every(Array.isArray) &&
    table.rules.every((rule) => Array.isArray(rule?.when) && Array.isArray(rule?.then));

  const tablesOf = (found) => (Array.isArray(found?.tables) ? found.tables : [found]);

  const read = () => {
    try {
      const found = parse(text.value);
      return tablesOf(found).every((table) => table?.rule_set || isTable(table)) ? found : null;
    } catch {
      return null;
    }
  };

  // What the server said of cells, by table, row, side and column.
  const wrong = new Map();
  const said = [...field.querySelectorAll("li")].map((item) => item.textContent.trim());
  for (const sentence of said) {
    const [, at = "", row, side, column, words] =
      /^(?:\/tables\/(\d+))?\/rules\/(\d+)\/(when|then)\/(\d+): (.*)$/s.exec(sentence) ?? [];
    if (words) wrong.set([at, row, side, column].join("/"), words);
  }

  const cell = (place, words, holder, key) => {
    const [, row, side] = place;
    const input = make("input", { className: "ih-cell", value: holder[key] ?? "", spellcheck: side === "note" });
    if (side === "when") input.placeholder = "any";
    input.setAttribute("aria-label", `Row ${row + 1}, ${words}`);
    input.dataset.place = place.join("/");
    let before;
    input.addEventListener("focus", () => (before = text.value));
    input.addEventListener("input", () => {
      holder[key] = input.value;
      text.value = written(definition);
    });
    input.addEventListener("change", () => {
      remember(before);
      before = text.value;
    });
    const problem = wrong.get(place.join("/"));
    if (!problem) return make("td", {}, input);
    input.setAttribute("aria-invalid", "true");
    return make("td", {}, input, make("div", { className: "ih-alarm ih-small", textContent: problem }));
  };

  const change = (act) => () => {
    remember(text.value);
    act();
    wrong.clear(); // rows have other numbers now
    text.value = written(definition);
    draw();
  };

  const tools = ({ inputs, rules }, row) => {
    const move = (to) => change(() => rules.splice(to, 0, ...rules.splice(row, 1)));
    const fresh = () => ({ when: inputs.map(() => ""), then: [...rules[row].then] });
    return make(
      "td",
      { className: "ih-row-tools" },
      button("↑", `Move row ${row + 1} up`, move(row - 1), row === 0),
      button("↓", `Move row ${row + 1} down`, move(row + 1), row === rules.length - 1),
      button("+", `New row above row ${row + 1}`, change(() => rules.splice(row, 0, fresh()))),
      button("×", `Remove row ${row + 1}`, change(() => rules.splice(row, 1)), rules.length === 1),
    );
  };

  // A dotted name that may go on in the next line.
  const breakable = (name) => name.split(/(?<=\.)|(?=_)/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));

  const nameOf = (column) => column.label || column.field;

  const heading = (word, column) =>
    make("th", { scope: "col" }, `${word}: ${nameOf(column)} `, make("span", { className: "ih-small" }, ...breakable(column.field), `, ${column.type}`));

  const row = (table, at, rule, number) =>
    make(
      "tr",
      {},
      make("td", { textContent: number + 1 }),
      ...table.inputs.map((one, column) => cell([at, number, "when", column], `if ${nameOf(one)}`, rule.when, column)),
      ...table.outputs.map((one, column) => cell([at, number, "then", column], `then ${nameOf(one)}`, rule.then, column)),
      cell([at, number, "note", 0], "note", rule, "note"),
      tools(table, number),
    );

  const grid = (table, at) => {
    const columns = [...table.inputs.map((one) => heading("If", one)), ...table.outputs.map((one) => heading("Then", one))];
    const head = make("tr", {}, make("th", { textContent: "#" }), ...columns, make("th", { textContent: "Note" }), make("th"));
    const rows = table.rules.map((rule, number) => row(table, at, rule, number));
    const shown = make("table", { className: "ih-table ih-grid" }, make("thead", {}, head), make("tbody", {}, ...rows));
    return make("div", { className: "ih-card ih-scroll" }, shown);
  };

  const draw = () => {
    definition = read();
    grids.replaceChildren();
    if (!definition) {
      grids.append(note("The JSON below has no decision table that could be shown."));
      return;
    }
    const isSequence = Array.isArray(definition.tables);
    tablesOf(definition).forEach((table, at) => {
      const words = table.rule_set ? `the rule set ${table.rule_set}, version ${table.version}` : `hit policy ${table.hit_policy}`;
      grids.append(note(`${isSequence ? `Table ${at + 1}, ${table.name}` : "Decision table"}: ${words}.`));
      if (!table.rule_set) grids.append(grid(table, isSequence ? at : ""));
    });
  };

  const { undo, remember } = history(text, () => draw());
  const grids = make("div", { className: "ih-grids" });
  const json = make("details", { className: "ih-json" }, make("summary", { textContent: "As JSON, where columns and hit policy can be changed too" }));
  field.before(grids, make("div", { className: "ih-buttons" }, undo), json);
  json.append(field);
  text.addEventListener("input", draw);
  grids.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1, Enter: 1 }[event.key];
    if (!step || !event.target.matches(".ih-cell")) return;
    event.preventDefault();
    const [at, from, ...rest] = event.target.dataset.place.split("/");
    grids.querySelector(`[data-place="${[at, Number(from) + step, ...rest].join("/")}"]`)?.focus();
  });
  warnWhoLeaves(text.form);
  draw();
  grids.querySelector("[aria-invalid]")?.focus(); // it may stand hundreds of rows down
  json.open = !definition || wrong.size < said.length;
});
