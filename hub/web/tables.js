// SPDX-License-Identifier: Apache-2.0
// Tables and lists that follow the data: rows are kept by key and only what changed is touched, so
// that selections, focus and the screen reader's place survive a tick. Text is never markup.

/** Makes an element: el('td', {class: 'num'}, 'text' or children...). */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

/** Puts the nodes of `items` into parent, reusing those whose key stayed. */
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.knownRows || (parent.knownRows = new Map());
  const used = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (used.has(key)) continue;
    used.add(key);
    let node = known.get(key);
    if (!node) {
      node = make(item);
      known.set(key, node);
    }
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const [key, node] of known) {
    if (used.has(key)) continue;
    node.remove();
    known.delete(key);
  }
}

/** Rows that a table shows before it is asked for all of them. */
const SHORT = 20;

/** A group of buttons of which one is pressed; change(name) is called when another one is. */
export function segments(parent, choices, chosen, change) {
  const buttons = choices.map(([name, text, title]) => {
    const button = el('button', { type: 'button', title, 'aria-pressed': String(name === chosen) }, text);
    button.addEventListener('click', () => {
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === button));
      change(name);
    });
    return button;
  });
  parent.append(...buttons);
}

/**
 * A sortable table. columns: {title, hint, num, value(row) for sorting, text(row), tone(row),
 * node(row) for a cell that is more than text, made once}.
 */
export class Table {
  constructor(table, { caption, columns, key, empty, sort }) {
    this.columns = columns;
    this.key = key;
    this.sort = sort; // {column, down} or undefined: as it came
    this.rows = [];
    this.heads = columns.map((column, i) => this.head(column, i));
    this.body = el('tbody');
    this.empty = el('p', { class: 'empty' }, empty);
    table.append(el('caption', { class: 'hidden' }, caption),
      el('thead', {}, el('tr', {}, ...this.heads)), this.body);
    this.all = false;
    this.more = el('button', { type: 'button', class: 'more' });
    this.more.addEventListener('click', () => {
      this.all = !this.all;
      this.show(this.rows);
    });
    table.after(this.empty, this.more);
    this.table = table;
    this.showSort();
  }

  head(column, i) {
    const button = el('button', { type: 'button', title: column.hint }, column.title);
    button.addEventListener('click', () => {
      const down = this.sort && this.sort.column === i ? !this.sort.down : !!column.num;
      this.sort = { column: i, down };
      this.showSort();
      this.show(this.rows);
    });
    return el('th', { scope: 'col', class: column.num ? 'num' : null }, button);
  }

  showSort() {
    this.heads.forEach((head, i) => {
      if (this.sort && this.sort.column === i)
        head.setAttribute('aria-sort', this.sort.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
  }

  sorted(rows) {
    if (!this.sort) return rows;
    const { value } = this.columns[this.sort.column];
    const direction = this.sort.down ? -1 : 1;
    return [...rows].sort((a, b) => {
      const x = value(a) ?? -1, y = value(b) ?? -1;
      const order = typeof x === 'string' || typeof y === 'string'
        ? String(x).localeCompare(String(y)) : x - y;
      return direction * order || this.key(a).localeCompare(this.key(b));
    });
  }

  make(row) {
    return el('tr', {}, ...this.columns.map((column, i) => {
      const cell = el(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : {});
      if (column.node) cell.append(column.node(row));
      return cell;
    }));
  }

  update(node, row) {
    this.columns.forEach((column, i) => {
      const cell = node.children[i];
      if (!column.node) setText(cell, column.text(row));
      const tone = column.tone ? column.tone(row) : '';
      setClass(cell, [column.num ? 'num' : '', column.class || '', tone].filter(Boolean).join(' '));
    });
    if (this.mark) this.mark(node, row);
  }

  show(rows) {
    this.rows = rows;
    this.empty.hidden = rows.length > 0;
    this.table.hidden = rows.length === 0;
    this.more.hidden = rows.length <= SHORT;
    setText(this.more, this.all ? `show the first ${SHORT}` : `show all ${rows.length}`);
    const shown = this.sorted(rows).slice(0, this.all ? rows.length : SHORT);
    keyed(this.body, shown, this.key, (row) => this.make(row),
      (node, row) => this.update(node, row));
  }
}
