// What the editors of definitions share: JSON that loses nothing, pieces of the page, undo, a warning to who leaves.
"use strict";

const Editing = (() => {
  // A number as it was written: 1.0 stays 1.0, and whole numbers beyond 2^53 keep their digits.
  class Numeral {
    constructor(text) {
      this.text = text;
    }

    toString() {
      return this.text;
    }
  }

  const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;

  // Throws where the text is not JSON, or where a key comes twice.
  const parse = (text) => {
    JSON.parse(text);
    const tokens = text.match(TOKEN);
    let at = 0;
    const listed = (closing, read) => {
      const found = [];
      while (tokens[at] !== closing) {
        found.push(read());
        if (tokens[at] === ",") at += 1;
      }
      at += 1;
      return found;
    };
    const pair = () => {
      const key = JSON.parse(tokens[at]);
      at += 2;
      return [key, value()];
    };
    const value = () => {
      const token = tokens[at];
      at += 1;
      if (token === "[") return listed("]", value);
      if (token === "{") return objectOf(listed("}", pair));
      return /^[-\d]/.test(token) ? new Numeral(token) : JSON.parse(token);
    };
    return value();
  };

  const objectOf = (pairs) => {
    const names = pairs.map(([name]) => name);
    const twice = names.find((name, at) => names.indexOf(name) < at);
    if (twice !== undefined) throw new SyntaxError(`the key '${twice}' comes twice`);
    return Object.fromEntries(pairs);
  };

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Numeral);

  const onALine = (value) => {
    if (value instanceof Numeral) return value.text;
    if (Array.isArray(value)) return `[${value.map(onALine).join(", ")}]`;
    if (!isObject(value)) return JSON.stringify(value);
    return `{${Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${onALine(entry)}`).join(", ")}}`;
  };

  // The JSON as the console writes it elsewhere: what fits on a line stands on one.
  const written = (value, indent = "") => {
    const line = onALine(value);
    if (indent.length + line.length <= 100 || !(isObject(value) || Array.isArray(value))) return line;
    const inner = `${indent}  `;
    const parts = Array.isArray(value)
      ? value.map((entry) => written(entry, inner))
      : Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${written(entry, inner)}`);
    const [opening, closing] = Array.isArray(value) ? "[]" : "{}";
    return `${opening}\n${parts.map((part) => inner + part).join(",\n")}\n${indent}${closing}`;
  };

  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  const button = (label, words, act, disabled = false) => {
    const made = make("button", { type: "button", className: "ih-tool", textContent: label, title: words, disabled });
    if (label !== words) made.setAttribute("aria-label", words);
    made.dataset.key = words;
    made.addEventListener("click", act);
    return made;
  };

  const note = (words) => make("p", { className: "ih-note", textContent: words });

  // What `text` was before each change, and the button that goes back.
  const history = (text, redraw) => {
    const past = [];
    const goBack = () => {
      text.value = past.pop();
      undo.disabled = past.length === 0;
      redraw();
    };
    const undo = button("Undo", "Undo the last change", goBack, true);
    const remember = (before) => {
      past.push(before);
      undo.disabled = false;
    };
    return { undo, remember };
  };

  // Whoever leaves a form with changes that were not saved is asked first; one that came back with errors has some.
  const warnWhoLeaves = (form) => {
    const state = () => new URLSearchParams(new FormData(form)).toString();
    const start = form.querySelector(".errornote") ? "" : state();
    let isSent = false;
    form.addEventListener("submit", (event) => (isSent = !event.defaultPrevented));
    window.addEventListener("pageshow", () => (isSent = false));
    window.addEventListener("beforeunload", (event) => {
      if (!isSent && state() !== start) event.preventDefault();
    });
  };

  return { Numeral, parse, written, isObject, make, button, note, history, warnWhoLeaves };
})();
