// Volumes of a page and their values. All scripts of the page share one scope; `viewer.js` starts them.
// Arrays are [X, Y, Z] in the layout LPS, x fastest: x grows to the patient's left, y to the back, z upward.

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

const at = [...facts.start]; // the crosshair
const state = { plane: "axial", drag: "slices", signed: false };
const images = facts.images;
let mask = null;
let [made, truth] = [null, null]; // translation and reference

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const sum = (index) => index[0] * STRIDES[0] + index[1] * STRIDES[1] + index[2] * STRIDES[2];
const decimals = (step) => clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6);
const tidy = (value) => Number(value.toPrecision(4));
const minus = (text) => text.replace(/^-(0\.?0*)$/, "$1").replace("-", "\u2212");
const image = (key) => images.find((one) => one.key === key);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

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

// Value of an image at a voxel; NaN where the error is not scored.
function valueOf(one, index) {
  if (one.key !== "error") return one.low + one.step * one.codes[index];
  return mask[index] ? difference(index) : NaN;
}

// Translation minus reference, with the reference clipped as it was scored.
function difference(index) {
  const [low, high] = facts.error.clip || [-Infinity, Infinity];
  return valueOf(made, index) - clamp(valueOf(truth, index), low, high);
}

// Number in the steps of an image, the error with its sign.
function written(one, number, more = 0) {
  const sign = one.key === "error" && number > 0 ? "+" : "";
  return sign + minus(number.toFixed(decimals(one.step) + more));
}

function say(one, index) {
  const number = valueOf(one, index);
  return Number.isNaN(number) ? "not scored" : `${written(one, number)} ${one.unit}`;
}

// ---- Places in words --------------------------------------------------------------------------------

const planeThrough = (axis) => Object.keys(PLANES).find((key) => PLANES[key].through === axis);
const capital = (text) => text[0].toUpperCase() + text.slice(1);

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
  const here = at[through] * facts.stride[through];
  const last = (facts.shape[through] - 1) * facts.stride[through];
  const mae = facts.slices[at[2]];
  const scored = mae === undefined ? "no scored voxel here" : `MAE, ${facts.error.of}: ${tidy(mae)}`;
  if (Z === 1) return facts.error ? scored : "One slice";
  const told = through === 2 && facts.error ? `, ${scored}` : "";
  return `${capital(planeThrough(through))} slice ${here} (0 to ${last})${slabWords()}${told}`;
}
