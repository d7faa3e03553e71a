// Controls that show and change one place of a definition. What a control cannot show without loss is shown as JSON; one
// that is left as it is changes nothing.
"use strict";

const Cells = (() => {
  const { Numeral, parse, written, isObject, make } = Editing;
  const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;
  const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f]/;

  const pointer = (...parts) => parts.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

  const put = (holder, key, value) => {
    if (value === undefined) delete holder[key];
    else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
  };

  // A place: how to read it (undefined where there is nothing) and how to write it (undefined takes it away).
  const slot = (holder, key) => ({
    get: () => (Object.hasOwn(holder, key) ? holder[key] : undefined),
    set: (value) => put(holder, key, value),
  });

  // All keys of an object but the `known` ones, as one object; undefined where there are none.
  const rest = (holder, known) => {
    const others = () => Object.keys(holder).filter((key) => !known.includes(key));
    return {
      get: () => (others().length ? Object.fromEntries(others().map((key) => [key, holder[key]])) : undefined),
      set: (value = {}) => {
        others().forEach((key) => delete holder[key]);
        Object.entries(value).forEach(([key, entry]) => put(holder, key, entry));
      },
      check: (value) => {
        if (!isObject(value)) return "Expected a JSON object: { ... }.";
        const taken = Object.keys(value).filter((key) => known.includes(key));
        return taken.length ? `The form has a place of its own for ${taken.join(", ")}.` : "";
      },
    };
  };

  const said = (value, problem = "") => ({ value, problem });
  const isPlain = (value) => typeof value === "string" && value !== "" && !UNPRINTABLE.test(value);
  const isLine = (value) => isPlain(value) && !value.includes("\n") && value.trim() === value;

  const numeral = (text) => (NUMBER.test(text) ? said(new Numeral(text)) : said(undefined, "Expected a number, for example 12.5."));

  const lines = (fits, read) => ({
    tag: "textarea",
    fits: (value) => Array.isArray(value) && value.length > 0 && value.every(fits),
    show: (value) => value.map((entry) => entry.text ?? entry).join("\n"),
    read: (text) => {
      const found = text.split("\n").map((line) => line.trim()).filter(Boolean).map(read);
      const problem = found.find((one) => one.problem)?.problem;
      return said(found.length ? found.map((one) => one.value) : undefined, problem);
    },
  });

  const json = {
    tag: "textarea",
    isCode: true,
    fits: () => true,
    show: (value) => written(value),
    read: (text) => {
      try {
        return said(parse(text));
      } catch (error) {
        return said(undefined, `This is not JSON (${error.message}).`);
      }
    },
  };

  // Each kind of control: what it `fits`, how it shows a value as text, and what it reads from one that is not empty.
  const KINDS = {
    text: { tag: "input", fits: (value) => isPlain(value) && !value.includes("\n"), show: (value) => value, read: said },
    prose: { tag: "textarea", fits: isPlain, show: (value) => value, read: said },
    number: { tag: "input", fits: (value) => value instanceof Numeral, show: (value) => value.text, read: (text) => numeral(text.trim()) },
    choice: { tag: "select", fits: (value) => typeof value === "string", show: (value) => value, read: said },
    yesno: {
      tag: "select",
      options: [["true", "yes"], ["false", "no"]],
      fits: (value) => typeof value === "boolean",
      show: String,
      read: (text) => said(text === "true"),
    },
    lines: lines(isLine, said),
    numbers: lines((value) => value instanceof Numeral, numeral),
    json,
  };

  const kindOf = (wanted, value) => {
    if (value === undefined || KINDS[wanted].fits(value)) return KINDS[wanted];
    return wanted === "text" && KINDS.prose.fits(value) ? KINDS.prose : json;
  };

  const fits = (kind, value) => value === undefined || kindOf(kind, value) !== json;

  const options = (entries, value, empty) => {
    const known = entries.some(([name]) => name === value);
    const all = [["", empty], ...entries, ...(value === "" || known ? [] : [[value, `${value} (not there)`]])];
    return all.map(([name, label]) => make("option", { value: name, textContent: label }));
  };

  const element = (kind, found, { entries = kind.options ?? [], empty = "", list = "", placeholder = "" }) => {
    const shown = found === undefined ? "" : kind.show(found);
    const made = make(kind.tag, { className: "ih-cell" });
    if (kind.tag === "select") made.append(...options(entries, shown, empty));
    else Object.assign(made, { spellcheck: false, placeholder });
    if (kind.tag === "textarea") made.rows = Math.min(Math.max(shown.split("\n").length, 2), 12);
    if (kind.isCode) made.classList.add("ih-mono");
    if (list && kind.tag === "input") made.setAttribute("list", list);
    made.value = shown;
    return made;
  };

  const complain = (control, problem) => {
    control.parentElement.querySelector(":scope > .ih-problem")?.remove();
    control.toggleAttribute("aria-invalid", Boolean(problem));
    control.removeAttribute("aria-describedby");
    if (!problem) return;
    control.setAttribute("aria-invalid", "true");
    const told = make("div", { className: "ih-alarm ih-small ih-problem", textContent: problem, id: `${control.id}-problem` });
    control.after(told);
    control.setAttribute("aria-describedby", told.id);
  };

  // `editor` has `publish()` (the definition changed), `remember(before)`, `now()` (its JSON) and `redraw()`.
  const bind = (editor) => {
    let count = 0;

    const wire = (control, shownAs, words, at, { apply, isLate, redraws }) => {
      let shown = shownAs();
      let before; // the definition, until the change is complete
      Object.assign(control.dataset, { at, key: `${at} ${words}` });
      count += 1;
      control.id = `ih-cell-${count}`;
      const take = () => {
        const now = shownAs();
        if (now === shown) return;
        before ??= editor.now();
        const problem = apply(now);
        complain(control, problem);
        control.toggleAttribute("data-problem", Boolean(problem));
        if (problem) return;
        shown = now;
        editor.publish();
      };
      if (!isLate) control.addEventListener("input", take);
      control.addEventListener("change", () => {
        take();
        const earlier = before ?? editor.now();
        before = undefined;
        if (earlier === editor.now()) return;
        editor.remember(earlier);
        if (redraws) editor.redraw();
      });
      return control;
    };

    // `kind` is one of KINDS. `check` says what is wrong with a value; `isLate`: only once the control is left.
    const cell = (kind, words, at, place, more = {}) => {
      const found = place.get();
      const used = kindOf(kind, found);
      const control = element(used, found, more);
      control.setAttribute("aria-label", words);
      const apply = (text) => {
        const { value, problem } = text === "" ? said(undefined) : used.read(text);
        const wrong = problem || (value === undefined ? more.needed ?? "" : ((more.check ?? place.check)?.(value) ?? ""));
        if (!wrong) place.set(value);
        return wrong;
      };
      const isCode = used === json;
      return wire(control, () => control.value, words, at, { apply, isLate: more.isLate || isCode, redraws: more.redraws || isCode });
    };

    const check = (words, at, place, more = {}) => {
      const control = make("input", { type: "checkbox", checked: place.get() });
      control.setAttribute("aria-label", words);
      return wire(control, () => control.checked, words, at, { apply: (value) => place.set(value) ?? "", ...more });
    };

    // A control under its name, with a line of help.
    const labelled = (words, control, help = "") => {
      control.removeAttribute("aria-label");
      const label = make("label", { htmlFor: control.id, textContent: words });
      const isCheck = control.type === "checkbox";
      const parts = isCheck ? [make("div", { className: "ih-check" }, control, label)] : [label, make("div", {}, control)];
      return make("div", { className: "ih-field" }, ...parts, help ? make("div", { className: "ih-small", textContent: help }) : null);
    };

    return { cell, check, labelled };
  };

  return { pointer, put, slot, rest, fits, complain, bind };
})();
