
"use strict";
// Without this script, the page shows all rows in the order of the reports.

function sortBy(table, column, ascending) {
  const key = (row) => {
    const cell = row.cells[column];
    return "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent.trim();
  };
  const compare = (a, b) => {
    const [first, second] = [key(a), key(b)];
    const [firstIsNumber, secondIsNumber] = [typeof first === "number", typeof second === "number"];
    if (firstIsNumber !== secondIsNumber) return firstIsNumber ? -1 : 1; // what is not known: last
    const order = firstIsNumber ? first - second : first.localeCompare(second, "en");
    return ascending ? order : -order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending);
    });
    heading.append(button);
  });
}

const filter = document.querySelector("form.filter");
const rows = [...document.querySelectorAll("tr[data-contestant]")];
if (filter && rows.length) {
  filter.hidden = false;
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => {
    const words = filter.querySelector("input").value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.contestant.toLowerCase().includes(words);
    const left = rows.filter((row) => !row.hidden).length;
    filter.querySelector("output").textContent = words ? `${left} of ${rows.length} rows` : "";
  });
}
