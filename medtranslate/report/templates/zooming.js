// Zoom and pan. All panes of a plane share theirs.

const MOST_ZOOM = 16;
const zooms = Object.fromEntries(Object.keys(PLANES).map((name) => [name, { scale: 1, x: 0, y: 0 }]));

// x and y are the place of the top left corner, in frames; the picture always fills its frame.
function applyZoom(pane) {
  const zoom = zooms[pane.name];
  zoom.x = clamp(zoom.x, 1 - zoom.scale, 0);
  zoom.y = clamp(zoom.y, 1 - zoom.scale, 0);
  pane.inner.style.transform = `translate(${100 * zoom.x}%, ${100 * zoom.y}%) scale(${zoom.scale})`;
}

// Zoom by a factor about a place of the frame, whose sides are 0 to 1.
function zoomAbout(name, factor, x, y) {
  const zoom = zooms[name];
  const scale = clamp(zoom.scale * factor, 1, MOST_ZOOM);
  zoom.x = x - ((x - zoom.x) * scale) / zoom.scale;
  zoom.y = y - ((y - zoom.y) * scale) / zoom.scale;
  zoom.scale = scale;
  redraw();
}

// Zoom about the crosshair, in the planes that are shown; factor 0 fits the picture into its frame again.
function zoomAtCross(factor) {
  for (const [name, plane] of Object.entries(PLANES)) {
    if (state.plane !== "all" && state.plane !== name) continue;
    const zoom = zooms[name];
    const share = (axis) => (at[axis] + 0.5) / facts.shape[axis];
    const downward = (row(plane, at[plane.down]) + 0.5) / facts.shape[plane.down];
    const [x, y] = [zoom.x + share(plane.across) * zoom.scale, zoom.y + downward * zoom.scale];
    if (factor) zoomAbout(name, factor, x, y);
    else Object.assign(zoom, { scale: 1, x: 0, y: 0 });
  }
  redraw();
}

function pan(pane, dx, dy) {
  const box = pane.frame.getBoundingClientRect();
  zooms[pane.name].x += dx / box.width;
  zooms[pane.name].y += dy / box.height;
  redraw();
}

function zoomByWheel(pane, event) {
  const box = pane.frame.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  zoomAbout(pane.name, Math.exp(-clamp(event.deltaY, -200, 200) / 400), x, y);
}

function listenToZoom() {
  for (const [id, factor] of [["zoom-in", 1.4], ["zoom-out", 1 / 1.4], ["zoom-fit", 0]]) {
    find(id).addEventListener("click", () => zoomAtCross(factor));
  }
}
