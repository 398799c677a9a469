// The viewer of a report: panes of one grid, scrolled together. Everything it needs is in the page.

const panes = [];
let waiting = false;

const shown = (pane) => (state.plane === "all" || state.plane === pane.name)
  && (pane.pair ? pairing.mode !== "side" : pairing.mode === "side" && find("show-" + pane.image.key).checked);

function draw(pane) {
  if (pane.pair) drawPair(pane);
  else drawImage(pane);
  pane.context.putImageData(pane.picture, 0, 0);
  applyZoom(pane);
  drawMarks(pane);
  if (pane.pair) {
    pane.heading.textContent = pane.title = pairTitle();
    pane.output.textContent = [pairing.upper, pairing.lower].map((key) => say(image(key), sum(at))).join(" on ");
  } else {
    pane.output.textContent = say(pane.image, sum(at));
  }
}

function drawAll() {
  waiting = false;
  for (const pane of panes) pane.figure.hidden = !shown(pane);
  const visible = panes.filter(shown);
  const planes = state.plane === "all" ? 3 : 1;
  const columns = pairing.mode === "side" ? visible.length / planes : visible.length;
  find("panes").style.setProperty("--columns", Math.max(1, columns));
  visible.forEach(draw);
  const axis = through();
  const slider = find("slice");
  slider.max = facts.shape[axis] - 1;
  slider.value = at[axis];
  slider.setAttribute("aria-valuetext", find("place").textContent = place(axis));
  find("cross").textContent = cross();
  document.querySelectorAll("svg[data-slices]").forEach(mark);
  document.querySelectorAll("button[data-slice]").forEach((button) =>
    button.toggleAttribute("aria-current", Number(button.dataset.slice) === at[2]));
}

function redraw() {
  if (!waiting) requestAnimationFrame(drawAll);
  waiting = true;
}

function choose(name, wanted) {
  const option = document.querySelector(`#viewer input[name="${name}"][value="${wanted}"]`);
  if (!option) return;
  option.checked = true;
  state[name] = wanted;
  find("viewer").dataset[name] = wanted;
  if (draft && draft.kind !== state.drag) draft = null;
  redraw();
}

function addPane(name, one, pair = false) {
  const plane = PLANES[name];
  const [width, height] = [facts.shape[plane.across], facts.shape[plane.down]];
  const mm = [width * facts.spacing[plane.across], height * facts.spacing[plane.down]];
  const label = `${one.title}, ${name}`;
  const canvas = element("canvas", { width, height, role: "img", "aria-label": label });
  const marks = shape("svg", { class: "marks", viewBox: `0 0 ${mm.join(" ")}`, "aria-hidden": "true" });
  const inner = element("div", { class: "inner" }, canvas, marks);
  const sides = facts.sides ? [...plane.sides].map((side) => element("b", { class: "side" }, side)) : [];
  const frame = element("div", { class: "frame" }, inner, ...sides);
  frame.style.setProperty("--ratio", mm[0] / mm[1]);
  const output = element("output", { "data-value": one.key, "aria-live": "off" });
  const button = element("button", { type: "button", class: "enlarge", "aria-pressed": "false",
    "aria-label": `Enlarge ${label}`, title: "Enlarge (or double click)" }, "\u2922");
  const heading = element("span", {}, one.title);
  const figure = element("div", { class: "pane", "data-plane": name, "data-image": one.key },
    element("div", { class: "heading" }, heading, button, output), frame);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pane = { name, plane, image: one, pair, title: one.title, figure, frame, inner, canvas, marks, sides,
    context, picture, pixels: new Uint32Array(picture.data.buffer), shades: new Uint8Array(width * height),
    heading, output, enlarge: button };
  button.addEventListener("click", () => enlarge(pane));
  listen(pane);
  panes.push(pane);
  find("panes").append(figure);
}

function prepareImages() {
  for (const one of images) {
    const [low, high] = one.window;
    const heat = one.key === "spread";
    one.scale = heat || one.key === "source" ? one.key : "target"; // translation and reference share one
    scales[one.scale] = { low, high, windows: heat ? null : one.windows };
  }
  [made, truth] = [image("translation"), image("reference")];
  if (facts.error) {
    const step = Math.min(made.step, truth.step);
    const error = { key: "error", title: "Error", unit: facts.error.unit, scale: "error", step };
    const spot = images.findIndex((one) => one.key === "spread");
    images.splice(spot < 0 ? images.length : spot, 0, error);
    scales.error = { low: 0, high: facts.error.limit, windows: null };
  }
  images.forEach(paint);
}

// Buttons and pictures outside the board that lead to a slice.
function listenToLinks() {
  document.querySelectorAll("svg[data-slices]").forEach(follow);
  document.querySelectorAll("button[data-slice]").forEach((button) => button.addEventListener("click", () => {
    goTo(Number(button.dataset.slice));
    find("viewer").scrollIntoView({ block: "nearest" });
  }));
  document.querySelectorAll(".key-planes a").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    const axis = Number(link.dataset.axis);
    choose("plane", planeThrough(axis));
    move(axis, Number(link.dataset.index) / facts.stride[axis]);
    find("viewer").scrollIntoView();
    find("panes").focus({ preventScroll: true });
  }));
}

function build() {
  prepareImages();
  const names = facts.regular ? Object.keys(PLANES) : ["axial"];
  for (const name of names) {
    for (const one of images) addPane(name, one);
    if (images.length > 1) addPane(name, { key: "pair", title: "Comparison", unit: "", scale: "target" }, true);
  }
  for (const group of ["plane", "drag"]) {
    document.querySelectorAll(`#viewer input[name="${group}"]`).forEach((input) =>
      input.addEventListener("change", () => choose(group, input.value)));
  }
  images.forEach((one) => find("show-" + one.key).addEventListener("change", redraw));
  offerScales();
  Object.keys(scales).forEach(showScale);
  find("panes").addEventListener("keydown", pressed);
  find("slice").addEventListener("input", (event) => move(through(), Number(event.target.value)));
  listenToSlab();
  listenToCompare();
  listenToZoom();
  listenToLinks();
  choose("plane", "axial");
  choose("drag", Z > 1 ? "slices" : "crosshair");
  listenToKeeping();
  window.addEventListener("resize", redraw);
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
  document.documentElement.classList.add("viewing");
  build();
  find("viewer").dataset.ready = "true";
  opening.remove();
}

open().catch((reason) => {
  opening.textContent = `The slices can't be shown: ${reason.message}.`;
});
