"use strict";
(() => {
  const short = (value) => {
    if (value === null || !Number.isFinite(value)) return "open";
    for (const [suffix, unit] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["K", 1e3]])
      if (Math.abs(value) >= unit * 0.9995 && Math.abs(value) < 1e15) return Number((value / unit).toPrecision(3)) + suffix;
    return String(Number(value.toPrecision(4)));
  };

  // Points of a figure say what they are.
  const tip = document.getElementById("tip");
  const show = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(4, Math.min(y + 12, innerHeight - tip.offsetHeight - 8)) + "px";
  };
  for (const picture of document.querySelectorAll("[data-points]")) {
    const points = JSON.parse(picture.dataset.points);
    const names = new Map();
    for (const [id, texts] of Object.entries(points)) {
      const group = picture.querySelector("#" + CSS.escape(id));
      if (group) [...group.querySelectorAll("use")].forEach((mark, index) => names.set(mark, texts[index]));
    }
    picture.addEventListener("pointermove", (event) => {
      const text = names.get(event.target.closest("use"));
      if (text) show(text, event.clientX, event.clientY); else tip.hidden = true;
    });
    picture.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  // A figure is zoomed by dragging over it, and shows or hides each group of its runs.
  for (const picture of document.querySelectorAll(".picture")) {
    const svg = picture.querySelector("svg");
    if (!svg || !svg.getAttribute("viewBox")) continue;
    const whole = svg.getAttribute("viewBox");
    const tools = document.createElement("p");
    tools.className = "tools";
    const button = (text, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.addEventListener("click", () => act(made));
      tools.append(made);
      return made;
    };
    const zoom = (share) => {
      const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
      svg.setAttribute("viewBox", [x + width * (1 - share) / 2, y + height * (1 - share) / 2, width * share, height * share].join(" "));
      back.hidden = false;
    };
    button("Zoom in", () => zoom(0.7));
    button("Zoom out", () => zoom(1 / 0.7));
    const back = button("Whole figure", () => { svg.setAttribute("viewBox", whole); back.hidden = true; });
    back.hidden = true;
    const groups = picture.dataset.groups ? Object.entries(JSON.parse(picture.dataset.groups)) : [];
    if (groups.length > 1)
      for (const [id, name] of groups) {
        const parts = [...picture.querySelectorAll(`#${id}, #${id.replace("runs", "residuals")}, [id^="${id.replace("runs", "law")}-"]`)];
        const made = button(name, () => {
          const shown = made.getAttribute("aria-pressed") !== "true";
          made.setAttribute("aria-pressed", shown);
          for (const part of parts) part.style.display = shown ? "" : "none";
        });
        made.setAttribute("aria-pressed", "true");
      }
    let from = null, box = null;
    const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      from = place(event);
      box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      box.setAttribute("class", "brush");
      svg.append(box);
      event.preventDefault();
    });
    addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = place(event);
      box.setAttribute("x", Math.min(from.x, to.x));
      box.setAttribute("y", Math.min(from.y, to.y));
      box.setAttribute("width", Math.abs(to.x - from.x));
      box.setAttribute("height", Math.abs(to.y - from.y));
    });
    addEventListener("pointerup", (event) => {
      if (!from) return;
      const to = place(event), width = Math.abs(to.x - from.x), height = Math.abs(to.y - from.y);
      if (width > 8 && height > 8) {
        svg.setAttribute("viewBox", [Math.min(from.x, to.x), Math.min(from.y, to.y), width, height].join(" "));
        back.hidden = false;
      }
      box.remove();
      from = box = null;
    });
    picture.before(tools);
  }

  // A finding shows the runs that it names.
  for (const made of document.querySelectorAll("[data-marks]")) {
    const groups = Object.entries(JSON.parse(made.dataset.marks));
    const points = groups.flatMap(([id, places]) => {
      const uses = document.querySelectorAll("#" + CSS.escape(id) + " use");
      return places.map((index) => uses[index]).filter(Boolean);
    });
    if (!points.length) continue;
    made.hidden = false;
    made.setAttribute("aria-pressed", "false");
    made.addEventListener("click", () => {
      const marked = made.getAttribute("aria-pressed") !== "true";
      made.setAttribute("aria-pressed", marked);
      for (const old of document.querySelectorAll(".ring")) old.remove();
      for (const other of document.querySelectorAll("[data-marks]")) if (other !== made) other.setAttribute("aria-pressed", "false");
      if (!marked) return;
      for (const point of points) {
        const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
        ring.setAttribute("class", "ring");
        ring.setAttribute("cx", point.getAttribute("x"));
        ring.setAttribute("cy", point.getAttribute("y"));
        ring.setAttribute("r", 9);
        point.parentNode.append(ring);
      }
      points[0].closest("figure").scrollIntoView({ block: "center" });
    });
  }

  // The data behind a figure, to copy and to download.
  for (const area of document.querySelectorAll("textarea[data-name]")) {
    const copy = document.createElement("button");
    copy.textContent = "Copy";
    copy.addEventListener("click", () => {
      area.select();
      (navigator.clipboard ? navigator.clipboard.writeText(area.value) : Promise.reject())
        .catch(() => document.execCommand("copy")).then(() => { copy.textContent = "Copied"; });
    });
    const save = document.createElement("button");
    save.textContent = "Download " + area.dataset.name;
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([area.value], { type: "text/csv" }));
      link.download = area.dataset.name;
      link.click();
      URL.revokeObjectURL(link.href);
    });
    area.after(copy, save);
  }

  // Forecasts between the points of a grid: linear in the logarithms of the variables.
  for (const box of document.querySelectorAll(".explorer")) {
    const { grids, ...rest } = JSON.parse(box.dataset.grid);
    let grid = { ...rest, ...grids[0] };
    const sizes = grid.variables.map((one) => one.values.length);
    const found = document.createElement("p");
    found.className = "found";
    found.setAttribute("role", "status");
    const place = (variable, at) => {
      const values = variable.values, last = values.length - 1;
      const share = Math.log(at / values[0]) / Math.log(values[last] / values[0]) * last;
      const low = Math.max(0, Math.min(last - 1, Math.floor(share)));
      return [low, Math.max(0, Math.min(1, share - low))];
    };
    // Power laws are straight in logarithms, so values are weighed in theirs where all are positive.
    const positive = (one) => Object.fromEntries(Object.entries(one).filter(([, values]) => Array.isArray(values)).map(([name, values]) => [name, values.every((value) => value > 0)]));
    let logarithmic = positive(grids[0]);
    const at = (name, places, log = logarithmic[name]) => {
      let sum = 0;
      for (let corner = 0; corner < 2 ** places.length; corner++) {
        let index = 0, weight = 1;
        places.forEach(([low, share], axis) => {
          const up = (corner >> axis) & 1;
          index = index * sizes[axis] + low + up;
          weight *= up ? share : 1 - share;
        });
        if (weight === 0) continue;
        const value = grid[name][index];
        if (value === null) return null;
        sum += weight * (log ? Math.log(value) : value);
      }
      return log ? Math.exp(sum) : sum;
    };
    const choose = (index) => { grid = { ...rest, ...grids[index] }; logarithmic = positive(grids[index]); };
    const names = grids.map((one) => Object.values(one.levels).join(", "));
    const choice = document.createElement("select");
    if (grids.length > 1) {
      choice.append(...names.map((name) => new Option(name, name)));
      const label = document.createElement("label"), name = document.createElement("span");
      name.textContent = Object.keys(grids[0].levels).join(", ");
      label.append(name, choice);
      box.append(label);
      choice.addEventListener("input", () => choose(names.indexOf(choice.value)));
    }
    const inputs = grid.variables.map((variable) => {
      const label = document.createElement("label"), name = document.createElement("span");
      const input = document.createElement("input"), shown = document.createElement("output");
      name.textContent = variable.name;
      Object.assign(input, { type: "range", min: 0, max: 1000, step: "any" });
      const values = variable.values, span = Math.log(values.at(-1) / values[0]);
      input.value = 1000 * Math.log(variable.at / values[0]) / span;
      label.append(name, input, shown);
      box.append(label);
      return { input, shown, read: () => values[0] * Math.exp(span * input.value / 1000), variable };
    });
    const update = () => {
      const values = inputs.map((one) => one.read());
      const places = inputs.map((one, index) => place(one.variable, values[index]));
      inputs.forEach((one, index) => {
        one.shown.textContent = short(values[index]);
        one.input.setAttribute("aria-valuetext", one.variable.name + " " + short(values[index]));
      });
      const get = (name) => short(at(name, places));
      const between = (low, high) => at(low, places) === null && at(high, places) === null ? "not determined" : `${get(low)} to ${get(high)}`;
      const factor = at("extrapolation_factor", places);
      found.textContent = `${grid.target} ${get("value")}; ${grid.level} of the law ${between("law_low", "law_high")}, of a new run ` +
        between("run_low", "run_high") + (factor > 1.0001 ? `; ${short(factor)} times beyond the runs` : "; inside the range of the runs");
    };
    box.append(found);
    box.hidden = false;
    box.addEventListener("input", update);
    document.addEventListener("target-set", (event) => {
      for (const one of inputs) {
        const value = event.detail[one.variable.name], values = one.variable.values;
        if (value > 0) one.input.value = 1000 * Math.log(value / values[0]) / Math.log(values.at(-1) / values[0]);
      }
      const index = grids.findIndex((one) => Object.entries(one.levels).every(([name, level]) => event.detail[name] === level));
      if (index >= 0) { choose(index); choice.value = names[index]; }
      update();
    });
    box.addEventListener("change", () => {
      const moved = { ...Object.fromEntries(inputs.map((one) => [one.variable.name, one.read()])), ...grid.levels };
      box.dispatchEvent(new CustomEvent("target", { bubbles: true, detail: moved }));
    });
    update();
  }
})();
