"use strict";
// The viewer of a report: volumes of one grid, scrolled together. Everything it needs is in the page.
// Arrays are [X, Y, Z] in the layout LPS, x fastest: x grows to the patient's left, y to the back, z upward.
(() => {
  const find = (id) => document.getElementById(id);
  const facts = JSON.parse(find("facts").textContent);
  const [X, Y, Z] = facts.shape;
  const STRIDES = [1, X, X * Y];

  // Radiological view: the patient's right on the left of the screen, the front or the head on top.
  const PLANES = {
    axial: { across: 0, down: 1, through: 2, sides: "RLAP" },
    coronal: { across: 0, down: 2, through: 1, sides: "RLSI", upward: true },
    sagittal: { across: 1, down: 2, through: 0, sides: "APSI", upward: true },
  };

  const at = [...facts.start];
  const state = { plane: "axial", drag: "slices", signed: false };
  const images = facts.images;
  const scales = {};
  const panes = [];
  let mask = null;
  let waiting = false;

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const sum = (index) => index[0] * STRIDES[0] + index[1] * STRIDES[1] + index[2] * STRIDES[2];
  const decimals = (step) => clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6);
  const tidy = (value) => Number(value.toPrecision(4));
  const image = (key) => images.find((one) => one.key === key);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // ---- Values -------------------------------------------------------------------------------------

  async function unpack(key, wide) {
    const text = find("volume-" + key).textContent;
    const packed = Uint8Array.fromBase64
      ? Uint8Array.fromBase64(text)
      : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
    const count = X * Y * Z;
    if (bytes.length !== count * (wide ? 2 : 1)) throw new Error(`the ${key} is not whole`);
    const codes = wide ? new Uint16Array(count) : bytes;
    let code = 0;
    for (let k = 0; k < count; k += 1) {
      const folded = wide ? bytes[k] | (bytes[count + k] << 8) : bytes[k];
      code = (code + ((folded >>> 1) ^ -(folded & 1))) & 65535;
      codes[k] = code; // of a byte its last eight bits
    }
    return codes;
  }

  const value = (one, index) => one.low + one.step * one.codes[index];

  // Translation minus reference, with the reference clipped as it was scored.
  function difference(index) {
    const truth = value(image("reference"), index);
    const [low, high] = facts.error.clip || [-Infinity, Infinity];
    return value(image("translation"), index) - clamp(truth, low, high);
  }

  function say(one, index) {
    if (one.key === "error" && !mask[index]) return "not scored";
    const digits = decimals(one.step);
    const number = one.key === "error" ? difference(index) : value(one, index);
    const sign = one.key === "error" && number > 0 ? "+" : "";
    return `${sign}${number.toFixed(digits)} ${one.unit}`.replace(/^-(0\.?0*) /, "$1 ").replace("-", "\u2212");
  }

  // ---- Colours: a table from code to pixel for each image ------------------------------------------

  const pixel = (red, green, blue) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  const hex = (text) => [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));

  function ramp(stops) {
    return Uint32Array.from({ length: 256 }, (_, k) => {
      const place = (k / 255) * (stops.length - 1);
      const left = Math.min(stops.length - 2, Math.floor(place));
      const mix = (c) => Math.round(stops[left][c] + (place - left) * (stops[left + 1][c] - stops[left][c]));
      return pixel(mix(0), mix(1), mix(2));
    });
  }
  const GREY = ramp([[0, 0, 0], [255, 255, 255]]);
  const HEAT = ramp(facts.colours.map(hex));
  const SIGNED = ramp([[150, 215, 255], [40, 120, 220], [0, 0, 0], [225, 110, 30], [255, 220, 150]]);

  function paint(one) {
    const scale = scales[one.scale];
    if (one.key === "error") return;
    const colours = one.key === "spread" ? HEAT : GREY;
    const span = Math.max(scale.high - scale.low, 1e-9);
    one.table = Uint32Array.from({ length: one.wide ? 65536 : 256 }, (_, code) => {
      const share = (one.low + one.step * code - scale.low) / span;
      return colours[Math.round(255 * clamp(share, 0, 1))];
    });
  }

  function errorPixel(index) {
    if (!mask[index]) return GREY[0];
    const share = difference(index) / scales.error.high;
    return state.signed
      ? SIGNED[Math.round(127.5 + 127.5 * clamp(share, -1, 1))]
      : HEAT[Math.round(255 * Math.min(1, Math.abs(share)))];
  }

  // ---- Drawing --------------------------------------------------------------------------------------

  const shown = (pane) =>
    (state.plane === "all" || state.plane === pane.name) && find("show-" + pane.image.key).checked;

  // From a pane's pixel to the voxel and back.
  const row = (pane, v) => (pane.plane.upward ? facts.shape[pane.plane.down] - 1 - v : v);

  function draw(pane) {
    const { across, down, through } = pane.plane;
    const [width, height] = [facts.shape[across], facts.shape[down]];
    const { table, codes } = pane.image;
    const out = pane.pixels;
    let k = 0;
    for (let v = 0; v < height; v += 1) {
      let index = at[through] * STRIDES[through] + row(pane, v) * STRIDES[down];
      for (let u = 0; u < width; u += 1, index += STRIDES[across]) {
        out[k++] = table ? table[codes[index]] : errorPixel(index);
      }
    }
    pane.context.putImageData(pane.picture, 0, 0);
    pane.upright.style.left = `${(100 * (at[across] + 0.5)) / width}%`;
    pane.level.style.top = `${(100 * (row(pane, at[down]) + 0.5)) / height}%`;
    pane.output.textContent = say(pane.image, sum(at));
  }

  function drawAll() {
    waiting = false;
    const visible = panes.filter((pane) => {
      pane.frame.parentElement.hidden = !shown(pane);
      return shown(pane);
    });
    visible.forEach(draw);
    const planes = state.plane === "all" ? 3 : 1;
    find("panes").style.setProperty("--columns", Math.max(1, visible.length / planes));
    const through = PLANES[state.plane === "all" ? "axial" : state.plane].through;
    const slider = find("slice");
    slider.max = facts.shape[through] - 1;
    slider.value = at[through];
    slider.setAttribute("aria-valuetext", find("place").textContent = place(through));
    find("cross").textContent = cross();
    document.querySelectorAll("svg[data-slices]").forEach(mark);
    document.querySelectorAll("button[data-slice]").forEach((button) =>
      button.toggleAttribute("aria-current", Number(button.dataset.slice) === at[2]));
  }

  function redraw() {
    if (!waiting) requestAnimationFrame(drawAll);
    waiting = true;
  }

  // ---- Where we are, in words -------------------------------------------------------------------------

  function millimetres(index) {
    const voxel = [...index.map((i, axis) => i * facts.stride[axis]), 1];
    return [0, 1, 2].map((world) => facts.affine[world].reduce((all, entry, j) => all + entry * voxel[j], 0));
  }

  function cross() {
    const voxel = at.map((i, axis) => i * facts.stride[axis]).join(", ");
    if (!facts.affine) return `Crosshair at voxel ${voxel}`;
    const sides = [["L", "R"], ["P", "A"], ["I", "S"]]; // RAS+: negative, positive
    const words = millimetres(at).map((mm, k) => `${sides[k][Number(mm >= 0)]} ${Math.abs(mm).toFixed(1)}`);
    return `Crosshair at ${words.join(", ")} mm (voxel ${voxel})`;
  }

  function place(through) {
    const name = Object.keys(PLANES).find((key) => PLANES[key].through === through);
    const here = at[through] * facts.stride[through];
    const last = (facts.shape[through] - 1) * facts.stride[through];
    const mae = facts.slices[at[2]];
    const scored = mae === undefined ? "no scored voxel here" : `MAE, ${facts.error.of}: ${tidy(mae)}`;
    if (Z === 1) return facts.error ? scored : "One slice";
    const told = through === 2 && facts.error ? `, ${scored}` : "";
    return `${name[0].toUpperCase()}${name.slice(1)} slice ${here} (0 to ${last})${told}`;
  }

  // ---- Moving -----------------------------------------------------------------------------------------

  function move(axis, position) {
    at[axis] = clamp(Math.round(position), 0, facts.shape[axis] - 1);
    redraw();
  }

  function goTo(slice) {
    if (state.plane !== "all") choose("plane", "axial");
    move(2, slice / facts.stride[2]);
  }

  const through = (pane) => (pane ? pane.plane : PLANES[state.plane === "all" ? "axial" : state.plane]).through;

  function aim(pane, event) {
    const box = pane.frame.getBoundingClientRect();
    const { across, down } = pane.plane;
    const u = ((event.clientX - box.left) / box.width) * facts.shape[across];
    const v = ((event.clientY - box.top) / box.height) * facts.shape[down];
    move(across, Math.floor(u));
    move(down, row(pane, clamp(Math.floor(v), 0, facts.shape[down] - 1)));
  }

  function setWindow(scale, low, high) {
    scales[scale].low = scale === "source" || scale === "target" ? low : 0;
    scales[scale].high = Math.max(high, scales[scale].low + 1e-6);
    images.filter((one) => one.scale === scale).forEach(paint);
    showScale(scale);
    redraw();
  }

  function dragged(pane, start, event) {
    const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
    const windowing = start.button === 2 || state.drag === "window";
    if (windowing) {
      const span = start.high - start.low;
      const heat = pane.image.scale === "error" || pane.image.scale === "spread";
      const width = Math.max(span * Math.exp(dx / 150), span / 1000);
      const level = (start.low + start.high) / 2 + (heat ? 0 : (dy / 300) * span);
      if (heat) setWindow(pane.image.scale, 0, start.high * Math.exp(dx / 150));
      else setWindow(pane.image.scale, level - width / 2, level + width / 2);
    } else if (state.drag === "crosshair") {
      aim(pane, event);
    } else {
      // A finger that moves up or down moves the page, so it scrolls slices sideways.
      const pixels = start.touch ? dx : -dy;
      const count = facts.shape[pane.plane.through];
      move(pane.plane.through, start.position + pixels * Math.max(0.1, Math.min(1, count / 300)));
    }
  }

  function listen(pane) {
    let start = null;
    let wheel = 0;
    const { frame } = pane;
    frame.addEventListener("pointerdown", (event) => {
      const scale = scales[pane.image.scale];
      start = {
        x: event.clientX, y: event.clientY, button: event.button, touch: event.pointerType === "touch",
        position: at[pane.plane.through], low: scale.low, high: scale.high, far: false,
      };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!start) return;
      start.far ||= Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4;
      if (start.far) dragged(pane, start, event);
    });
    frame.addEventListener("pointerup", (event) => {
      if (start && !start.far && event.button === 0) aim(pane, event);
      start = null;
    });
    frame.addEventListener("pointercancel", () => { start = null; });
    frame.addEventListener("contextmenu", (event) => event.preventDefault());
    frame.addEventListener("dblclick", () => enlarge(pane));
    frame.addEventListener("wheel", (event) => {
      if (event.ctrlKey) return; // the browser's zoom
      const position = at[pane.plane.through];
      const end = event.deltaY < 0 ? facts.shape[pane.plane.through] - 1 : 0; // up is toward the head
      if (position === end) return; // at the end of the stack the page scrolls on
      event.preventDefault();
      wheel += event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY;
      const steps = Math.trunc(wheel / 40) || 0;
      wheel -= steps * 40;
      if (steps) move(pane.plane.through, position - clamp(steps, -3, 3));
    }, { passive: false });
  }

  function enlarge(pane) {
    const large = pane.frame.parentElement.classList.toggle("large");
    pane.enlarge.setAttribute("aria-pressed", large);
  }

  const KEYS = {
    ArrowUp: () => move(through(), at[through()] + 1),
    ArrowDown: () => move(through(), at[through()] - 1),
    PageUp: () => move(through(), at[through()] + 10),
    PageDown: () => move(through(), at[through()] - 10),
    Home: () => move(through(), 0),
    End: () => move(through(), Infinity),
    a: () => choose("plane", "axial"),
    c: () => choose("plane", "coronal"),
    s: () => choose("plane", "sagittal"),
    t: () => choose("plane", "all"),
    w: () => nextWindow("target"),
    q: () => nextWindow("source"),
  };

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, button")) return;
    const { across, down, upward } = PLANES[state.plane === "all" ? "axial" : state.plane];
    const steps = { ArrowLeft: [across, -1], ArrowRight: [across, 1], ArrowUp: [down, upward ? 1 : -1],
      ArrowDown: [down, upward ? -1 : 1] };
    const step = (event.shiftKey || event.key === "ArrowLeft" || event.key === "ArrowRight") && steps[event.key];
    if (step) move(step[0], at[step[0]] + step[1]);
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  }

  // ---- Windows ----------------------------------------------------------------------------------------

  function showScale(scale) {
    const { low, high, windows } = scales[scale];
    if (find("limit-" + scale)) {
      find("limit-" + scale).value = tidy(high);
      document.querySelectorAll(`[data-legend="${scale}"] text`).forEach((text, k) => {
        const end = state.signed && scale === "error" ? [-high, 0, high][k] : [0, high / 2, high][k];
        text.textContent = String(tidy(end)).replace("-", "\u2212");
      });
      return;
    }
    find("level-" + scale).value = tidy((low + high) / 2);
    find("width-" + scale).value = tidy(high - low);
    const same = Object.keys(windows).find((name) =>
      Math.abs(windows[name][0] - low) + Math.abs(windows[name][1] - high) < 1e-6 * Math.max(1, high - low));
    find("preset-" + scale).value = same || "";
  }

  function nextWindow(scale) {
    if (!scales[scale]) return;
    const names = Object.keys(scales[scale].windows);
    const next = names[(names.indexOf(find("preset-" + scale).value) + 1) % names.length];
    setWindow(scale, ...scales[scale].windows[next]);
  }

  function offerScales() {
    for (const [scale, { windows }] of Object.entries(scales)) {
      if (!windows) {
        find("limit-" + scale).addEventListener("change", (event) => {
          const high = Math.abs(Number(event.target.value));
          setWindow(scale, 0, high || scales[scale].high);
        });
        continue;
      }
      const preset = find("preset-" + scale);
      for (const name of Object.keys(windows)) preset.append(element("option", { value: name }, name));
      preset.append(element("option", { value: "", disabled: "" }, "own"));
      preset.addEventListener("change", () => setWindow(scale, ...windows[preset.value]));
      const typed = () => {
        const [level, width] = ["level-", "width-"].map((name) => Number(find(name + scale).value));
        if (width > 0) setWindow(scale, level - width / 2, level + width / 2);
        else showScale(scale);
      };
      for (const name of ["level-", "width-"]) find(name + scale).addEventListener("change", typed);
    }
    find("signed")?.addEventListener("change", (event) => {
      state.signed = event.target.checked;
      find("viewer").classList.toggle("signed", state.signed);
      showScale("error");
      redraw();
    });
  }

  // ---- Curves -------------------------------------------------------------------------------------------

  const numbers = (text) => text.split(" ").map(Number);

  function nearest(list, wanted) {
    return list.reduce((best, one, k) => (Math.abs(one - wanted) < Math.abs(list[best] - wanted) ? k : best), 0);
  }

  function mark(chart) {
    const slices = numbers(chart.dataset.slices);
    const k = nearest(slices, at[2] * facts.stride[2]);
    const x = numbers(chart.dataset.places)[k];
    const here = chart.querySelector(".here");
    here.setAttribute("x1", x);
    here.setAttribute("x2", x);
    chart.setAttribute("aria-valuenow", slices[k]);
    chart.setAttribute("aria-valuetext", place(2));
  }

  function follow(chart) {
    const slices = numbers(chart.dataset.slices);
    const go = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
      goTo(slices[nearest(numbers(chart.dataset.places), point.x)]);
    };
    chart.addEventListener("pointerdown", go);
    chart.addEventListener("pointermove", (event) => event.buttons && go(event));
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      goTo(slices[clamp(nearest(slices, at[2] * facts.stride[2]) + step, 0, slices.length - 1)]);
    });
  }

  // ---- Building the page ----------------------------------------------------------------------------------

  function choose(name, wanted) {
    const option = document.querySelector(`#viewer input[name="${name}"][value="${wanted}"]`);
    if (!option) return;
    option.checked = true;
    state[name] = wanted;
    find("viewer").dataset[name] = wanted;
    redraw();
  }

  function addPane(name, plane, one) {
    const [width, height] = [facts.shape[plane.across], facts.shape[plane.down]];
    const ratio = (width * facts.spacing[plane.across]) / (height * facts.spacing[plane.down]);
    const label = `${one.title}, ${name}`;
    const canvas = element("canvas", { width, height, role: "img", "aria-label": label });
    const [upright, level] = ["upright", "level"].map((kind) => element("i", { class: kind }));
    const sides = facts.sides ? [...plane.sides].map((side) => element("b", { class: "side" }, side)) : [];
    const frame = element("div", { class: "frame" }, canvas, upright, level, ...sides);
    frame.style.setProperty("--ratio", ratio);
    const output = element("output", { "data-value": one.key, "aria-live": "off" });
    const button = element("button", { type: "button", class: "enlarge", "aria-pressed": "false",
      "aria-label": `Enlarge ${label}`, title: "Enlarge (or double click)" }, "\u2922");
    const heading = element("div", { class: "heading" }, element("span", {}, one.title), button, output);
    const figure = element("div", { class: "pane", "data-plane": name, "data-image": one.key }, heading, frame);
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    const pane = { name, plane, image: one, frame, context, picture, pixels, upright, level, output,
      enlarge: button };
    button.addEventListener("click", () => enlarge(pane));
    listen(pane);
    panes.push(pane);
    find("panes").append(figure);
  }

  function build() {
    for (const one of images) {
      const [low, high] = one.window;
      const heat = one.key === "spread";
      one.scale = heat || one.key === "source" ? one.key : "target"; // translation and reference share one
      scales[one.scale] = { low, high, windows: heat ? null : one.windows };
    }
    if (facts.error) {
      const step = Math.min(image("translation").step, image("reference").step);
      const error = { key: "error", title: "Error", unit: facts.error.unit, scale: "error", step };
      const place = images.findIndex((one) => one.key === "spread");
      images.splice(place < 0 ? images.length : place, 0, error);
      scales.error = { low: 0, high: facts.error.limit, windows: null };
    }
    images.forEach(paint);
    const names = facts.regular ? Object.keys(PLANES) : ["axial"];
    for (const name of names) for (const one of images) addPane(name, PLANES[name], one);
    for (const group of ["plane", "drag"]) {
      document.querySelectorAll(`#viewer input[name="${group}"]`).forEach((input) =>
        input.addEventListener("change", () => choose(group, input.value)));
    }
    images.forEach((one) => find("show-" + one.key).addEventListener("change", redraw));
    offerScales();
    Object.keys(scales).forEach(showScale);
    find("panes").addEventListener("keydown", pressed);
    find("slice").addEventListener("input", (event) => move(through(), Number(event.target.value)));
    document.querySelectorAll("svg[data-slices]").forEach(follow);
    document.querySelectorAll("button[data-slice]").forEach((button) => button.addEventListener("click", () => {
      goTo(Number(button.dataset.slice));
      find("viewer").scrollIntoView({ block: "nearest" });
    }));
    choose("plane", "axial");
    choose("drag", Z > 1 ? "slices" : "crosshair");
  }

  async function open() {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("this browser is older than 2023 and can't unpack them; the slices below are pictures");
    }
    const wide = Object.fromEntries(images.map((one) => [one.key, one.wide]));
    const keys = [...images.map((one) => one.key), "mask"];
    const found = await Promise.all(keys.map((key) => unpack(key, wide[key])));
    images.forEach((one, k) => { one.codes = found[k]; });
    mask = found.at(-1);
    build();
    document.documentElement.classList.add("viewing");
    find("viewer").dataset.ready = "true";
    find("opening").remove();
  }

  open().catch((reason) => {
    find("opening").textContent = `The slices can't be shown: ${reason.message}.`;
  });
})();
