// Curves under the slices: a click leads to a slice, a line marks the present one.

const numbers = (text) => text.split(" ").map(Number);

function nearest(list, wanted) {
  return list.reduce((best, one, k) => (Math.abs(one - wanted) < Math.abs(list[best] - wanted) ? k : best), 0);
}

function mark(chart) {
  const slices = numbers(chart.dataset.slices);
  const k = nearest(slices, at[2] * facts.stride[2]);
  const x = numbers(chart.dataset.places)[k];
  const here = chart.querySelector(".here");
  here.setAttribute("x1", x);
  here.setAttribute("x2", x);
  chart.setAttribute("aria-valuenow", slices[k]);
  chart.setAttribute("aria-valuetext", place(2));
}

function follow(chart) {
  const slices = numbers(chart.dataset.slices);
  const go = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    goTo(slices[nearest(numbers(chart.dataset.places), point.x)]);
  };
  chart.addEventListener("pointerdown", go);
  chart.addEventListener("pointermove", (event) => event.buttons && go(event));
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    goTo(slices[clamp(nearest(slices, at[2] * facts.stride[2]) + step, 0, slices.length - 1)]);
  });
}
