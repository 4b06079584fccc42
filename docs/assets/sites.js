// Sorts and filters the table of sites. Without it the table is whole, in the order of names.
"use strict";

(() => {
  const FILTERED = new Set(["country", "login", "scheduler", "GPU", "host keys", "status"]);

  const make = (name, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };

  const words = (row, column) => row.cells[column].textContent.trim();

  // A cell with several kinds of GPU is found under each of them.
  const parts = (row, column) => words(row, column).split(", ").filter(Boolean);

  const sortable = (heads, body, rows) => {
    const sort = (column, direction) => {
      const order = direction === "ascending" ? 1 : -1;
      heads.forEach((head, other) => {
        head.setAttribute("aria-sort", other === column ? direction : "none");
      });
      // What is empty comes last, whichever way; equals stay in the order of names.
      const compare = (one, two) => {
        const [a, b] = [words(one, column), words(two, column)];
        return !a - !b || order * a.localeCompare(b, "en", { numeric: true });
      };
      body.append(...rows.toSorted(compare));
    };
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", textContent: head.textContent });
      button.addEventListener("click", () => {
        sort(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
      });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", column ? "none" : "ascending");
    });
  };

  const choice = (name, rows, column) => {
    const values = [...new Set(rows.flatMap((row) => parts(row, column)))].sort((a, b) => a.localeCompare(b, "en"));
    const some = values.map((value) => make("option", { value, textContent: value }));
    const select = make("select", { name }, [make("option", { value: "", textContent: "all" }), ...some]);
    return { element: make("label", { textContent: name }, [select]), select, column };
  };

  const filterable = (place, names, rows) => {
    const typed = make("input", { type: "search", name: "text", placeholder: "any words" });
    const choices = names.flatMap((name, column) => (FILTERED.has(name) ? [choice(name, rows, column)] : []));
    const count = make("output", { className: "sites-count" });
    const reset = make("button", { type: "reset", textContent: "Show all" });
    const form = make("form", { className: "sites-filter" }, [
      make("label", { textContent: "search" }, [typed]),
      ...choices.map(({ element }) => element),
      reset,
      count,
    ]);
    const apply = () => {
      const wanted = typed.value.trim().toLowerCase();
      for (const row of rows) {
        row.hidden = !(
          row.textContent.toLowerCase().includes(wanted) &&
          choices.every(({ select, column }) => !select.value || parts(row, column).includes(select.value))
        );
      }
      const left = rows.filter((row) => !row.hidden).length;
      count.textContent = left === rows.length ? `${left} sites` : `${left} of ${rows.length} sites`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply)); // the fields are emptied after the event
    place.prepend(form);
    apply();
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".sites")) {
      const [body] = place.querySelector("table").tBodies;
      const heads = [...place.querySelectorAll("th")];
      const rows = [...body.rows];
      filterable(
        place,
        heads.map((head) => head.textContent.trim()),
        rows,
      );
      sortable(heads, body, rows);
    }
  });
})();
