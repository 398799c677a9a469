// Moving through the slices, by pointer, wheel and keys.

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
  const { across, down } = pane.plane;
  const [u, v] = underPointer(pane, event);
  move(across, u / facts.stride[across]);
  move(down, v / facts.stride[down]);
}

function dragged(pane, start, event) {
  const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
  const windowing = start.button === 2 || state.drag === "window";
  if (start.button === 1 || (!windowing && state.drag === "zoom")) {
    pan(pane, event.clientX - start.lastX, event.clientY - start.lastY);
    [start.lastX, start.lastY] = [event.clientX, event.clientY];
  } else if (windowing) {
    const span = start.high - start.low;
    const heat = pane.image.scale === "error" || pane.image.scale === "spread";
    const width = Math.max(span * Math.exp(dx / 150), span / 1000);
    const level = (start.low + start.high) / 2 + (heat ? 0 : (dy / 300) * span);
    if (heat) setWindow(pane.image.scale, 0, start.high * Math.exp(dx / 150));
    else setWindow(pane.image.scale, level - width / 2, level + width / 2);
  } else if (state.drag === "crosshair") {
    aim(pane, event);
  } else if (state.drag === "slices") {
    // A finger that moves up or down moves the page, so it scrolls slices sideways.
    const pixels = start.touch ? dx : -dy;
    const count = facts.shape[pane.plane.through];
    move(pane.plane.through, start.position + pixels * Math.max(0.1, Math.min(1, count / 300)));
  }
}

function listen(pane) {
  let start = null;
  const { frame } = pane;
  frame.addEventListener("pointerdown", (event) => {
    const { low, high } = scales[pane.image.scale];
    const [x, y] = [event.clientX, event.clientY];
    start = {
      x, y, lastX: x, lastY: y, button: event.button, touch: event.pointerType === "touch",
      position: at[pane.plane.through], low, high, far: false,
    };
    frame.setPointerCapture(event.pointerId);
    if (event.button === 1) event.preventDefault();
    if (drawing() && event.button === 0) drawStart(pane, event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (start) start.far ||= Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4;
    if (drawing() && (!start || start.button === 0)) drawMove(pane, event, Boolean(start?.far));
    else if (start?.far) dragged(pane, start, event);
  });
  frame.addEventListener("pointerup", (event) => {
    if (start?.button === 0 && drawing()) drawEnd(pane, event, start.far);
    else if (start && !start.far && event.button === 0) aim(pane, event);
    start = null;
  });
  frame.addEventListener("pointercancel", () => { start = null; });
  frame.addEventListener("contextmenu", (event) => event.preventDefault());
  frame.addEventListener("dblclick", () => { if (!drawing()) enlarge(pane); });
  listenToWheel(pane);
}

function listenToWheel(pane) {
  let wheel = 0;
  pane.frame.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // the browser's zoom
    if (state.drag === "zoom") {
      event.preventDefault();
      zoomByWheel(pane, event);
      return;
    }
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
  redraw();
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
  "+": () => zoomAtCross(1.4),
  "=": () => zoomAtCross(1.4),
  "-": () => zoomAtCross(1 / 1.4),
  0: () => zoomAtCross(0),
  r: () => choose("drag", "rectangle"),
  e: () => choose("drag", "ellipse"),
  f: () => choose("drag", "freehand"),
  d: () => choose("drag", "distance"),
  g: () => choose("drag", "angle"),
  v: () => choose("drag", Z > 1 ? "slices" : "crosshair"),
  o: () => nextComparison(),
  "[": () => stepAmount(-1),
  "]": () => stepAmount(1),
  Enter: () => drawing() && setPointByKey(),
  Escape: () => dropDraft(),
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
