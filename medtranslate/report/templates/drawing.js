// Pixels of a plane: windows, colours and slabs.

const scales = {}; // by name: source, target (translation and reference share it), error, spread
const slab = { kind: "mean", count: 1 };

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

// Colour of a value, 0 to 255 of the image's ramp.
function shade(one, value) {
  const { low, high } = scales[one.scale];
  if (one.key !== "error") return Math.round(255 * clamp((value - low) / Math.max(high - low, 1e-9), 0, 1));
  if (Number.isNaN(value)) return state.signed ? 128 : 0;
  return state.signed
    ? Math.round(127.5 + 127.5 * clamp(value / high, -1, 1))
    : Math.round(255 * Math.min(1, Math.abs(value) / high));
}

function colours(one) {
  if (one.key === "error") return state.signed ? SIGNED : HEAT;
  return one.key === "spread" ? HEAT : GREY;
}

// Table from code to shade, for images that are stored.
function paint(one) {
  if (one.key === "error") return;
  one.table = Uint8Array.from({ length: one.wide ? 65536 : 256 }, (_, code) =>
    shade(one, one.low + one.step * code));
}

// Row of the array that a pane's row shows, and back.
const row = (plane, v) => (plane.upward ? facts.shape[plane.down] - 1 - v : v);

// Indices of the slices in a slab; it is thinner at the ends of the stack.
function slabAround(through, count = slab.count) {
  const first = at[through] - Math.floor((count - 1) / 2);
  const ends = [Math.max(0, first), Math.min(facts.shape[through] - 1, first + count - 1)];
  return Array.from({ length: ends[1] - ends[0] + 1 }, (_, k) => ends[0] + k);
}

const slabWords = () => (slab.count > 1 ? `, ${slab.kind} of ${slab.count} slices` : "");

// Of an error, the largest and the smallest count without their sign.
const COLLECT = {
  mean: (all, value) => all + value,
  maximum: (most, value, size) => (size(value) > size(most) ? value : most),
  minimum: (least, value, size) => (size(value) < size(least) ? value : least),
};

// Index of the first voxel of a pane's row.
const rowStart = (plane, v) => row(plane, v) * STRIDES[plane.down] + at[plane.through] * STRIDES[plane.through];

// Write the shades of an image in a plane at the crosshair, row by row.
function shades(one, plane, out) {
  if (slab.count > 1) {
    slabValues(one, plane).forEach((value, k) => { out[k] = shade(one, value); });
    return;
  }
  const [width, height] = [facts.shape[plane.across], facts.shape[plane.down]];
  let k = 0;
  for (let v = 0; v < height; v += 1) {
    let index = rowStart(plane, v);
    for (let u = 0; u < width; u += 1, index += STRIDES[plane.across]) {
      out[k++] = one.table ? one.table[one.codes[index]] : shade(one, valueOf(one, index));
    }
  }
}

function slabValues(one, plane) {
  const [width, height] = [facts.shape[plane.across], facts.shape[plane.down]];
  const [found, counts] = [new Float32Array(width * height).fill(NaN), new Uint8Array(width * height)];
  const size = one.key === "error" ? Math.abs : (value) => value;
  const collect = COLLECT[slab.kind];
  for (const place of slabAround(plane.through)) {
    const shift = (place - at[plane.through]) * STRIDES[plane.through];
    for (let v = 0, k = 0; v < height; v += 1) {
      let index = rowStart(plane, v) + shift;
      for (let u = 0; u < width; u += 1, k += 1, index += STRIDES[plane.across]) {
        const value = valueOf(one, index);
        if (Number.isNaN(value)) continue;
        found[k] = counts[k] ? collect(found[k], value, size) : value;
        counts[k] += 1;
      }
    }
  }
  return slab.kind === "mean" ? found.map((value, k) => value / counts[k]) : found;
}

function drawImage(pane) {
  shades(pane.image, pane.plane, pane.shades);
  const table = colours(pane.image);
  for (let k = 0; k < pane.pixels.length; k += 1) pane.pixels[k] = table[pane.shades[k]];
}

function listenToSlab() {
  if (Z === 1) return;
  for (const name of ["kind", "count"]) {
    find("slab-" + name).addEventListener("change", (event) => {
      slab[name] = name === "kind" ? event.target.value : clamp(Math.round(event.target.value) || 1, 1, 99);
      find("slab-count").value = slab.count;
      redraw();
    });
  }
}
