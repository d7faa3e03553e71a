// A workflow's definition as a form above the JSON that is sent: input, predictions, rules, actions, settings. What the
// form has no place for stays as it is, and is shown as JSON where it stands.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const { Numeral, parse, written, isObject, make, button, note, history, warnWhoLeaves } = Editing;
  const { pointer, put, slot, rest, fits, complain, bind } = Cells;
  const text = document.getElementById("id_definition");
  const field = text.closest(".group");
  const form = text.form;
  const choices = JSON.parse(text.dataset.choices);
  let definition = null;
  let isPressed = false;
  let isStale = false;

  // ---- the definition and its text

  // Required fields first, as `required` lists them: the database keeps properties by length of name.
  const inOrder = (found) => {
    const { properties, required } = found.input ?? {};
    if (!isObject(properties) || !Array.isArray(required)) return found;
    const place = (name) => (required.includes(name) ? required.indexOf(name) : required.length);
    const ordered = Object.entries(properties).sort(([one], [other]) => place(one) - place(other));
    put(found.input, "properties", Object.fromEntries(ordered));
    return found;
  };

  const read = () => {
    try {
      const found = parse(text.value);
      return isObject(found) ? inOrder(found) : null;
    } catch {
      return null;
    }
  };

  const publish = () => (text.value = written(definition));

  // Soon, once the focus is where it goes: a button that is being pressed must not vanish under the pointer.
  const redraw = () => {
    isStale = true;
    const drawStale = () => isStale && draw();
    if (isPressed) window.addEventListener("pointerup", () => setTimeout(drawStale), { once: true });
    else setTimeout(drawStale);
  };

  const { undo, remember } = history(text, () => {
    errors = [];
    show(mode);
  });
  const { cell, check, labelled } = bind({ publish, remember, now: () => text.value, redraw });

  // A change of what there is, not only of what it says; `focus` names the control that comes next.
  const change = (act, focus = "") => () => {
    remember(text.value);
    act();
    errors = []; // places have other names now
    publish();
    draw(focus);
  };

  // ---- pieces

  const section = (title, at, words, ...children) => {
    const made = make("section", { className: "ih-part" }, make("h3", { className: "ih-heading", textContent: title }), words ? note(words) : null, ...children);
    made.dataset.at = at;
    made.setAttribute("aria-label", title);
    return made;
  };

  const card = (at, ...children) => {
    const made = make("div", { className: "ih-card ih-piece" }, ...children);
    made.dataset.at = at;
    return made;
  };

  const fieldGrid = (...children) => make("div", { className: "ih-fields" }, ...children);

  const table = (columns, rows) => {
    const heads = columns.map((words) => make("th", { scope: "col", textContent: words }));
    const made = make("table", { className: "ih-table ih-grid" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
    return make("div", { className: "ih-card ih-scroll" }, made);
  };

  const td = (...children) => make("td", {}, ...children);
  const code = (words) => make("code", { textContent: words });
  const small = (words) => make("div", { className: "ih-small", textContent: words });

  // What the form has no place for, as JSON.
  const unusual = (words, at, place, why = "The form has no place for this; it stays as it is.") =>
    labelled(words, cell("json", words, at, place), why);

  const leftover = (words, at, holder, known) => {
    const place = rest(holder, known);
    return place.get() === undefined ? null : unusual(words, at, place);
  };

  const entriesOf = (value) => (isObject(value) ? Object.entries(value) : []);
  const fieldNames = () => entriesOf(definition.input?.properties).map(([name]) => name);
  const fieldChoices = () => fieldNames().map((name) => [name, name]);
  const isListOfObjects = (value) => Array.isArray(value) && value.every(isObject);

  const fresh = (start, taken) => {
    const names = [start, ...taken.map((_, at) => `${start}_${at + 2}`)];
    return names.find((name) => !taken.includes(name));
  };

  // ---- input

  const bare = (entries) => Object.assign(Object.create(null), entries); // a type may have any name
  const TYPES = bare({ string: "text", number: "number", integer: "whole number", boolean: "yes or no", array: "list", object: "object" });
  const VALUES = bare({ string: "text", number: "number", integer: "number", boolean: "yesno" });
  const FORMATS = ["email", "date", "date-time", "time", "uri", "uuid"].map((name) => [name, name]);

  const isNullable = (type) => Array.isArray(type) && type.length === 2 && type.includes("null") && type.some((name) => name in TYPES);
  const baseType = (type) => (isNullable(type) ? type.find((name) => name !== "null") : type);
  const valueKind = (schema) => VALUES[baseType(schema.type)] ?? "json";

  // The type as one word of the form: `number`, or `number|null`; its JSON where it is an unusual one.
  const typePlace = (schema) => ({
    get: () => {
      if (schema.type === undefined) return undefined;
      if (isNullable(schema.type)) return `${baseType(schema.type)}|null`;
      return typeof schema.type === "string" && schema.type in TYPES ? schema.type : written(schema.type);
    },
    set: (word) => {
      const [base, nothing] = (word ?? "").split("|");
      put(schema, "type", nothing ? [base, "null"] : base || undefined);
      retype(schema);
    },
  });

  const TYPE_CHOICES = Object.entries(TYPES).flatMap(([name, words]) => [[name, words], [`${name}|null`, `${words}, or null`]]);

  // Whatever a scalar was written as, it is a value of the new type where it can be.
  const retype = (schema) => {
    const convert = (value) => {
      const shown = value instanceof Numeral ? value.text : value;
      if (VALUES[baseType(schema.type)] === "text" && value instanceof Numeral) return shown;
      if (VALUES[baseType(schema.type)] === "number" && /^-?\d+(\.\d+)?$/.test(shown)) return new Numeral(shown);
      return value;
    };
    for (const key of ["examples", "enum"]) if (Array.isArray(schema[key])) put(schema, key, schema[key].map(convert));
  };

  const examplePlace = (schema) => ({
    get: () => (Array.isArray(schema.examples) && schema.examples.length === 1 ? schema.examples[0] : undefined),
    set: (value) => put(schema, "examples", value === undefined ? undefined : [value]),
  });

  const hasExample = (schema) => {
    const { examples } = schema;
    return examples === undefined || (Array.isArray(examples) && examples.length === 1 && fits(valueKind(schema), examples[0]));
  };

  // The keywords that the form has a place for, given what they say.
  const shownKeywords = (schema) => {
    const type = valueKind(schema);
    const candidates = { title: "text", description: "prose" };
    if (type === "number") Object.assign(candidates, { minimum: "number", maximum: "number", enum: "numbers" });
    if (type === "text") Object.assign(candidates, { enum: "lines", minLength: "number", maxLength: "number", format: "choice" });
    const shown = Object.keys(candidates).filter((key) => schema[key] === undefined || fits(candidates[key], schema[key]));
    return ["type", ...shown, ...(hasExample(schema) ? ["examples"] : [])];
  };

  const limits = (schema, name, at, shown) => {
    const one = (kind, key, words, more) => (shown.includes(key) ? cell(kind, `${name}, ${words}`, at + pointer(key), slot(schema, key), more) : null);
    if (valueKind(schema) === "number") {
      return make("div", { className: "ih-pair" }, one("number", "minimum", "smallest value", { placeholder: "from" }), one("number", "maximum", "largest value", { placeholder: "to" }));
    }
    if (valueKind(schema) === "text") return one("lines", "enum", "allowed values, one a line", { placeholder: "any text" }) ?? small("as below");
    return small("–");
  };

  const rename = (from, to) => {
    const { input } = definition;
    put(input, "properties", Object.fromEntries(entriesOf(input.properties).map(([name, schema]) => [name === from ? to : name, schema])));
    if (Array.isArray(input.required)) put(input, "required", input.required.map((name) => (name === from ? to : name)));
    for (const example of Array.isArray(input.examples) ? input.examples.filter(isObject) : []) {
      if (Object.hasOwn(example, from)) {
        put(example, to, example[from]);
        delete example[from];
      }
    }
    if (definition.subject === from) definition.subject = to;
    for (const { inputs } of Array.isArray(definition.predictions) ? definition.predictions.filter(isObject) : []) {
      for (const [name, fed] of entriesOf(inputs)) if (fed === from) put(inputs, name, to);
    }
    renameInActions(from, to);
  };

  const renameInActions = (from, to) => {
    for (const action of entriesOf(definition.actions).flatMap(([, actions]) => (Array.isArray(actions) ? actions.filter(isObject) : []))) {
      const named = choices.kinds.find((kind) => kind.name === action.kind)?.fields ?? [];
      for (const [key, value] of Object.entries(action)) {
        if (named.includes(key) && value === from) put(action, key, to);
        else if (typeof value === "string") put(action, key, value.replaceAll(`{input.${from}}`, `{input.${to}}`));
      }
    }
  };

  const namePlace = (name) => ({
    get: () => name,
    set: (now) => rename(name, now),
    check: (now) => (now !== name && fieldNames().includes(now) ? "Another field has this name." : ""),
  });

  const requiredPlace = (name) => {
    const { input } = definition;
    return {
      get: () => Array.isArray(input.required) && input.required.includes(name),
      set: (is) => {
        const others = (Array.isArray(input.required) ? input.required : []).filter((other) => other !== name);
        const all = is ? [...others, name] : others;
        put(input, "required", all.length ? all : undefined);
      },
    };
  };

  const fieldRow = ([name, schema], number) => {
    const at = pointer("input", "properties", name);
    const words = `Field ${number + 1}`;
    const named = td(cell("text", `${words}, name`, at, namePlace(name), { isLate: true, redraws: true, needed: "A field needs a name." }));
    const required = td(check(`${words}, required`, `${at}/required`, requiredPlace(name)));
    const remove = change(() => removeField(number), "Add a field");
    const tools = make("td", { className: "ih-row-tools" }, button("×", `Remove the field ${name}`, remove));
    if (!isObject(schema)) {
      const place = slot(definition.input.properties, name);
      const odd = make("td", { colSpan: 3 }, unusual(`${words}, JSON Schema`, at, place));
      return [make("tr", {}, named, odd, required, tools)];
    }
    const shown = shownKeywords(schema);
    const type = td(cell("choice", `${words}, type`, `${at}/type`, typePlace(schema), { entries: TYPE_CHOICES, empty: "anything", redraws: true }));
    const example = shown.includes("examples")
      ? cell(valueKind(schema), `${words}, example`, `${at}/examples`, examplePlace(schema))
      : small("as below");
    const row = make("tr", {}, named, type, required, td(limits(schema, words, at, shown)), td(example), tools);
    const more = make("tr", { className: "ih-more" }, make("td", { colSpan: 6 }, fieldDetails(name, schema, words, at, shown)));
    return [row, more];
  };

  const removeField = (number) => {
    const { input } = definition;
    const [name] = Object.entries(input.properties)[number];
    requiredPlace(name).set(false);
    delete input.properties[name];
  };

  const fieldDetails = (name, schema, words, at, shown) => {
    const others = rest(schema, shown);
    const one = (kind, key, label, more) =>
      shown.includes(key) ? labelled(label, cell(kind, `${words}, ${label.toLowerCase()}`, at + pointer(key), slot(schema, key), more)) : null;
    const isText = valueKind(schema) === "text";
    const why = "Keywords of JSON Schema that the form has no place for; they hold as they stand here.";
    const parts = fieldGrid(
      one("text", "title", "Title"),
      one("prose", "description", "Description"),
      ...(isText ? [one("number", "minLength", "Shortest length"), one("number", "maxLength", "Longest length"), one("choice", "format", "Format", { entries: FORMATS, empty: "any" })] : []),
      valueKind(schema) === "number" ? one("numbers", "enum", "Allowed values, one a line") : null,
      labelled("Other keywords", cell("json", `${words}, other keywords`, at, others), why),
    );
    const about = [schema.title, schema.description].filter((part) => typeof part === "string" && part).join(": ");
    const also = Object.keys(others.get() ?? {});
    const summary = `${about.slice(0, 110) || "Title, description and more"}${also.length ? ` (also: ${also.join(", ")})` : ""}`;
    return folded(`${at} more`, summary, parts);
  };

  const opened = new Set();
  const folded = (key, words, ...children) => {
    const summary = make("summary", { textContent: words });
    summary.dataset.key = key;
    const made = make("details", { open: opened.has(key) }, summary, ...children);
    made.addEventListener("toggle", () => (made.open ? opened.add(key) : opened.delete(key)));
    return made;
  };

  const addField = () => {
    const name = fresh("field", fieldNames());
    put(definition.input.properties, name, { type: "string" });
    requiredPlace(name).set(true);
  };

  const othersPlace = () => ({
    get: () => definition.input.additionalProperties === true,
    set: (is) => put(definition.input, "additionalProperties", is ? true : undefined),
  });

  const inputSection = () => {
    const { input } = definition;
    const words = "What a caller sends. Rules see a field as input.NAME: after another name, change the rules as well.";
    if (!isObject(input) || !isObject(input.properties)) {
      return section("Input", "/input", words, unusual("Input, as JSON", "/input", slot(definition, "input")));
    }
    const rows = Object.entries(input.properties).flatMap(fieldRow);
    const isUsual = [undefined, true, false].includes(input.additionalProperties);
    const known = ["type", "properties", "required", ...(isUsual ? ["additionalProperties"] : [])];
    const next = `${pointer("input", "properties", fresh("field", fieldNames()))} Field ${fieldNames().length + 1}, name`;
    return section(
      "Input",
      "/input",
      words,
      rows.length ? table(["Name", "Type", "Required", "Limits", "Example", ""], rows) : note("The workflow takes no fields yet."),
      make("div", { className: "ih-buttons" }, button("Add a field", "Add a field", change(addField, next))),
      fieldGrid(
        labelled("A decision is about", cell("choice", "A decision is about", "/subject", slot(definition, "subject"), { entries: fieldChoices(), empty: "nothing in particular" }), "The field that tells whom or what: flags, ordered actions and erasure go by it."),
        isUsual ? labelled("Other fields may come as well", check("Other fields may come as well", "/input/additionalProperties", othersPlace()), "Else a field that is not listed is refused.") : null,
        leftover("What else the input schema says", "/input", input, known),
      ),
    );
  };

  // ---- predictions

  const modelOf = (entry) => choices.models.find((model) => model.name === entry.model);

  const signatureOf = (entry) => {
    const model = modelOf(entry);
    const number = entry.version instanceof Numeral ? entry.version.text : model?.aliases[entry.alias ?? "champion"];
    return choices.signatures[model?.versions[number]];
  };

  const versionPlace = (entry) => ({
    get: () => (entry.version instanceof Numeral ? `version ${entry.version.text}` : `alias ${entry.alias ?? "champion"}`),
    set: (word) => {
      const [kind, name] = (word ?? "alias champion").split(" ");
      put(entry, "version", kind === "version" ? new Numeral(name) : undefined);
      put(entry, "alias", kind === "alias" ? name : undefined);
      feedByName(entry);
    },
  });

  const versionChoices = (entry) => {
    const { aliases = {}, versions = {} } = modelOf(entry) ?? {};
    return [
      ...Object.entries(aliases).map(([name, number]) => [`alias ${name}`, `${name} (version ${number} now)`]),
      ...Object.keys(versions).reverse().map((number) => [`version ${number}`, `always version ${number}`]),
    ];
  };

  const modelPlace = (entry) => ({
    get: () => entry.model,
    set: (name) => {
      put(entry, "model", name);
      const known = versionChoices(entry).map(([word]) => word);
      if (!known.includes(versionPlace(entry).get())) {
        put(entry, "version", undefined);
        put(entry, "alias", undefined);
      }
      feedByName(entry);
    },
  });

  // What the model does not take goes, and what it takes comes from the field of the same name.
  const feedByName = (entry) => {
    const signature = signatureOf(entry);
    if (!signature || (entry.inputs !== undefined && !isObject(entry.inputs))) return;
    const before = entry.inputs ?? {};
    const fed = signature.inputs.map(({ name }) => [name, before[name] ?? (fieldNames().includes(name) ? name : undefined)]);
    put(entry, "inputs", Object.fromEntries(fed.filter(([, from]) => from !== undefined)));
  };

  const isMapping = (inputs) => inputs === undefined || (isObject(inputs) && Object.values(inputs).every((from) => typeof from === "string"));

  const mapping = (entry, at, words) => {
    const signature = signatureOf(entry);
    if (!signature || !isMapping(entry.inputs)) {
      const why = signature ? undefined : "Input of the model: field of the caller's input. What the model takes is not known here.";
      return unusual(`${words}, inputs of the model`, `${at}/inputs`, slot(entry, "inputs"), why);
    }
    const known = signature.inputs.map(({ name }) => name);
    const gone = Object.keys(entry.inputs ?? {}).filter((name) => !known.includes(name));
    const rows = [
      ...signature.inputs.map((spec) => mappingRow(entry, at, words, spec.name, `${spec.datatype}${spec.is_optional ? ", optional" : ""}`, spec.is_optional ? "nothing" : "choose a field")),
      ...gone.map((name) => mappingRow(entry, at, words, name, "the model has no such input", "take it away")),
    ];
    const shown = table(["Input of the model", "Is fed by the field"], rows);
    shown.dataset.at = `${at}/inputs`;
    return shown;
  };

  const fedPlace = (entry, name) => ({
    get: () => slot(entry.inputs ?? {}, name).get(),
    set: (from) => {
      if (!entry.inputs) put(entry, "inputs", {});
      put(entry.inputs, name, from);
    },
  });

  const mappingRow = (entry, at, words, name, about, empty) => {
    const control = cell("choice", `${words}, ${name} is fed by`, `${at}/inputs${pointer(name)}`, fedPlace(entry, name), { entries: fieldChoices(), empty });
    return make("tr", {}, td(code(name), small(about)), td(control));
  };

  const FAILURES = [["review", "a person looks (review)"], ["error", "the request fails"], ["fallback", "go on with other values"]];
  const hasFallback = (entry) => isObject(entry.on_failure) && isObject(entry.on_failure.fallback) && Object.keys(entry.on_failure).length === 1;

  const failurePlace = (entry) => ({
    get: () => (hasFallback(entry) ? "fallback" : entry.on_failure),
    set: (word) => put(entry, "on_failure", word === "fallback" ? { fallback: {} } : word),
  });

  const outputKind = ({ datatype, is_single: isSingle }) => {
    if (!isSingle) return "json";
    return { BYTES: "text", BOOL: "yesno" }[datatype] ?? "number";
  };

  const fallback = (entry, at, words) => {
    if (!hasFallback(entry)) return null;
    const values = entry.on_failure.fallback;
    const known = signatureOf(entry)?.outputs ?? [];
    const gone = Object.keys(values).filter((name) => !known.some((spec) => spec.name === name));
    const rows = [...known.map((spec) => [spec.name, spec.datatype, outputKind(spec)]), ...gone.map((name) => [name, "the model has no such output", "json"])].map(([name, about, kind]) => {
      const control = cell(kind, `${words}, ${name} instead`, `${at}/on_failure/fallback${pointer(name)}`, slot(values, name));
      return make("tr", {}, td(code(name), small(about)), td(control));
    });
    return make("div", {}, table(["Output of the model", "Goes on with"], rows), small("An output that is left empty is a missing fact for the rules."));
  };

  const predictionCard = (entry, number) => {
    const at = pointer("predictions", number);
    const words = `Prediction ${number + 1}`;
    const outputs = (signatureOf(entry)?.outputs ?? []).map(({ name }) => `prediction.${entry.name ?? "NAME"}.${name}`);
    const isUsual = entry.on_failure === undefined || typeof entry.on_failure === "string" || hasFallback(entry);
    const isKnown = (key) => entry[key] === undefined || typeof entry[key] === "string" || (key === "version" && entry.version instanceof Numeral);
    const hasVersion = isKnown("alias") && isKnown("version") && typeof entry.version !== "string";
    const models = choices.models.map(({ name }) => [name, name]);
    const known = ["name", "model", "inputs", "timeout_ms", ...(hasVersion ? ["alias", "version"] : []), ...(isUsual ? ["on_failure"] : [])];
    const remove = change(() => definition.predictions.splice(number, 1), "Add a prediction");
    return card(
      at,
      make("div", { className: "ih-head" }, make("h4", { className: "ih-heading", textContent: words }), button("×", `Remove prediction ${number + 1}`, remove)),
      fieldGrid(
        labelled("Name", cell("text", `${words}, name`, `${at}/name`, slot(entry, "name"), { isLate: true, redraws: true }), outputs.length ? `Rules see ${outputs.join(", ")}.` : "Rules see prediction.NAME.OUTPUT."),
        labelled("Model", cell("choice", `${words}, model`, `${at}/model`, modelPlace(entry), { entries: models, empty: "choose one", redraws: true }), modelOf(entry)?.about.slice(0, 120)),
        hasVersion ? labelled("Version", cell("choice", `${words}, version`, `${at}/${entry.version ? "version" : "alias"}`, versionPlace(entry), { entries: versionChoices(entry), empty: "champion", redraws: true }), "By an alias, the version can be changed without a new workflow.") : null,
        labelled("Longest wait, in ms", cell("number", `${words}, longest wait`, `${at}/timeout_ms`, slot(entry, "timeout_ms"), { placeholder: "the server's limit" })),
        isUsual ? labelled("If it fails", cell("choice", `${words}, if it fails`, `${at}/on_failure`, failurePlace(entry), { entries: FAILURES, empty: "as usual: a person looks (review)", redraws: true })) : null,
        leftover("What else it says", at, entry, known),
      ),
      mapping(entry, at, words),
      fallback(entry, at, words),
    );
  };

  const addPrediction = () => {
    const taken = definition.predictions.map(({ name }) => name);
    definition.predictions.push({ name: fresh("prediction", taken), inputs: {} });
  };

  const predictionSection = () => {
    const words = "Which models are asked, and which field feeds which of their inputs.";
    if (!isListOfObjects(definition.predictions)) {
      return section("Predictions", "/predictions", words, unusual("Predictions, as JSON", "/predictions", slot(definition, "predictions")));
    }
    const next = definition.predictions.length;
    const focus = `${pointer("predictions", next)}/name Prediction ${next + 1}, name`;
    const none = choices.models.length ? "No model is asked: the rules see the input only." : "No model can be asked yet: register one under Registered models. Until then the rules see the input only.";
    return section(
      "Predictions",
      "/predictions",
      words,
      ...(next ? definition.predictions.map(predictionCard) : [note(none)]),
      make("div", { className: "ih-buttons" }, button("Add a prediction", "Add a prediction", change(addPrediction, focus), !choices.models.length)),
    );
  };

  // ---- rules

  const ruleSet = () => choices.rule_sets.find(({ name }) => name === definition.rule_set);

  const ruleSection = () => {
    const found = ruleSet();
    const entries = choices.rule_sets.map(({ name }) => [name, name]);
    const control = cell("choice", "Rule set", "/rule_set", slot(definition, "rule_set"), { entries, empty: "choose one", redraws: true });
    const words = choices.rule_sets.length ? "They see input and predictions, and say the outcome." : "There is no rule set yet: add one under Rule sets first, then come back.";
    const about = found ? [found.about, found.outcomes ? `Outcomes: ${found.outcomes.join(", ")}.` : ""].filter(Boolean).join(" ") : "";
    const link = found ? make("a", { className: "text-link", href: found.url, target: "_blank", textContent: `Look at ${found.name} in a new tab` }) : null;
    return section("Rules", "/rule_set", words, fieldGrid(labelled("Rule set", control, about)), link ? make("p", {}, link) : null);
  };

  // ---- actions

  const rulesGive = () => ruleSet()?.outcomes ?? [];
  const outcomeNames = () => [...new Set([...rulesGive(), ...Object.keys(definition.actions ?? {}), "review", "approved", "rejected"])];

  const human = (key) => key.charAt(0).toUpperCase() + key.slice(1).replaceAll("_", " ");
  const shortened = (words) => (words && words.length > 160 ? `${words.slice(0, 157)}...` : words);

  const settingKind = (schema) => {
    if (schema.enum?.every((entry) => typeof entry === "string")) return "choice";
    if (schema.type === "array" && schema.items?.type === "string") return "lines";
    if (schema.type === "string" && Number(schema.maxLength) > 500) return "prose";
    return VALUES[schema.type] ?? "json";
  };

  const setting = (kind, action, at, words, [key, schema]) => {
    const isRequired = kind.schema.required?.includes(key);
    const names = kind.named[key];
    const label = `${schema.title ?? human(key)}${isRequired ? "" : " (optional)"}`;
    const more = { empty: isRequired ? "choose one" : "as usual" };
    let control = settingKind(schema);
    let help = schema.description;
    if (kind.fields.includes(key)) {
      [control, more.entries, help] = ["choice", fieldChoices(), help ?? "A field of the input."];
    } else if (names === "outcomes") {
      more.list = "ih-outcomes";
    } else if (names) {
      [control, more.entries] = ["choice", choices[names].map((name) => [name, name])];
      if (!choices[names].length) help = `There are no ${names} yet.`;
    } else if (control === "choice") {
      more.entries = schema.enum.map((name) => [name, name]);
    } else if (control === "lines") {
      help = help ?? "One a line.";
    }
    return labelled(label, cell(control, `${words}, ${label}`, at + pointer(key), slot(action, key), more), shortened(help));
  };

  const orderedPlace = (action) => ({
    get: () => action.ordered === true,
    set: (is) => put(action, "ordered", is ? true : undefined),
  });

  const kindPlace = (action) => ({
    get: () => action.kind,
    set: (name) => {
      const known = Object.keys(choices.kinds.find((kind) => kind.name === name)?.schema.properties ?? {});
      for (const key of Object.keys(action)) if (!["kind", "ordered", ...known].includes(key)) delete action[key];
      put(action, "kind", name);
    },
  });

  const actionCard = (outcome, actions) => (action, number) => {
    const at = pointer("actions", outcome, number);
    const words = `${outcome}, action ${number + 1}`;
    const kind = choices.kinds.find(({ name }) => name === action.kind);
    const kinds = choices.kinds.map(({ name }) => [name, name]);
    const settings = Object.entries(kind?.schema.properties ?? {});
    const isUsual = [undefined, true, false].includes(action.ordered);
    const known = ["kind", ...(isUsual ? ["ordered"] : []), ...settings.map(([key]) => key)];
    const move = (to) => change(() => actions.splice(to, 0, ...actions.splice(number, 1)));
    return card(
      at,
      make(
        "div",
        { className: "ih-head" },
        make("h5", { className: "ih-heading", textContent: `Action ${number + 1}` }),
        button("↑", `Move ${words} up`, move(number - 1), number === 0),
        button("↓", `Move ${words} down`, move(number + 1), number === actions.length - 1),
        button("×", `Remove ${words}`, change(() => actions.splice(number, 1), `Add an action for ${outcome}`)),
      ),
      fieldGrid(
        labelled("Kind", cell("choice", `${words}, kind`, `${at}/kind`, kindPlace(action), { entries: kinds, empty: "choose one", redraws: true }), kind?.meaning),
        ...settings.map((entry) => setting(kind, action, at, words, entry)),
        isUsual ? labelled("Keep the order", check(`${words}, keep the order`, `${at}/ordered`, orderedPlace(action)), "Wait for earlier actions about the same subject that go to the same place.") : null,
        leftover(kind ? "What else it says" : "Settings", at, action, known),
      ),
    );
  };

  const outcomePlace = (outcome) => ({
    get: () => outcome,
    set: (now) => {
      const renamed = Object.entries(definition.actions).map(([name, actions]) => [name === outcome ? now : name, actions]);
      put(definition, "actions", Object.fromEntries(renamed));
    },
    check: (now) => (now !== outcome && Object.hasOwn(definition.actions, now) ? "This outcome is here already." : ""),
  });

  const outcomeCard = ([outcome, actions], number) => {
    const at = pointer("actions", outcome);
    const name = cell("text", `Outcome ${number + 1}, name`, at, outcomePlace(outcome), { isLate: true, redraws: true, list: "ih-outcomes", needed: "An outcome needs a name." });
    const remove = change(() => delete definition.actions[outcome], "Add an outcome");
    const head = make("div", { className: "ih-head" }, labelled("Outcome", name), button("×", `Remove the outcome ${outcome}`, remove));
    if (!isListOfObjects(actions)) {
      return card(at, head, unusual(`${outcome}, actions as JSON`, at, slot(definition.actions, outcome)));
    }
    const next = `${pointer("actions", outcome, actions.length)}/kind ${outcome}, action ${actions.length + 1}, kind`;
    return card(
      at,
      head,
      ...(actions.length ? actions.map(actionCard(outcome, actions)) : [note("Nothing is done; the caller has the answer.")]),
      make("div", { className: "ih-buttons" }, button("Add an action", `Add an action for ${outcome}`, change(() => actions.push({}), next))),
    );
  };

  const addOutcome = (name) => {
    put(definition.actions, name, [{}]);
  };

  const actionSection = () => {
    const words = "What is done once the rules have said an outcome. The caller is told the outcome in any case.";
    if (!isObject(definition.actions)) {
      return section("Actions by outcome", "/actions", words, unusual("Actions, as JSON", "/actions", slot(definition, "actions")));
    }
    const there = Object.keys(definition.actions);
    const without = [...new Set([...rulesGive(), "review"])].filter((name) => !there.includes(name));
    const kindOf = (name) => `${pointer("actions", name, 0)}/kind ${name}, action 1, kind`;
    const offers = without.map((name) => button(`+ ${name}`, `Add actions for ${name}`, change(() => addOutcome(name), kindOf(name))));
    const other = fresh("outcome", there);
    const another = `${pointer("actions", other)} Outcome ${there.length + 1}, name`;
    return section(
      "Actions by outcome",
      "/actions",
      words,
      ...(there.length ? Object.entries(definition.actions).map(outcomeCard) : [note("No outcome causes an action yet.")]),
      offers.length ? note("Outcomes for which nothing is done so far; choose one to add an action:") : null,
      make("div", { className: "ih-buttons" }, ...offers, button("+ another outcome", "Add an outcome", change(() => addOutcome(other), another))),
    );
  };

  // ---- settings

  const settingSection = () =>
    section(
      "Settings",
      "",
      "",
      fieldGrid(
        labelled("If a fact is missing, the outcome is", cell("text", "Missing facts", "/missing_facts", slot(definition, "missing_facts"), { list: "ih-outcomes", placeholder: "review" }), "Where the rules need a fact that is missing, null or of another type. Empty: review. With error, the request fails."),
        labelled("Keep the content of decisions, in months", cell("number", "Months kept", "/retention_months", slot(definition, "retention_months"), { placeholder: "for good" }), "After that it is erased; digests can still be checked."),
        leftover("What else the definition says", "", definition, ["input", "subject", "predictions", "rule_set", "missing_facts", "retention_months", "actions"]),
      ),
    );

  // ---- what the server said

  const sentences = [...field.querySelectorAll("li")].map((item) => item.textContent.trim());
  let errors = sentences.map((sentence) => {
    const [, at, words] = /^(\/.*?): (expected .*)$/s.exec(sentence) ?? [null, "", sentence];
    return { at, words: words.charAt(0).toUpperCase() + words.slice(1) };
  });

  const holds = (place, at) => at === place || at.startsWith(`${place}/`) || place === "";

  const isControl = (place) => place.matches("input, select, textarea");

  const placeError = ({ at, words }) => {
    const places = [...sheet.querySelectorAll("[data-at]")].filter((place) => holds(place.dataset.at, at) && (place.dataset.at || !isControl(place)));
    const rank = (place) => place.dataset.at.length * 2 + (isControl(place) ? 1 : 0);
    const best = places.reduce((found, place) => (rank(place) > rank(found) ? place : found), sheet);
    for (let up = best.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
    const left = at.slice(best.dataset.at.length);
    const told = left ? `${left.slice(1)}: ${words}` : `${words}.`;
    if (isControl(best)) complain(best, [best.parentElement.querySelector(":scope > .ih-problem")?.textContent, told].filter(Boolean).join(" "));
    else best.prepend(make("p", { className: "ih-alarm ih-problem", textContent: told }));
  };

  // ---- the page

  const places = () => [...sheet.querySelectorAll("[data-key]")];

  const focusOn = (found) => {
    found?.focus({ preventScroll: true });
    found?.scrollIntoView({ block: "nearest" });
  };

  const outcomeList = () => make("datalist", { id: "ih-outcomes" }, ...outcomeNames().map((value) => make("option", { value })));

  const draw = (focus = "") => {
    if (mode !== "form") return;
    isStale = false;
    const active = document.activeElement;
    const [key, at] = [focus || active.dataset.key, places().indexOf(active)];
    sheet.replaceChildren(inputSection(), predictionSection(), ruleSection(), actionSection(), settingSection(), outcomeList());
    errors.forEach(placeError);
    if (!focus && at < 0) return;
    const found = places().find((place) => place.dataset.key === key) ?? places()[at]; // it may have another name now
    focusOn(found);
    if (focus) found?.select?.();
  };

  const show = (wanted) => {
    const found = wanted === "form" ? read() : null;
    mode = found ? "form" : "json";
    definition = found ?? definition;
    draw();
    refusal.hidden = wanted !== "form" || Boolean(found);
    field.hidden = mode === "form";
    sheet.hidden = mode !== "form";
    for (const [name, made] of Object.entries(modes)) made.setAttribute("aria-pressed", String(name === mode));
  };

  const switchTo = (wanted) => () => {
    if (wanted === "json") {
      atJson = text.value;
    } else if (mode === "json" && text.value !== atJson && read()) {
      remember(atJson);
      errors = [];
      atJson = text.value;
    }
    show(wanted);
  };

  let mode = "form";
  let atJson = text.value;
  const sheet = make("div", { className: "ih-sheet" });
  sheet.dataset.at = "";
  const refusal = make("p", { className: "ih-alarm", textContent: "This is not a JSON object that a form could show: see below.", hidden: true });
  refusal.setAttribute("role", "alert");
  const modes = { form: button("As a form", "As a form", switchTo("form")), json: button("As JSON", "As JSON", switchTo("json")) };
  const group = make("div", { className: "ih-modes" }, modes.form, modes.json);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "How the definition is shown");
  field.before(make("div", { className: "ih-tools" }, make("span", { className: "ih-heading", textContent: "Definition" }), group, undo), refusal, sheet);

  window.addEventListener("pointerdown", () => (isPressed = true), true);
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => (isPressed = false), true);
  sheet.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault(); // it would send the form
  });
  form.addEventListener("submit", (event) => {
    const wrong = mode === "form" ? sheet.querySelector("[data-problem]") : null;
    if (!wrong) return;
    event.preventDefault();
    wrong.focus();
  });
  warnWhoLeaves(form);
  show("form");
  if (errors.length && mode === "form") sheet.querySelector("[aria-invalid], .ih-problem")?.scrollIntoView({ block: "center" });
});
