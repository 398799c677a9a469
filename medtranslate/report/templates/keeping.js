// What a reader keeps: the page with regions and comment, the regions as JSON, a picture.

const opening = find("opening");

function download(blob, name) {
  const link = element("a", { download: name, href: URL.createObjectURL(blob) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const fileName = (ending) =>
  `${document.querySelector("h1").textContent.replace(/[^\w.-]+/g, "-").slice(0, 60) || "page"}${ending}`;

function tell(text) {
  find("told").textContent = text;
}

function kept(withNumbers) {
  return {
    schema: REGIONS,
    shape: facts.full,
    digest: facts.digest,
    comment: find("comment").value,
    regions: regions.map(({ kind, plane, slices, points, name, measured }) =>
      ({ kind, plane, slices, points, name, ...(withNumbers ? { measured } : {}) })),
  };
}

function restore(given) {
  const next = checkedRegions(given);
  if (typeof given.comment === "string" && given.comment) find("comment").value = given.comment.slice(0, 20000);
  setRegions(next);
  return next.length;
}

// The page as it came, without what scripts put into it, and with what the reader added.
function savePage() {
  const page = document.documentElement.cloneNode(true);
  page.classList.remove("viewing");
  page.querySelectorAll("[style]").forEach((part) => part.removeAttribute("style"));
  page.querySelectorAll(".filled").forEach((part) => part.replaceChildren());
  page.querySelector("#viewer-title").after(opening.cloneNode(true));
  const viewer = page.querySelector("#viewer");
  for (const name of Object.keys(viewer.dataset)) delete viewer.dataset[name];
  viewer.classList.remove("signed");
  page.querySelector("#told").textContent = "";
  page.querySelector("#kept").textContent = JSON.stringify(kept(false)).replaceAll("<", "\\u003c");
  const text = `<!DOCTYPE html>\n${page.outerHTML}`;
  download(new Blob([text], { type: "text/html" }), fileName(".html"));
  tell(`Saved with ${regions.length} regions and the comment.`);
}

function saveRegions() {
  const names = Object.fromEntries(images.map((one) => [one.key, { title: one.title, unit: one.unit, step: one.step }]));
  const text = JSON.stringify({ ...kept(true), spacing_mm: [0, 1, 2].map(fineSpacing), images: names }, null, 1);
  download(new Blob([text], { type: "application/json" }), fileName("-regions.json"));
}

async function readRegions(file) {
  try {
    if (file.size > 20e6) throw new Error("the file is larger than 20 MB");
    let given = null;
    try {
      given = JSON.parse(await file.text());
    } catch {
      throw new Error("the file is no JSON");
    }
    tell(`${restore(given)} regions were read.`);
  } catch (reason) {
    tell(`Not read: ${reason.message}.`);
  }
}

// ---- A picture ----------------------------------------------------------------------------------------

const SCALE = 2; // pixels of the picture per pixel of the screen
const FOOT = 44;

async function marksOf(pane) {
  const copy = pane.marks.cloneNode(true);
  const box = pane.canvas.getBoundingClientRect();
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", box.width * SCALE);
  copy.setAttribute("height", box.height * SCALE);
  const drawn = new Image();
  drawn.src = `data:image/svg+xml,${encodeURIComponent(copy.outerHTML)}`;
  await drawn.decode();
  return drawn;
}

async function savePicture() {
  const visible = panes.filter((pane) => !pane.figure.hidden);
  const whole = find("panes").getBoundingClientRect();
  const canvas = element("canvas", { width: whole.width * SCALE, height: (whole.height + FOOT) * SCALE });
  const pen = canvas.getContext("2d");
  pen.scale(SCALE, SCALE);
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, whole.width, whole.height + FOOT);
  for (const pane of visible) {
    const marks = await marksOf(pane);
    const frame = pane.frame.getBoundingClientRect();
    const box = pane.canvas.getBoundingClientRect();
    pen.save();
    pen.beginPath();
    pen.rect(frame.left - whole.left, frame.top - whole.top, frame.width, frame.height);
    pen.clip();
    for (const layer of [pane.canvas, marks]) {
      pen.drawImage(layer, box.left - whole.left, box.top - whole.top, box.width, box.height);
    }
    pen.restore();
    write(pen, pane.title, frame.left - whole.left, frame.top - whole.top - 8, frame.width);
    pane.sides.forEach((side) => {
      const spot = side.getBoundingClientRect();
      write(pen, side.textContent, spot.left - whole.left, spot.bottom - whole.top - 1);
    });
  }
  write(pen, `${document.querySelector("h1").textContent}: ${find("place").textContent}`, 4, whole.height + 18, whole.width);
  write(pen, "Synthetic images, for research only. Not for diagnosis, treatment planning or dose.", 4,
    whole.height + 36, whole.width);
  canvas.toBlob((blob) => download(blob, fileName(".png")), "image/png");
}

function write(pen, text, x, y, most) {
  pen.font = "13px sans-serif";
  pen.fillStyle = "#e6eaea";
  pen.fillText(text, x, y, most);
}

function listenToKeeping() {
  find("save-page").addEventListener("click", savePage);
  find("save-regions").addEventListener("click", saveRegions);
  find("save-picture").addEventListener("click", savePicture);
  find("read-regions").addEventListener("change", (event) => {
    if (event.target.files[0]) readRegions(event.target.files[0]);
    event.target.value = "";
  });
  const comment = find("comment");
  const mirror = () => { find("comment-printed").textContent = comment.value; };
  comment.addEventListener("input", mirror);
  const found = JSON.parse(find("kept").textContent || "null");
  if (found) {
    try {
      restore(found);
    } catch (reason) {
      tell(`The regions of this page were not read: ${reason.message}.`);
    }
  }
  mirror();
}
