"use strict";
(async () => {
  const root = document.documentElement;
  const phone = matchMedia("screen and (max-width: 47rem)");

  // ---- tables: a click on a head sorts; empty cells and words among figures stay last
  const figure = text => {
    const bare = text.replace(/[\s,%$€£¥×+]/g, "").replace(/^[−–](?=[\d.])/, "-");
    return bare !== "" && isFinite(bare) ? Number(bare) : null;
  };
  for (const table of document.querySelectorAll(".scroll table")) {
    const heads = [...table.querySelectorAll("thead tr:last-child th")];
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) continue;
    heads.forEach((head, column) => {
      if (!head.textContent.trim() || body.rows[0].cells[column]?.matches(".by, .chart")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      const arrow = document.createElement("i");
      arrow.setAttribute("aria-hidden", "true");
      (button.querySelector("b") ?? button).append(arrow);
      head.append(button);
      button.addEventListener("click", () => {
        const rows = [...body.rows];
        const text = row => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
        const numbers = rows.map(row => figure(text(row)));
        const numeric = numbers.filter(number => number !== null).length * 2 > rows.length;
        const keys = new Map(rows.map((row, i) => [row, numeric ? numbers[i] : text(row) || null]));
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : numeric;
        rows.sort((a, b) => {
          const [x, y] = [keys.get(a), keys.get(b)];
          if (x === null || y === null) return (x === null) - (y === null);
          return (numeric ? x - y : x.localeCompare(y, "en")) * (down ? -1 : 1);
        });
        body.append(...rows);
        for (const other of heads) {
          other.removeAttribute("aria-sort");
          const mark = other.querySelector(".sort i");
          if (mark) mark.textContent = "";
        }
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        arrow.textContent = down ? "↓" : "↑";
      });
    });
  }

  // ---- long tables: a field leaves only the rows that hold its words
  for (const table of document.querySelectorAll(".scroll table")) {
    const body = table.tBodies[0];
    const kept = Number(document.body.dataset.filter);
    if (!body || body.rows.length < kept) continue;
    const field = document.createElement("input");
    Object.assign(field, { type: "search", className: "filter", placeholder: document.body.dataset.words });
    field.setAttribute("aria-label", document.body.dataset.words);
    const left = document.createElement("output");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        shown += !row.hidden;
      }
      left.textContent = words.length ? `${shown} / ${body.rows.length}` : "";
    });
    const line = document.createElement("p");
    line.className = "filtering";
    line.append(field, left);
    table.closest(".scroll").before(line);
  }

  // ---- what a mark says, beside the pointer
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const tooltip = (_, event, __, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const said = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.replaceChildren(...said.map(([name, text]) => {
      const line = document.createElement("p");
      const head = document.createElement("span");
      const what = document.createElement("bdi");
      [head.textContent, what.textContent] = [name, text];
      line.append(head, what);
      return line;
    }));
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY + height + 24 > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
  };

  // ---- a click on a mark picks its name: the others fade in every chart, and its rows stand out in every table
  let picked = null;
  const named = element => element.__data__?.datum?.label ?? element.__data__?.datum?.series;
  const pick = name => {
    picked = name;
    for (const element of document.querySelectorAll(".chart svg .role-mark *")) {
      const own = named(element);
      if (own !== undefined) element.classList.toggle("faded", name !== null && own !== name);
    }
    for (const head of document.querySelectorAll("tbody th[scope=row]")) {
      head.parentElement.classList.toggle("picked", head.textContent === name);
    }
  };
  addEventListener("keydown", event => {
    if (event.key === "Escape") pick(null);
  });
  document.addEventListener("click", event => {
    if (!event.target.closest(".chart")) return;
    const name = named(event.target) ?? null;
    pick(name === picked ? null : name);
  });

  // ---- paper: what is closed on screen is open in print
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const row of opened) row.open = true;
  });
  addEventListener("afterprint", () => {
    for (const row of opened) row.open = false;
  });

  // ---- charts
  const hidden = (spec, names) => {
    for (const part of ["layer", "hconcat", "vconcat", "concat"]) {
      if (Array.isArray(spec[part])) {
        spec[part] = spec[part].filter(one => !names.includes(one.name));
        for (const one of spec[part]) hidden(one, names);
      }
    }
  };
  const fitted = ({ spec: given, narrow }, width) => {
    const spec = structuredClone(given);
    if (!phone.matches) return spec;
    hidden(spec, narrow?.hide ?? []);
    if (narrow?.padding !== undefined) spec.padding = narrow.padding;
    if (narrow?.height !== undefined) spec.height = narrow.height;
    if (typeof spec.width === "number") {
      const edge = spec.padding ?? 5;
      const sides = typeof edge === "number" ? 2 * edge : (edge.left ?? 0) + (edge.right ?? 0);
      spec.width = Math.max(40, Math.floor(width - sides));
    }
    return spec;
  };
  const unpack = async packed => {
    const bytes = Uint8Array.from(atob(packed), sign => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const holds = [...document.querySelectorAll("[data-chart]")];
  if (holds.length) {
    const charts = JSON.parse(document.getElementById("charts").textContent);
    const runtime = document.createElement("script");
    runtime.textContent = await unpack(document.getElementById("runtime").textContent);
    document.head.append(runtime);
    const drawn = new Map();
    const draw = async () => {
      for (const hold of holds) {
        const width = hold.clientWidth;
        const size = phone.matches ? width : "wide";
        if (drawn.get(hold)?.size === size) continue;
        drawn.get(hold)?.result.finalize();
        const inner = document.createElement("div");  // Vega writes its own role and label on what it draws into
        hold.replaceChildren(inner);
        try {
          const result = await vegaEmbed(inner, fitted(charts[hold.dataset.chart], width), {
            mode: "vega-lite", ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip,
          });
          drawn.set(hold, { size, result });
        } catch (error) {
          console.error(error);
          hold.textContent = document.body.dataset.failed;
        }
      }
    };
    await draw();
    let drawing = Promise.resolve();
    addEventListener("resize", () => {
      drawing = drawing.then(draw).then(() => pick(picked));
    });
  }
  root.dataset.ready = "";
})();
