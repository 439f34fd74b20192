"use strict";
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};

// Tables that are in the page as they are: a click on a heading sorts their rows.
const compare = (a, b) => {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
};
const setSort = (heads, head) => {
  const direction = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
  heads.forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  return direction === "ascending" ? 1 : -1;
};
// Gaps stay last, whichever way the rest is sorted.
const ordered = (rows, value, sign) => [...rows].sort((a, b) => {
  const [x, y] = [value(a), value(b)];
  return x === null || y === null ? compare(x, y) : sign * compare(x, y);
});
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const value = (row) => {
      const text = row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      return text === "" || text === "–" ? null : Number.isNaN(Number(text)) ? text : Number(text);
    };
    const sort = () => table.tBodies[0].append(...ordered(table.tBodies[0].rows, value, setSort(heads, head)));
    head.replaceChildren(make("button", { type: "button", onclick: sort }, ...head.childNodes));
  });
}

// The samples.
const box = document.getElementById("samples");
if (box) {
  const data = JSON.parse(document.getElementById("sample-data").textContent);
  const paired = ["teacher", "student"].every((name) => data.models.includes(name));
  const right = (row, name) => row.models[name].correct === 1;
  for (const row of data.rows) {
    const answers = data.models.map((name) => row.models[name].answer);
    row.search = [row.id, row.input, row.gold, ...answers].join("\n").toLowerCase();
    const losses = paired ? [row.models.student.loss, row.models.teacher.loss] : [null, null];
    row.difference = losses.includes(null) ? null : losses[0] - losses[1];
  }
  const kinds = {
    "all": () => true,
    "student better (SFS)": (row) => row.difference !== null && row.difference < 0,
    "teacher better (TFS)": (row) => row.difference !== null && row.difference > 0,
    "both wrong": (row) => !right(row, "student") && !right(row, "teacher"),
    "student only right": (row) => right(row, "student") && !right(row, "teacher"),
    "teacher only right": (row) => right(row, "teacher") && !right(row, "student"),
  };
  const state = { kind: "all", text: "", label: "", page: 0, size: 25, sign: -1, value: (row) => row.difference };
  let shown = data.rows;

  const line = (text) => String(text).trim().replace(/\s*\n\s*/g, " · ");
  const figure = (value) => {
    if (value === null || value === undefined) return "–";
    return value !== 0 && Math.abs(value) < 5e-4 ? value.toExponential(1) : value.toFixed(3);
  };
  const judged = (row, name) => {
    const score = row.models[name].correct;
    if (score === 1) return make("span", { class: "yes" }, "✓ ");
    return make("span", { class: "no" }, score > 0 ? `${score.toFixed(2)} ` : "✗ ");
  };
  const snippet = (...parts) => make("td", {}, make("div", { class: "snippet", dir: "auto" }, ...parts));

  // Entities: text with marks, nested where they are nested; what can't be drawn so is listed below.
  const key = (each) => JSON.stringify(data.strings ? each.slice(0, 2) : [each[0], each[2], each[3]]);
  const judgeEntities = (gold, answered) => {
    const [wanted, said] = [new Set(gold.map(key)), new Set(answered.map(key))];
    return [
      ...answered.map((each) => [wanted.has(key(each)) ? "right" : "spurious", each]),
      ...gold.filter((each) => !said.has(key(each))).map((each) => ["missed", each]),
    ];
  };
  const signs = { right: "✓", spurious: "+", missed: "−", gold: "" };
  const marked = (text, judgements) => {
    // Offsets count code points, as Python does; JavaScript's strings count UTF-16 units.
    const points = [...text], places = judgements.filter(([, each]) => each[2] !== null);
    places.sort(([, a], [, b]) => a[2] - b[2] || b[3] - a[3]);
    const loose = judgements.filter(([, each]) => each[2] === null);
    const root = { end: points.length, at: 0, node: make("div", { class: "content marked", dir: "auto" }) };
    const stack = [root];
    const write = (to) => {
      const top = stack[stack.length - 1];
      if (to > top.at) top.node.append(points.slice(top.at, to).join(""));
      top.at = Math.max(top.at, to);
    };
    const close = () => {
      const done = stack[stack.length - 1];
      write(done.end);
      stack.pop();
      done.node.append(make("small", {}, `${signs[done.kind]}${done.label}`));
      stack[stack.length - 1].at = done.end;
    };
    for (const [kind, each] of places) {
      const [label, , start, end] = each;
      while (stack.length > 1 && stack[stack.length - 1].end <= start) close();
      if (end > stack[stack.length - 1].end) { loose.push([kind, each]); continue; }
      write(start);
      const node = make("mark", { class: kind, title: `${label}${kind === "gold" ? "" : `: ${kind}`}` });
      stack[stack.length - 1].node.append(node);
      stack.push({ end, at: start, node, kind, label });
    }
    while (stack.length > 1) close();
    write(points.length);
    if (loose.length) {
      const list = make("div", { class: "soft" }, "Not drawn above (not in the text, or crossing another): ");
      for (const [kind, [label, surface]] of loose) list.append(make("mark", { class: kind }, surface, make("small", {}, `${signs[kind]}${label}`)), " ");
      root.node.append("\n", list);
    }
    return root.node;
  };

  const heading = (row, name) => {
    const each = row.models[name], flaw = each.malformed ? ", can't be read in whole" : "";
    return make("h4", {}, judged(row, name), `${name}: score ${figure(each.correct)}, loss ${figure(each.loss)}${flaw}`);
  };
  const content = (text) => make("div", { class: "content", dir: "auto" }, text === "" ? "(empty)" : text);
  const sheet = (row) => {
    const parts = [], entities = row.entities && row.input !== "";
    if (entities) {
      parts.push(make("h4", {}, "gold"), marked(row.input, row.entities.map((each) => ["gold", each])));
    } else {
      if (row.input) parts.push(make("h4", {}, "input"), content(row.input));
      parts.push(make("h4", {}, "gold"), content(row.gold));
    }
    for (const name of data.models) {
      const each = row.models[name];
      parts.push(heading(row, name));
      const drawn = entities && each.entities;
      if (drawn) parts.push(marked(row.input, judgeEntities(row.entities, each.entities)));
      // What could not be read is in no mark.
      if (drawn && each.malformed) parts.push(make("div", { class: "soft" }, "As it was written:"));
      if (!drawn || each.malformed) parts.push(content(each.answer));
    }
    return make("div", { class: "sheet" }, ...parts);
  };

  // One list of columns makes the headings, the cells, the sorting and the CSV.
  const columns = [
    { title: "sample", width: "7rem", value: (row) => row.id, cell: null },
    { title: "input", value: (row) => row.input, cell: (row) => snippet(line(row.input)) },
    { title: "gold", value: (row) => row.gold, cell: (row) => snippet(line(row.gold)) },
    ...["teacher", "student"].filter((name) => data.models.includes(name)).flatMap((name) => [
      { title: name, value: (row) => row.models[name].correct, cell: (row) => snippet(judged(row, name), line(row.models[name].answer)) },
    ]),
    ...["teacher", "student"].filter((name) => data.models.includes(name)).map((name) => (
      { title: `${name} loss`, width: "4.8rem", value: (row) => row.models[name].loss, cell: (row) => make("td", {}, figure(row.models[name].loss)) }
    )),
    ...(paired ? [{ title: "difference", width: "6.6rem", value: (row) => row.difference, cell: (row) => make("td", {}, (row.difference > 0 ? "+" : "") + figure(row.difference)) }] : []),
  ].filter((column) => column.title !== "input" || data.rows.some((row) => row.input));

  const table = make("table", { id: "sample-table" }), body = make("tbody");
  const heads = columns.map((column) => {
    const head = make("th", { scope: "col", class: column.width && column.title !== "sample" ? "" : "text" });
    if (column.width) head.style.width = column.width;
    head.append(make("button", { type: "button", onclick: () => {
      Object.assign(state, { sign: setSort(heads, head), value: column.value, page: 0 });
      draw();
    } }, column.title));
    return head;
  });
  if (paired) heads[heads.length - 1].setAttribute("aria-sort", "descending");
  table.append(make("thead", {}, make("tr", {}, ...heads)), body);

  const open = (row, line_, button) => {
    const next = line_.nextElementSibling;
    if (next && next.classList.contains("detail")) next.remove();
    else line_.after(make("tr", { class: "detail" }, make("td", { colspan: columns.length }, sheet(row))));
    button.setAttribute("aria-expanded", String(!(next && next.classList.contains("detail"))));
  };
  const tableRow = (row) => {
    const button = make("button", { type: "button", "aria-expanded": "false" }, String(row.id));
    const cells = columns.slice(1).map((column) => column.cell(row));
    const line_ = make("tr", {}, make("td", { class: "id text" }, button), ...cells);
    line_.style.cursor = "pointer";
    line_.addEventListener("click", () => { if (String(getSelection()) === "") open(row, line_, button); });
    return line_;
  };

  const status = make("span", { role: "status" });
  const step = (by) => () => { state.page += by; draw(); };
  const back = make("button", { type: "button", onclick: step(-1) }, "previous");
  const forth = make("button", { type: "button", onclick: step(1) }, "next");
  const matches = (row) => row.search.includes(state.text) && (state.label === "" || row.labels.includes(state.label));
  const buttons = {};
  const draw = () => {
    const found = data.rows.filter(matches);
    for (const [kind, button] of Object.entries(buttons)) {
      button.textContent = `${kind}: ${found.filter(kinds[kind]).length}`;
      button.setAttribute("aria-pressed", String(kind === state.kind));
    }
    shown = ordered(found.filter(kinds[state.kind]), state.value, state.sign);
    const first = state.page * state.size, last = Math.min(first + state.size, shown.length);
    body.replaceChildren(...shown.slice(first, last).map(tableRow));
    status.textContent = shown.length ? `${first + 1} to ${last} of ${shown.length}` : "no sample is like that";
    back.disabled = first === 0;
    forth.disabled = last >= shown.length;
  };
  const change = (values) => { Object.assign(state, values, { page: 0 }); draw(); };

  if (paired) {
    for (const kind of Object.keys(kinds)) buttons[kind] = make("button", { type: "button", onclick: () => change({ kind }) });
  }
  const search = make("input", { type: "search", id: "sample-search", placeholder: "text, answer or id", oninput: (event) => change({ text: event.target.value.toLowerCase() }) });
  const labels = [...new Set(data.rows.flatMap((row) => row.labels))].sort();
  const choice = make("select", { id: "sample-label", "aria-label": "gold label", onchange: (event) => change({ label: event.target.value }) },
    make("option", { value: "" }, "any gold label"), ...labels.map((label) => make("option", { value: label }, label)));
  const sizes = make("select", { "aria-label": "rows of a page", onchange: (event) => change({ size: Number(event.target.value) }) },
    ...[25, 100, 500].map((size) => make("option", { value: size }, `${size} rows`)));
  // A text that begins like a formula gets an apostrophe, as in the other tables.
  const isFormula = (value) => typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(value)
    && !/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/.test(value);
  const quoted = (value) => `"${isFormula(value) ? "'" : ""}${String(value ?? "").replaceAll('"', '""')}"`;
  const save = make("a", { href: "#samples", download: "samples.csv", onclick: () => {
    const names = ["id", "input", "gold", ...data.models.flatMap((name) => ["answer", "score", "loss"].map((field) => `${name}_${field}`))];
    const lines = shown.map((row) => [row.id, row.input, row.gold, ...data.models.flatMap((name) => ["answer", "correct", "loss"].map((field) => row.models[name][field]))]);
    const text = "\ufeff" + [names, ...lines].map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";
    save.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  } }, "samples.csv (the rows chosen)");
  const sheetKey = data.rows.some((row) => row.entities)
    ? make("p", { class: "key" },
      make("span", {}, make("mark", { class: "right" }, "right", make("small", {}, "✓label"))),
      make("span", {}, make("mark", { class: "spurious" }, "spurious", make("small", {}, "+label"))),
      make("span", {}, make("mark", { class: "missed" }, "missed", make("small", {}, "−label"))))
    : null;
  box.append(
    make("div", { class: "controls", role: "group", "aria-label": "kinds of samples" }, ...Object.values(buttons)),
    make("div", { class: "controls" }, search, labels.length > 1 ? choice : null, sizes),
    ...(sheetKey ? [sheetKey] : []),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "samples" }, table),
    make("div", { class: "controls" }, back, forth, status, save),
  );
  search.setAttribute("aria-label", "search the samples");
  draw();
}
