"use strict";
(() => {
  const json = async (response) => {
    const found = await response.json();
    return found;
  };

  // On a narrow screen the tab of the page is brought into view.
  const current = document.querySelector(".tabs [aria-current]");
  if (current) current.closest("ul").scrollLeft = Math.max(0, current.offsetLeft - 40);

  // A table is dropped, or chosen.
  const drop = document.getElementById("drop"), file = document.getElementById("file");
  if (drop && file) {
    const wrong = document.getElementById("drop-error");
    const send = async (chosen) => {
      if (!chosen) return;
      wrong.hidden = true;
      drop.setAttribute("aria-busy", "true");
      try {
        const found = await json(await fetch("/tables/" + encodeURIComponent(chosen.name), { method: "PUT", body: chosen }));
        if (found.address) { location.assign(found.address); return; }
        wrong.textContent = found.error;
      } catch (error) {
        wrong.textContent = "The table could not be sent: " + error.message + ". Is the app still running?";
      }
      drop.removeAttribute("aria-busy");
      wrong.hidden = false;
    };
    file.addEventListener("change", () => send(file.files[0]));
    for (const name of ["dragenter", "dragover"])
      addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
    for (const name of ["dragleave", "drop"]) addEventListener(name, () => drop.classList.remove("over"));
    addEventListener("drop", (event) => { event.preventDefault(); send(event.dataTransfer.files[0]); });
  }

  // A listing of papers is added.
  const listing = document.getElementById("listing");
  if (listing) listing.addEventListener("change", async () => {
    const chosen = listing.files[0], says = document.getElementById("listing-says");
    if (!chosen) return;
    const found = await json(await fetch("/papers/import/" + encodeURIComponent(chosen.name), { method: "PUT", body: chosen }));
    says.textContent = found.error || [found.said, ...found.notes].join(" ");
    says.classList.toggle("error", Boolean(found.error));
    if (found.said) {
      const again = document.createElement("a");
      again.href = "/papers";
      again.textContent = " Show the list";
      says.append(again);
    }
  });

  // What stays empty does not belong in the address.
  const ask = document.getElementById("ask");
  if (ask) ask.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });

  // A law is read as it is typed; what is wrong stands under its character.
  for (const input of document.querySelectorAll("[data-law]")) {
    const says = input.parentNode.querySelector("[data-law-says]"), below = input.parentNode.querySelector("[data-law-below]");
    const old = document.getElementById("error-law");
    let asked = 0, timer = 0;
    const read = async () => {
      const mine = ++asked;
      if (!input.value.trim()) return;
      const found = await json(await fetch("/law?" + new URLSearchParams({ law: input.value, table: input.form.elements.table ? input.form.elements.table.value : "" })));
      if (mine !== asked) return;
      if (old) old.hidden = true;
      says.textContent = found.error || found.law;
      says.classList.toggle("error", Boolean(found.error));
      below.textContent = found.below || "";
      below.hidden = !found.below;
      if (found.error) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    };
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(read, 150); });
    read();
  }

  // Work shows how far it is, and can be given up.
  for (const panel of document.querySelectorAll("[data-job]")) {
    const bar = panel.querySelector("progress"), text = panel.querySelector(".how-far");
    const source = new EventSource("/jobs/" + panel.dataset.job + "/events");
    source.onmessage = (event) => {
      const { what, done, total, seconds } = JSON.parse(event.data);
      if (total) { bar.max = total; bar.value = done; }
      text.textContent = (total ? `${what}: ${done} of ${total}, ` : "") + `${Math.round(seconds)} s`;
    };
    source.addEventListener("ended", (event) => {
      source.close();
      if (!JSON.parse(event.data).cancelled) { location.reload(); return; }
      panel.querySelector("h2").textContent = "Cancelled";
      text.textContent = "nothing was kept; ask again to start anew";
      bar.remove();
      panel.querySelector("button").remove();
    });
    panel.querySelector("[data-cancel]").addEventListener("click", () => fetch("/jobs/" + panel.dataset.job + "/cancel", { method: "POST" }));
  }

  // The target moves at once between the points of a grid; where it comes to rest, the server gives the exact forecast.
  const box = document.getElementById("forecast");
  if (box) {
    const words = box.querySelector(".answer"), list = box.querySelector(".findings"), form = box.querySelector("form");
    const fields = [...form.querySelectorAll("[name^='at-']")];
    const written = (value) => {
      for (const [suffix, unit] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["K", 1e3]])
        if (value >= unit * 0.9995 && value < 1e15) return Number((value / unit).toPrecision(4)) + suffix;
      return String(Number(value.toPrecision(4)));
    };
    for (const select of form.querySelectorAll("select")) select.addEventListener("change", () => show());
    let asked = 0;
    const show = async () => {
      const mine = ++asked;
      const address = new URL(location.href);
      for (const field of fields) if (field.value.trim()) address.searchParams.set(field.name, field.value.trim()); else address.searchParams.delete(field.name);
      history.replaceState(null, "", address);
      const found = await json(await fetch("/at" + address.search));
      if (mine !== asked) return;
      words.hidden = false;
      words.textContent = found.error || found.text;
      words.classList.toggle("error", Boolean(found.error));
      list.replaceChildren(...(found.warnings || []).map((text) => {
        const item = document.createElement("li");
        item.className = "warning";
        item.textContent = text;
        return item;
      }));
      if (found.inputs) document.dispatchEvent(new CustomEvent("target-set", { detail: found.inputs }));
    };
    document.addEventListener("target", (event) => {
      for (const field of fields) {
        const value = event.detail[field.name.slice(3)];
        if (value) field.value = typeof value === "number" ? written(value) : value;
      }
      show();
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
    if (fields.some((field) => new URLSearchParams(location.search).has(field.name))) show();
  }

  // A ladder is drawn as it goes on.
  for (const place of document.querySelectorAll("[data-ladder]")) {
    const query = "?" + new URLSearchParams({ folder: place.dataset.ladder });
    const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];
    const number = (value, digits = 4) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits))));
    const count = (value) => {
      for (const [suffix, unit] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["K", 1e3]])
        if (value >= unit * 0.9995) return Number((value / unit).toPrecision(3)) + suffix;
      return number(value, 3);
    };
    // Round numbers between the ends of a logarithmic axis, the fewer the wider it is.
    const rounds = (_, __, low, high) => {
      const decades = Math.log10(high / low), steps = decades < 0.7 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8] : decades < 1.6 ? [1, 2, 5] : decades < 3 ? [1, 3] : [1];
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const step of steps) {
          const value = Number((step * 10 ** power).toPrecision(3));
          if (value >= low && value <= high) found.push(value);
        }
      return found;
    };
    const target = place.querySelector("[data-plot]");
    let plot = null;
    const draw = (state) => {
      place.querySelector("[data-headline]").textContent = state.headline + (state.here ? "; at work here" : "");
      place.querySelector("[data-start]").disabled = state.here;
      place.querySelector("[data-stop]").disabled = !state.here;
      place.querySelector("[data-log]").textContent = state.log || (state.here ? "Nothing yet." : "Nothing: it was not started here.");
      const table = place.querySelector("[data-table]");
      table.hidden = !state.table;
      table.href = "/table?" + new URLSearchParams({ table: state.table, last: 1 });
      const rows = [...state.runs.map((one) => {
        const last = one.losses.at(-1), share = one.tokens.length && one.whole ? one.tokens.at(-1) / one.whole : 0;
        const end = one.status === "done" ? "measured" : one.interval[0] === null && one.interval[1] === null ? "–" : `${number(one.interval[0])} to ${number(one.interval[1])}`;
        return [one.run, one.status, `${Math.round(100 * share)} %`, count(one.params), number(last), one.end === null ? one.note || "–" : number(one.end), end];
      }), ...state.waiting.map((one) => [one.run, "waiting", "0 %", count(one.params), "–", "–", "–"])];
      place.querySelector("[data-rows]").replaceChildren(...rows.map((cells) => {
        const row = document.createElement("tr");
        row.append(...cells.map((text, index) => {
          const cell = document.createElement(index ? "td" : "th");
          if (!index) cell.scope = "row";
          cell.textContent = text;
          return cell;
        }));
        return row;
      }));
      place.querySelector("[data-reasons]").replaceChildren(...state.runs.filter((one) => one.reason).map((one) => {
        const item = document.createElement("li");
        item.className = "severe";
        item.textContent = `${one.run}: ${one.reason}`;
        return item;
      }));
      const drawn = state.runs.filter((one) => one.tokens.length);
      if (!drawn.length) { target.textContent = "No run has been evaluated yet."; return; }
      const places = [...new Set(drawn.flatMap((one) => [...one.tokens, one.whole]))].sort((a, b) => a - b);
      const along = new Map(places.map((value, index) => [value, index]));
      const series = [{ label: "tokens", value: (_, value) => (value === null ? "–" : count(value)) }], data = [places];
      drawn.forEach((one, index) => {
        const stroke = colours[index % colours.length], line = new Array(places.length).fill(null);
        one.tokens.forEach((value, at) => { line[along.get(value)] = one.losses[at]; });
        series.push({ label: one.run, stroke, width: 1.5, spanGaps: true, points: { show: one.tokens.length < 60, size: 4 }, value: (_, value) => number(value) });
        data.push(line);
        if (one.end !== null && one.status !== "done") {
          const rest = new Array(places.length).fill(null);
          rest[along.get(one.tokens.at(-1))] = one.losses.at(-1);
          rest[along.get(one.whole)] = one.end;
          series.push({ label: one.run + " to its end", stroke, width: 1.5, dash: [2, 4], spanGaps: true, points: { show: true, size: 6 }, value: (_, value) => number(value) });
          data.push(rest);
        }
      });
      if (plot) plot.destroy(); else target.textContent = "";
      plot = new uPlot({
        width: target.clientWidth, height: 340, series, legend: { show: drawn.length <= 24 },
        scales: { x: { time: false, distr: 3, range: (_, low, high) => [low * 0.9, high * 1.1] }, y: { distr: 3, range: (_, low, high) => [low * 0.97, high * 1.03] } },
        axes: [{ label: "tokens", splits: rounds, filter: (_, splits) => splits, values: (_, values) => values.map((value) => (value === null ? "" : count(value))) }, { label: "loss", size: 64, splits: rounds, filter: (_, splits) => splits, values: (_, values) => values.map((value) => (value === null ? "" : number(value, 3))) }],
      }, data, target);
    };
    const first = JSON.parse(place.dataset.state);
    let seen = first.version;
    draw(first);
    const source = new EventSource("/ladder/events" + query);
    source.onmessage = async (event) => {
      if (JSON.parse(event.data) === seen) return;
      const state = await json(await fetch("/ladder/data" + query));
      if (state.error) return;
      seen = state.version;
      draw(state);
    };
    addEventListener("resize", () => plot && plot.setSize({ width: target.clientWidth, height: 340 }));
  }
})();
