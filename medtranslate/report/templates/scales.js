// Windows of the grey images, and the ends of the scales of error and uncertainty.

function setWindow(scale, low, high) {
  scales[scale].low = scale === "source" || scale === "target" ? low : 0;
  scales[scale].high = Math.max(high, scales[scale].low + 1e-6);
  images.filter((one) => one.scale === scale).forEach(paint);
  showScale(scale);
  redraw();
}

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
