// Regions and their numbers. Points are voxel indices of the scored arrays in the region's plane, [across,
// down], the centre of a voxel at whole numbers. A voxel belongs to a region if its centre lies inside.

const KINDS = {
  rectangle: { title: "Rectangle", points: 2, area: true },
  ellipse: { title: "Ellipse", points: 2, area: true },
  freehand: { title: "Freehand", points: Infinity, area: true },
  distance: { title: "Distance", points: 2 },
  angle: { title: "Angle", points: 3 },
};

// Spacing in mm between the voxels of the scored arrays.
const fineSpacing = (axis) => facts.spacing[axis] / facts.stride[axis];

const INSIDE = {
  rectangle: ([[a, b], [c, d]], u, v) =>
    u >= Math.min(a, c) && u <= Math.max(a, c) && v >= Math.min(b, d) && v <= Math.max(b, d),
  ellipse: ([[a, b], [c, d]], u, v) =>
    ((2 * u - a - c) / (c - a)) ** 2 + ((2 * v - b - d) / (d - b)) ** 2 <= 1,
  // Even-odd rule: a ray to the right crosses the outline an odd number of times.
  freehand: (points, u, v) => points.reduce((inside, [a, b], k) => {
    const [c, d] = points[(k + 1) % points.length];
    return b > v !== d > v && u < ((c - a) * (v - b)) / (d - b) + a ? !inside : inside;
  }, false),
};

// Points in mm, for lengths and areas.
function inMm(region) {
  const { across, down } = PLANES[region.plane];
  return region.points.map(([u, v]) => [u * fineSpacing(across), v * fineSpacing(down)]);
}

const AREA = { // mm2
  rectangle: ([[a, b], [c, d]]) => Math.abs((c - a) * (d - b)),
  ellipse: ([[a, b], [c, d]]) => (Math.PI / 4) * Math.abs((c - a) * (d - b)),
  freehand: (points) => Math.abs(points.reduce((all, [a, b], k) => {
    const [c, d] = points[(k + 1) % points.length];
    return all + a * d - c * b;
  }, 0)) / 2,
};

function angleOf([[a, b], [c, d], [e, f]]) {
  const turn = Math.abs(Math.atan2(b - d, a - c) - Math.atan2(f - d, e - c)) * (180 / Math.PI);
  return turn > 180 ? 360 - turn : turn;
}

// First and last slice of a region, among those that the page holds.
function heldSlices(region) {
  const step = facts.stride[PLANES[region.plane].through];
  return [Math.ceil(region.slices[0] / step), Math.floor(region.slices[1] / step)];
}

// Indices of the held voxels inside a region, slice by slice.
function voxelsOf(region) {
  const { across, down, through } = PLANES[region.plane];
  const found = [];
  const ends = (side, axis) => {
    const places = region.points.map((point) => point[side] / facts.stride[axis]);
    return [Math.max(0, Math.ceil(Math.min(...places))),
      Math.min(facts.shape[axis] - 1, Math.floor(Math.max(...places)))];
  };
  const [first, last] = heldSlices(region);
  const [[left, right], [top, bottom]] = [ends(0, across), ends(1, down)];
  for (let v = top; v <= bottom; v += 1) {
    for (let u = left; u <= right; u += 1) {
      if (!INSIDE[region.kind](region.points, u * facts.stride[across], v * facts.stride[down])) continue;
      for (let w = first; w <= last; w += 1) {
        found.push(u * STRIDES[across] + v * STRIDES[down] + w * STRIDES[through]);
      }
    }
  }
  return found;
}

// Mean, standard deviation (divisor n), minimum and maximum of the values that are known.
function statistics(one, voxels) {
  let [count, mean, squares, low, high] = [0, 0, 0, Infinity, -Infinity];
  for (const index of voxels) {
    const value = valueOf(one, index);
    if (Number.isNaN(value)) continue;
    count += 1; // Welford 1962
    const change = value - mean;
    mean += change / count;
    squares += change * (value - mean);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return count ? { count, mean, sd: Math.sqrt(squares / count), low, high } : { count };
}

// Numbers of a region: length in mm, angle in degrees, or area and the statistics of each image.
function measure(region) {
  const points = inMm(region);
  if (region.kind === "distance") {
    return { length: Math.hypot(points[1][0] - points[0][0], points[1][1] - points[0][1]) };
  }
  if (region.kind === "angle") return { angle: angleOf(points) };
  const voxels = voxelsOf(region);
  const area = AREA[region.kind](points);
  const thick = (region.slices[1] - region.slices[0] + 1) * fineSpacing(PLANES[region.plane].through);
  return {
    area,
    volume: region.slices[1] > region.slices[0] ? (area * thick) / 1000 : null, // ml
    voxels: voxels.length,
    images: Object.fromEntries(images.map((one) => [one.key, statistics(one, voxels)])),
  };
}

function sayMeasure(found) {
  if (found.length !== undefined) return `${found.length.toFixed(1)} mm`;
  if (found.angle !== undefined) return `${found.angle.toFixed(1)}\u00b0`;
  const volume = found.volume === null ? "" : `, ${found.volume.toPrecision(3)} ml`;
  return `${found.area >= 100 ? found.area.toFixed(0) : found.area.toPrecision(3)} mm\u00b2${volume}`;
}

function sayRegionPlace(region) {
  const [first, last] = region.slices;
  if (Z === 1) return "";
  return `${capital(region.plane)} ${first === last ? first : `${first} to ${last}`}`;
}

// ---- Regions from outside ---------------------------------------------------------------------------

const MOST_REGIONS = 500;
const MOST_POINTS = 5000;
const REGIONS = "medtranslate/regions/1";

// Return a region that is sound; throw a sentence otherwise.
function checkedRegion(given, number) {
  const fail = (what) => { throw new Error(`region ${number + 1} ${what}`); };
  const { kind, plane, slices, points, name = "" } = given || {};
  const whole = (value) => Number.isInteger(value);
  if (!Object.hasOwn(KINDS, kind)) fail(`is no ${Object.keys(KINDS).join(", ")}`);
  if (!Object.hasOwn(PLANES, plane) || (!facts.regular && plane !== "axial")) fail("lies in no plane of this page");
  const { across, down, through } = PLANES[plane];
  const size = (axis) => facts.full[axis];
  const paired = Array.isArray(slices) && slices.length === 2 && slices.every(whole) && slices[0] <= slices[1];
  if (!paired || slices[0] < 0 || slices[1] >= size(through)) fail("lies in slices outside the image");
  const enough = KINDS[kind].points === Infinity ? [3, MOST_POINTS] : [KINDS[kind].points, KINDS[kind].points];
  if (!Array.isArray(points) || points.length < enough[0] || points.length > enough[1]) {
    fail(`does not have the points of ${KINDS[kind].title.toLowerCase()}`);
  }
  const inside = ([u, v]) => u >= -0.5 && u <= size(across) - 0.5 && v >= -0.5 && v <= size(down) - 0.5;
  const sound = (point) =>
    Array.isArray(point) && point.length === 2 && point.every(Number.isFinite) && inside(point);
  if (!points.every(sound)) fail("has points outside the image");
  const kept = points.map(([u, v]) => [u, v]);
  return { kind, plane, slices: [...slices], points: kept, name: String(name).slice(0, 100) };
}

function checkedRegions(given) {
  if (!given || given.schema !== REGIONS || !Array.isArray(given.regions)) {
    throw new Error(`the file holds no regions of the form ${REGIONS}`);
  }
  if (JSON.stringify(given.shape) !== JSON.stringify(facts.full)) {
    throw new Error(`the regions are of an image of ${given.shape} voxels, this one has ${facts.full}`);
  }
  if ((given.digest ?? null) !== facts.digest) {
    throw new Error("the regions are of another image, whose digest is not that of this one");
  }
  if (given.regions.length > MOST_REGIONS) throw new Error(`more than ${MOST_REGIONS} regions`);
  return given.regions.map(checkedRegion);
}
