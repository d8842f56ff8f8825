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
    const grid = JSON.parse(box.dataset.grid);
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
    const at = (name, places, log = false) => {
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
      const factor = at("extrapolation_factor", places, true);
      found.textContent = `${grid.target} ${get("value")}; ${grid.level} of the law ${between("law_low", "law_high")}, of a new run ` +
        between("run_low", "run_high") + (factor > 1.0001 ? `; ${short(factor)} times beyond the runs` : "; inside the range of the runs");
    };
    box.append(found);
    box.hidden = false;
    box.addEventListener("input", update);
    update();
  }
})();
