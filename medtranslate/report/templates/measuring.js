// Drawing regions on the panes, by pointer or by keys, and the table of their numbers.

const SVG = "http://www.w3.org/2000/svg";
let regions = [];
let draft = null; // a region whose points are not all set; `tip` follows the pointer

function shape(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// ---- From voxels to millimetres of a pane, and back from the pointer -----------------------------------

function onPane(plane, [u, v]) {
  const along = u / facts.stride[plane.across] + 0.5;
  const held = v / facts.stride[plane.down];
  const downward = (plane.upward ? facts.shape[plane.down] - 1 - held : held) + 0.5;
  return [along * facts.spacing[plane.across], downward * facts.spacing[plane.down]];
}

function underPointer(pane, event) {
  const box = pane.canvas.getBoundingClientRect();
  const { across, down, upward } = pane.plane;
  const share = (at_, start, size) => clamp((at_ - start) / size, 0, 1);
  const u = share(event.clientX, box.left, box.width) * facts.shape[across] - 0.5;
  const v = share(event.clientY, box.top, box.height) * facts.shape[down] - 0.5;
  const downward = upward ? facts.shape[down] - 1 - v : v;
  const inside = (value, axis) => clamp(value * facts.stride[axis], -0.5, facts.full[axis] - 0.5);
  return [inside(u, across), inside(downward, down)];
}

// ---- Marks ------------------------------------------------------------------------------------------

const INK = "#ffd479";
const MADE_INK = "#7fe3ff";

function outline(region, plane, colour) {
  const points = (region.tip ? [...region.points, region.tip] : region.points).map((one) => onPane(plane, one));
  const line = { fill: "none", stroke: colour, "stroke-width": 1.6, "vector-effect": "non-scaling-stroke" };
  const [[a, b], [c, d]] = [points[0], points[1] || points[0]];
  const text = points.map((point) => point.join(",")).join(" ");
  if (region.kind === "rectangle") {
    return shape("polygon", { ...line, points: `${a},${b} ${c},${b} ${c},${d} ${a},${d}` });
  }
  if (region.kind === "ellipse") {
    return shape("ellipse", { ...line, cx: (a + c) / 2, cy: (b + d) / 2, rx: Math.abs(c - a) / 2,
      ry: Math.abs(d - b) / 2 });
  }
  return shape(region.kind === "freehand" && !region.tip ? "polygon" : "polyline", { ...line, points: text });
}

// Mean and standard deviation in the steps of an image; of whole numbers with one decimal.
function sayMean(one, found) {
  const more = one.step >= 1 ? 1 : 0;
  return `${written(one, found.mean, more)} \u00b1 ${written({ ...one, key: "" }, found.sd, more)}`;
}

function label(region, number, pane, scale) {
  const points = region.points.map((one) => onPane(pane.plane, one));
  const [right, top] = [Math.max(...points.map((p) => p[0])), Math.min(...points.map((p) => p[1]))];
  const late = right > 0.6 * facts.shape[pane.plane.across] * facts.spacing[pane.plane.across];
  const found = region.measured;
  const own = found.images?.[pane.image.key];
  const text = found.images ? (own?.count ? sayMean(pane.image, own) : "") : sayMeasure(found);
  return shape("text", { x: right + (late ? 0 : 3 / scale), y: Math.max(top - 3 / scale, 12 / scale),
    "text-anchor": late ? "end" : "start", fill: INK, stroke: "#000", "stroke-width": 3 / scale,
    "paint-order": "stroke", "font-size": 12 / scale, "font-family": "sans-serif" }, `${number}  ${text}`.trim());
}

function drawMarks(pane) {
  const { across, down, through } = pane.plane;
  const [width, height] = [across, down].map((axis) => facts.shape[axis] * facts.spacing[axis]);
  const scale = pane.canvas.getBoundingClientRect().width / width || 1; // pixels per mm
  const here = at.map((k, axis) => k * facts.stride[axis]);
  const [x, y] = onPane(pane.plane, [here[across], here[down]]);
  const line = { stroke: "#5fd0dc", "stroke-opacity": 0.6, "vector-effect": "non-scaling-stroke" };
  const marks = [shape("line", { ...line, x1: x, x2: x, y1: 0, y2: height }),
    shape("line", { ...line, x1: 0, x2: width, y1: y, y2: y })];
  regions.forEach((region, k) => {
    const [first, last] = region.slices;
    if (region.plane !== pane.name || here[through] < first || here[through] > last) return;
    marks.push(outline(region, pane.plane, INK), label(region, k + 1, pane, scale));
  });
  if (draft?.plane === pane.name) marks.push(outline(draft, pane.plane, MADE_INK));
  pane.marks.replaceChildren(...marks);
}

// ---- Setting points ----------------------------------------------------------------------------------

const drawing = () => Object.hasOwn(KINDS, state.drag);

function slicesOf(plane) {
  const { through } = PLANES[plane];
  const held = slabAround(through).map((k) => k * facts.stride[through]);
  return [held[0], held.at(-1)];
}

function setPoint(plane, point) {
  const slices = slicesOf(plane);
  const goesOn = draft && draft.plane === plane && draft.kind === state.drag && `${draft.slices}` === `${slices}`;
  if (!goesOn) draft = { kind: state.drag, plane, slices, points: [] };
  draft.tip = null;
  if (draft.points.length < MOST_POINTS) draft.points.push(point);
  if (draft.points.length === KINDS[draft.kind].points) finish();
  redraw();
}

function finish() {
  const done = draft;
  draft = null;
  redraw();
  if (!done || regions.length >= MOST_REGIONS) return;
  const enough = done.kind === "freehand" ? 3 : KINDS[done.kind].points;
  if (done.points.length < enough) return;
  const mm = inMm(done);
  const size = KINDS[done.kind].area ? AREA[done.kind](mm) : Math.hypot(mm[1][0] - mm[0][0], mm[1][1] - mm[0][1]);
  if (size > 0) setRegions([...regions, { ...done, name: "" }]);
}

function dropDraft() {
  draft = null;
  redraw();
}

// A pointer that is pressed, moved and released draws; pressed and released at once it sets one point.
function drawStart(pane, event) {
  setPoint(pane.name, underPointer(pane, event));
}

function drawMove(pane, event, pressed) {
  if (draft?.plane !== pane.name) return;
  const point = underPointer(pane, event);
  if (draft.kind === "freehand" && pressed) setPoint(pane.name, point);
  else draft.tip = point;
  redraw();
}

function drawEnd(pane, event, far) {
  if (!draft || !far) return;
  if (draft.kind === "freehand") finish();
  else setPoint(pane.name, underPointer(pane, event));
}

// Enter sets a point at the crosshair; twice at one place, it closes a freehand region.
function setPointByKey() {
  const plane = state.plane === "all" ? "axial" : state.plane;
  const { across, down } = PLANES[plane];
  const point = [across, down].map((axis) => at[axis] * facts.stride[axis]);
  const again = draft?.kind === "freehand" && `${draft.points.at(-1)}` === `${point}`;
  if (again) finish();
  else setPoint(plane, point);
}

// ---- The table -----------------------------------------------------------------------------------------

function setRegions(next) {
  regions = next.map((region) => ({ ...region, tip: null, measured: region.measured || measure(region) }));
  listRegions();
  redraw();
}

function cell(one, found) {
  if (!found) return element("td", {}, "");
  if (!found.count) return element("td", { "data-image": one.key }, one.key === "error" ? "not scored" : "no voxel");
  const range = `${written(one, found.low)} to ${written(one, found.high)}`;
  return element("td", { "data-image": one.key },
    sayMean(one, found), element("small", {}, range));
}

function regionRow(region, k) {
  const found = region.measured;
  const name = element("input", { type: "text", maxlength: 100, "aria-label": `Name of region ${k + 1}` });
  name.value = region.name;
  name.placeholder = KINDS[region.kind].title;
  name.addEventListener("change", () => { region.name = name.value; });
  const go = element("button", { type: "button" }, "Show");
  go.addEventListener("click", () => showRegion(region));
  const remove = element("button", { type: "button", "aria-label": `Remove region ${k + 1}` }, "Remove");
  remove.addEventListener("click", () => setRegions(regions.filter((one) => one !== region)));
  const scored = found.images?.error?.count;
  const counted = found.voxels === undefined ? ""
    : `${found.voxels} voxels${scored !== undefined && scored < found.voxels ? `, ${scored} of them scored` : ""}`;
  return element("tr", {}, element("th", { scope: "row" }, `${k + 1} `, name,
    element("small", {}, [sayRegionPlace(region), counted].filter(Boolean).join(", ")), go, remove),
    element("td", { "data-size": "" }, sayMeasure(found)), ...images.map((one) => cell(one, found.images?.[one.key])));
}

function listRegions() {
  const head = images.map((one) => element("th", { scope: "col" }, `${one.title}, ${one.unit}`,
    element("small", {}, `voxels in steps of ${one.step}`)));
  find("region-table").replaceChildren(
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Region"),
      element("th", { scope: "col" }, "Size"), ...head)),
    element("tbody", {}, ...regions.map(regionRow)));
  find("regions").hidden = !regions.length;
}

function showRegion(region) {
  const { through } = PLANES[region.plane];
  choose("plane", region.plane);
  move(through, Math.round((region.slices[0] + region.slices[1]) / 2 / facts.stride[through]));
  find("viewer").scrollIntoView({ block: "nearest" });
}
