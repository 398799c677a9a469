// Two images in one pane: overlay, blink, checkerboard, swipe, and the edges of one on the other.

const pairing = { mode: "side", lower: null, upper: null, amounts: {}, phase: false, timer: null };
const MOST_FLASHES = 3; // per second, WCAG 2.3.1

// What the slider means: name, lowest, highest, start, step.
const AMOUNTS = {
  overlay: ["Opacity of the upper, %", 0, 100, 50, 1],
  blink: ["Seconds for each", 1 / MOST_FLASHES, 3, 0.8, 0.1],
  checkerboard: ["Squares across", 2, 24, 8, 1],
  swipe: ["Upper image up to, %", 0, 100, 50, 1],
  edges: ["Least step of an edge, % of the window", 2, 60, 15, 1],
};
const EDGE = [255, 209, 61];

function mixed(lower, upper, share) {
  const part = (shift) =>
    Math.round(((lower >>> shift) & 255) * (1 - share) + ((upper >>> shift) & 255) * share);
  return pixel(part(0), part(8), part(16));
}

// Pixels whose gradient (Sobel 1968) reaches a limit and is the steepest across the edge.
function edges(grey, width, height, least) {
  const found = new Uint8Array(grey.length);
  const size = new Float32Array(grey.length);
  const flat = new Uint8Array(grey.length); // 1 where the gradient runs along the row
  for (let v = 1; v < height - 1; v += 1) {
    for (let k = v * width + 1; k < (v + 1) * width - 1; k += 1) {
      const [n, s] = [k - width, k + width];
      const dx = grey[n + 1] + 2 * grey[k + 1] + grey[s + 1] - grey[n - 1] - 2 * grey[k - 1] - grey[s - 1];
      const dy = grey[s - 1] + 2 * grey[s] + grey[s + 1] - grey[n - 1] - 2 * grey[n] - grey[n + 1];
      size[k] = Math.hypot(dx, dy) / 8; // grey levels per pixel
      flat[k] = Number(Math.abs(dx) >= Math.abs(dy));
    }
  }
  for (let k = width; k < grey.length - width; k += 1) {
    const step = flat[k] ? 1 : width;
    found[k] = Number(size[k] >= least && size[k] >= size[k - step] && size[k] > size[k + step]);
  }
  return found;
}

const COMPOSE = {
  overlay: (share) => (k, lower, upper) => mixed(lower, upper, share / 100),
  blink: () => (k, lower, upper) => (pairing.phase ? upper : lower),
  checkerboard: (squares, { width, spacing }) => {
    const side = (width * spacing[0]) / squares; // mm
    return (k, lower, upper) => {
      const [u, v] = [((k % width) + 0.5) * spacing[0], (Math.floor(k / width) + 0.5) * spacing[1]];
      return (Math.floor(u / side) + Math.floor(v / side)) % 2 ? upper : lower;
    };
  },
  swipe: (share, { width }) => (k, lower, upper) => ((k % width) + 0.5 < (width * share) / 100 ? upper : lower),
  edges: (share, { width, height, grey }) => {
    const found = edges(grey, width, height, (255 * share) / 100);
    return (k, lower) => (found[k] ? pixel(...EDGE) : lower);
  },
};

function drawPair(pane) {
  const { across, down } = pane.plane;
  const [lower, upper] = [image(pairing.lower), image(pairing.upper)];
  const grey = new Uint8Array(pane.shades.length);
  shades(lower, pane.plane, pane.shades);
  shades(upper, pane.plane, grey);
  const box = { width: facts.shape[across], height: facts.shape[down], grey,
    spacing: [facts.spacing[across], facts.spacing[down]] };
  const choose = COMPOSE[pairing.mode](pairing.amounts[pairing.mode], box);
  const [below, above] = [colours(lower), colours(upper)];
  for (let k = 0; k < pane.pixels.length; k += 1) {
    pane.pixels[k] = choose(k, below[pane.shades[k]], above[grey[k]]);
  }
}

const pairTitle = () => `${image(pairing.upper).title} on ${image(pairing.lower).title.toLowerCase()}`;

function blink() {
  clearInterval(pairing.timer);
  if (pairing.mode !== "blink") return;
  pairing.timer = setInterval(() => {
    pairing.phase = !pairing.phase;
    redraw();
  }, 1000 * Math.max(1 / MOST_FLASHES, pairing.amounts.blink));
}

function compareAs(mode) {
  pairing.mode = mode;
  find("compare-mode").value = mode;
  find("viewer").dataset.compare = mode;
  const slider = find("compare-amount");
  document.querySelectorAll(".comparing").forEach((part) => { part.hidden = mode === "side"; });
  if (mode !== "side") {
    const [name, low, high, , step] = AMOUNTS[mode];
    find("compare-what").textContent = name;
    Object.assign(slider, { min: low, max: high, step });
    slider.value = pairing.amounts[mode];
  }
  blink();
  redraw();
}

function nextComparison() {
  if (images.length < 2) return;
  const modes = ["side", ...Object.keys(AMOUNTS)];
  compareAs(modes[(modes.indexOf(pairing.mode) + 1) % modes.length]);
}

function stepAmount(way) {
  if (pairing.mode === "side") return;
  const slider = find("compare-amount");
  slider.value = Number(slider.value) + (way * (slider.max - slider.min)) / 20;
  slider.dispatchEvent(new Event("input"));
}

function listenToCompare() {
  if (images.length < 2) return;
  for (const mode of Object.keys(AMOUNTS)) pairing.amounts[mode] = AMOUNTS[mode][3];
  [pairing.lower, pairing.upper] = [image("reference") || images[0], image("translation")].map((one) => one.key);
  for (const side of ["lower", "upper"]) {
    const choice = find("compare-" + side);
    for (const one of images) choice.append(element("option", { value: one.key }, one.title));
    choice.value = pairing[side];
    choice.addEventListener("change", () => {
      pairing[side] = choice.value;
      redraw();
    });
  }
  find("compare-mode").addEventListener("change", (event) => compareAs(event.target.value));
  find("compare-amount").addEventListener("input", (event) => {
    pairing.amounts[pairing.mode] = Number(event.target.value);
    blink();
    redraw();
  });
}
