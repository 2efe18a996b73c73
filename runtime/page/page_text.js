// Text of a model as elements: code fences, `code` and **bold**. Everything is put in by textContent, so nothing that a model or a
// person writes can become markup.

function add(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

function render_inline(parent, text) {
  const marked = /`([^`\n]+)`|\*\*([^*\n]+)\*\*/g;
  let done = 0;
  for (const match of text.matchAll(marked)) {
    parent.append(text.slice(done, match.index));
    if (match[1] !== undefined) add(parent, "code", match[1]);
    else add(parent, "strong", match[2]);
    done = match.index + match[0].length;
  }
  parent.append(text.slice(done));
}

/** Replaces what `element` shows. A fence that is not closed yet, in the middle of a stream, counts as one. */
export function render_text(element, text) {
  element.replaceChildren();
  const fence = /(?:^|\n)```[^\n]*\n([\s\S]*?)(?:\n```[ \t]*(?=\n|$)\n?|$)/g;
  let done = 0;
  for (const match of text.matchAll(fence)) {
    render_inline(element, text.slice(done, match.index));
    add(add(element, "pre", ""), "code", match[1]);
    done = match.index + match[0].length;
  }
  render_inline(element, text.slice(done));
}
