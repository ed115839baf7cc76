// Judges objects of kinds that are not Kubernetes' own, by the schemas of their CustomResourceDefinitions: a JSON array on
// stdin, an array of problems on stdout. The schemas take unknown keys, which a cluster would drop or refuse: those are
// looked for in the types that are made from the same schemas.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const PACKAGES = {
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
  "cert-manager.io/v1": "@kubernetes-models/cert-manager",
};
const problems = [];

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${object.kind} ${object.metadata.name}`;
  const path = `${PACKAGES[object.apiVersion]}/${object.apiVersion}/${object.kind}`;
  const models = require(path);
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
  const types = keysOf(readFileSync(require.resolve(path).replace(/\.js$/, ".d.ts"), "utf8"));
  unknown(object.spec, types.spec, `${name}: spec`);
}
console.log(JSON.stringify(problems));

/** The keys of a declared interface as a tree: null where anything may stand. */
function keysOf(text) {
  const root = {};
  const open = [root];
  const declared = text.slice(text.indexOf("export interface")).split("\n").slice(1);
  for (const line of declared) {
    const key = /^\s*"([^"]+)"\??: (.*)$/.exec(line);
    const at = open.at(-1);
    if (key) {
      const nested = key[2].endsWith("{");
      at[key[1]] = nested ? {} : null;
      if (nested) open.push(at[key[1]]);
    } else if (/^\s*\[key: string\]: (.*)$/.test(line)) {
      const nested = line.endsWith("{");
      at["*"] = nested ? {} : null;
      if (nested) open.push(at["*"]);
    } else if (/^\s*\}/.test(line)) {
      open.pop();
      if (open.length === 0) break;
    }
  }
  return root;
}

function unknown(value, known, at) {
  if (!known || typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) return value.forEach((item, place) => unknown(item, known, `${at}[${place}]`));
  for (const [key, item] of Object.entries(value)) {
    const found = key in known ? known[key] : known["*"];
    if (found === undefined) problems.push(`${at}.${key} is not known`);
    else unknown(item, found, `${at}.${key}`);
  }
}
