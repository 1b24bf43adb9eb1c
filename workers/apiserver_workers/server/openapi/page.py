"""The page at /swagger-ui/: one file without anything from elsewhere, which reads /openapi/v2 and shows it."""

PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kubernetes API</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
input { font: inherit; width: 100%; padding: .4em; box-sizing: border-box }
summary { cursor: pointer } h2 { margin: 1.2em 0 .2em; font-size: 1.1em }
code { font-family: ui-monospace, monospace } details details { margin-left: 1.5em }
.method { display: inline-block; width: 5.5em; font-weight: bold } .get { color: #06c } .post { color: #080 }
.put, .patch { color: #a60 } .delete { color: #c00 } table { border-collapse: collapse; margin: .3em 1.5em }
td { padding: .1em .8em .1em 0; vertical-align: top } p { margin: .3em 1.5em }
</style>
</head>
<body>
<h1 id="title">Kubernetes API</h1>
<input id="filter" placeholder="Filter by path, such as pods/{name}" autofocus>
<main id="apis">Reading /openapi/v2 ...</main>
<script>
"use strict";
const methods = ["get", "post", "put", "patch", "delete", "head", "options"];
function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}
function shortName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  return schema.type === "array" ? "[]" + shortName(schema.items) : schema.type || "";
}
function fold(title, fill) {
  const made = element("details", "", title);
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) fill(made); });
  return made;
}
function table(rows) {
  return element("table", "", ...rows.map(row => element("tr", "", ...row.map(cell => element("td", cell)))));
}
function model(spec, name) {
  return fold(element("summary", name), box => {
    const definition = spec.definitions[name] || {};
    if (definition.description) box.append(element("p", definition.description));
    const properties = Object.entries(definition.properties || {});
    box.append(table(properties.map(([key, of]) => [key, shortName(of), of.description || ""])));
    const nested = properties.map(([, of]) => of.$ref || (of.items || {}).$ref).filter(Boolean);
    for (const other of new Set(nested.map(reference => reference.split("/").pop())))
      if (other !== name) box.append(model(spec, other));
  });
}
function operation(spec, path, method, item) {
  const of = item[method], title = element("summary");
  const verb = element("span", method.toUpperCase());
  verb.className = "method " + method;
  title.append(verb, element("code", path));
  return fold(title, box => {
    box.append(element("p", of.description || ""));
    const parameters = [...(item.parameters || []), ...(of.parameters || [])]
      .map(one => one.$ref ? spec.parameters[one.$ref.split("/").pop()] : one);
    box.append(table(parameters.map(one =>
      [one.name, one.in, shortName(one.schema || one), (one.required ? "required. " : "") + (one.description || "")])));
    box.append(table(Object.entries(of.responses).map(([code, one]) => [code, one.description, shortName(one.schema)])));
    const schemas = [...parameters.map(one => one.schema), ...Object.values(of.responses).map(one => one.schema)];
    const names = schemas.map(schema => shortName(schema).replace("[]", ""));
    for (const name of new Set(names.filter(name => spec.definitions[name]))) box.append(model(spec, name));
  });
}
function show(spec, wanted) {
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    if (!path.includes(wanted)) continue;
    for (const method of methods.filter(method => item[method])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(spec, path, method, item));
    }
  }
  const shown = [...groups.keys()].sort().map(tag => {
    const box = element("details", "", element("summary", tag), ...groups.get(tag));
    box.open = Boolean(wanted);
    return box;
  });
  document.getElementById("apis").replaceChildren(...shown);
}
fetch("/openapi/v2", { headers: { Accept: "application/json" } }).then(answer => {
  if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
  return answer.json();
}).then(spec => {
  document.getElementById("title").textContent = spec.info.title + " " + spec.info.version;
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => show(spec, filter.value.trim()));
  show(spec, filter.value.trim());
}).catch(error => { document.getElementById("apis").textContent = "Cannot read /openapi/v2: " + error.message; });
</script>
</body>
</html>
"""
