"use strict";
// Tables whose columns sort: a heading becomes a button. Several tables of a page are one list, in parts.
(() => {
  const key = (row, column) => {
    const text = row.children[column].textContent.trim().replace("\u221e", "Infinity");
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });

  const tables = [...document.querySelectorAll("table[data-sortable]")];
  const bodies = tables.map((table) => table.tBodies[0]);
  const headings = tables.map((table) => [...table.querySelectorAll("thead th")]);

  const sort = (column, up) => {
    const sizes = bodies.map((body) => body.rows.length);
    const keyed = bodies.flatMap((body) => [...body.rows]).map((row) => [key(row, column), row]);
    keyed.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
    for (const [part, body] of bodies.entries()) {
      body.append(...keyed.splice(0, sizes[part]).map(([, row]) => row));
    }
    for (const row of headings) {
      row.forEach((heading) => heading.removeAttribute("aria-sort"));
      row[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    }
  };
  for (const row of headings) {
    row.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(column, heading.getAttribute("aria-sort") !== "ascending"));
    });
  }
})();
