// Reads each diagram of the pages that are named with the mermaid that draws them: what it cannot read would be shown as an error, in the
// reader's browser and nowhere else.
//
//     node tests/docs/diagrams.js mermaid.min.js PAGE.md …
"use strict";
const fs = require("fs");
const vm = require("vm");

// Mermaid wants a browser for drawing. To read, this is enough; without a document its sanitizer of labels has no functions.
globalThis.window = globalThis;
globalThis.addEventListener = () => {};
const element = () => ({ setAttribute() {}, appendChild() {}, style: {} });
globalThis.document = { createElement: element, querySelector: () => null, addEventListener() {}, documentElement: {}, body: {} };

const [program, ...pages] = process.argv.slice(2);
const source = fs.readFileSync(program, "utf8");
const sanitizer = /\b(\w+)\.addHook\(/.exec(source)[1];
vm.runInThisContext(
  source.replaceAll(`${sanitizer}.addHook(`, "(() => {})(").replaceAll(`${sanitizer}.sanitize(`, "(text => text)("),
);

async function wrong(page) {
  const lines = fs.readFileSync(page, "utf8").split("\n").map((line) => line.trim());
  const found = [];
  for (let start = lines.indexOf("```mermaid"); start >= 0; start = lines.indexOf("```mermaid", start + 1)) {
    const end = lines.indexOf("```", start);
    try {
      await globalThis.mermaid.parse(lines.slice(start + 1, end).join("\n"));
    } catch (error) {
      found.push(`${page}:${start + 1}: ${error.message}`);
    }
  }
  return found;
}

(async () => {
  const found = (await Promise.all(pages.map(wrong))).flat();
  found.forEach((line) => console.error(line));
  process.exitCode = found.length ? 1 : 0;
})();
